"""Functions that take many values and return a mapping by them, seen as functions of one value.

Keys, tags and the callables of options are those of one value: here the parameter that holds the
values is found, and replaced by one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from inspect import Parameter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin

from dualcache.errors import UsageError
from dualcache.keys.signature import ABSENT, Absent, FunctionSignature
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ElementSignature", "element_signature"]

_BUNDLES: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_TEXTS: Final = (str, bytes, bytearray, memoryview)
_FAMILIAR: Final = ("builtins", "collections", "collections.abc")
"""Modules whose iterables hold values; a model that can be iterated over is no sequence."""
_KINDS: Final = (tuple, set, frozenset)


class ElementSignature(FunctionSignature):
    """The signature of a function of many values as if it took one, and returned one.

    `at` is the place of the parameter that holds the values, `element` the name of one of them.
    `may_be_none` tells that a value is remembered as `None` where the function has none.
    """

    __slots__ = ("_sequence", "at", "element", "may_be_none")

    def __init__(
        self, whole: FunctionSignature, at: int, element: str, *, may_be_none: bool
    ) -> None:
        super().__init__(whole.function)
        self.at, self.element, self.may_be_none = at, element, may_be_none
        self._sequence = self.parameters[at]
        one = self.by_name[self._sequence].replace(name=element, default=Parameter.empty)
        parameters = [
            one if name == self._sequence else each for name, each in self.by_name.items()
        ]
        self.by_name = {each.name: each for each in parameters}
        self.parameters = tuple(self.by_name)
        self.open_calls = None

    def hints(self) -> dict[str, Any]:
        """Return the annotations of parameters; that of the values becomes that of one of them."""
        found = super().hints()
        inner = _inner(found.pop(self._sequence, ABSENT), 0)
        return found if inner is ABSENT else {**found, self.element: inner}

    def return_annotation(self) -> Any | Absent:
        """Return the annotation of one value of the mapping, or `ABSENT`."""
        found = super().return_annotation()
        inner = _inner(found, 1)
        if inner is ABSENT or not self.may_be_none:
            return inner
        return Union[inner, None]  # noqa: UP007  `|` is not for names of classes to come

    def unresolved(self) -> frozenset[str]:
        """Name the parameters whose annotation cannot be resolved yet."""
        waiting = super().unresolved()
        return frozenset(self.element if name == self._sequence else name for name in waiting)

    def collected(self, values: list[Any]) -> Any:
        """Return values as the function wants them: a list, a tuple or a set."""
        hint = super().hints().get(self._sequence)
        kinds = [kind for kind in _KINDS if any(each is kind for each in _origins(hint))]
        return kinds[0](values) if kinds else values


def element_signature(
    function: Callable[..., Any], key: Any, ignore: Any, *, may_be_none: bool
) -> ElementSignature:
    """Look at a function of many values; `UsageError` for what is none.

    `key` is the template, in which one name stands for a value of the sequence: one that is no
    parameter, or that of the sequence itself.
    """
    whole = FunctionSignature.of(function)
    hints = whole.hints()
    if not _may_be_mapping(whole.return_annotation()):
        raise UsageError(
            f"{whole.name} is annotated to return something other than a mapping",
            code="DC422",
            help="return a dict from each value to its result",
        )
    possible = _possible(whole, hints)
    if not possible:
        raise _no_sequence(whole, "has no parameter that holds several values")
    if not isinstance(key, str):
        raise UsageError(
            f"cache.many() of {whole.name} has no key",
            code="DC421",
            help=f'write key="…:{{{_singular(possible[0])}}}", which names one of its values',
        )
    names = parse_template(key, owner=whole.name).names
    known = {*whole.parameters, *whole.identity.names}
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if len(unknown) > 1:
        raise _no_element(whole, key, unknown, possible)
    # A key of all values at once is of no use: the name of their parameter stands for one of them.
    sequences = _sequences(possible, hints)
    named = [] if unknown or len(sequences) > 1 else [name for name in sequences if name in names]
    if not (unknown or named):
        raise _no_element(whole, key, unknown, possible)
    left = [name for name in possible if name not in names and name not in (ignore or ())]
    found = named or _sequences(left, hints)
    if len(found) != 1:
        problem = "does not show which parameter holds the values"
        raise _no_sequence(whole, problem, found)
    at = whole.parameters.index(found[0])
    element = unknown[0] if unknown else found[0]
    return ElementSignature(whole, at, element, may_be_none=may_be_none)


def _possible(whole: FunctionSignature, hints: Mapping[str, Any]) -> list[str]:
    """Return the parameters that may hold values: by their annotation, or for want of one."""
    found = []
    for name, parameter in whole.by_name.items():
        is_receiver = whole.is_in_class and name == whole.parameters[0] and name in ("self", "cls")
        hint = hints.get(name, ABSENT)
        if parameter.kind in _BUNDLES or is_receiver:
            continue
        if hint is ABSENT or hint is Any or hint is object or _is_sequence(hint):
            found.append(name)
    return found


def _sequences(names: list[str], hints: Mapping[str, Any]) -> list[str]:
    """Return the parameters that are annotated as sequences; all of them where none is."""
    return [name for name in names if _is_sequence(hints.get(name, ABSENT))] or names


def _is_sequence(hint: Any) -> bool:
    kinds = _origins(hint)
    return bool(kinds) and all(
        issubclass(kind, Iterable)
        and not issubclass(kind, (*_TEXTS, Mapping))
        and kind.__module__ in _FAMILIAR
        for kind in kinds
    )


def _may_be_mapping(hint: Any) -> bool:
    kinds = () if hint is ABSENT or hint is Any or hint is object else _origins(hint)
    return all(issubclass(kind, Mapping) for kind in kinds)


def _origins(hint: Any) -> list[type]:
    """Return the classes that an annotation names, but for `None`; none where it names others."""
    kinds = [get_origin(each) or each for each in _members(hint)]
    return kinds if all(isinstance(kind, type) for kind in kinds) else []


def _members(hint: Any) -> Sequence[Any]:
    """Return the members of a union but for `None`, or the annotation itself."""
    if get_origin(hint) is Annotated:
        return _members(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [one for each in get_args(hint) if each is not NoneType for one in _members(each)]
    return [hint]


def _inner(hint: Any, at: int) -> Any:
    """Return the annotation of the elements, or of the values; `ABSENT` where there is none."""
    for member in _members(hint):
        inner = get_args(member)
        if len(inner) > at:
            return inner[at]
    return ABSENT


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and len(name) > 1 else f"one_of_{name}"


def _no_sequence(whole: FunctionSignature, problem: str, found: Collection[str] = ()) -> UsageError:
    details = [("signature", str(whole))]
    if found:
        details.append(("possible", ", ".join(found)))
    return UsageError(
        f"{whole.name} {problem}",
        code="DC420",
        details=details,
        help='put the others into key="…" or ignore=(…)'
        if found
        else "take one parameter, like user_ids: Sequence[int]; for one value at a time "
        "write @cache(key=…)",
    )


def _no_element(
    whole: FunctionSignature, key: str, unknown: Sequence[str], possible: Sequence[str]
) -> UsageError:
    if unknown:
        shown = " and ".join(f"{{{name}}}" for name in unknown)
        problem = f"names {shown}, which are not parameters"
        fix = "keep the one that stands for a value; the others have to be parameters"
    else:
        problem = "does not name one of the values"
        fix = f"write {{{_singular(possible[0])}}}: any name that is not a parameter"
    return UsageError(
        f"the key of {whole.name} {problem}",
        code="DC421",
        details=[("key", f'"{key}"'), ("signature", str(whole))],
        help=fix,
    )
