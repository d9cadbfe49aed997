"""Functions under a decorator of somebody else's that takes `*args` and `**kwargs`.

Such a function shows the signature of what it wraps, but can be called in other ways: the decorator
may supply an argument, a session above all. So a call is passed on as it came, and one that does
not fit the signature is bound without the parameters that it leaves to the decorator.
"""

from __future__ import annotations

import inspect
from enum import Enum
from inspect import Parameter, Signature
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from dualcache.keys.annotations import is_keyable_annotation
from dualcache.keys.written import compile_binder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

__all__ = [
    "PLAIN",
    "GivenValues",
    "OpenCalls",
    "ShownSignature",
    "Supplied",
    "aproved_first",
    "called_signature",
    "loader_of",
    "proved_first",
]


POSITIONAL: Final = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
BUNDLES: Final = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
PLAIN: Final = frozenset({int, str, float, bool, bytes, type(None)})
Shape: TypeAlias = tuple[int, frozenset[str]]
"""How many arguments a call gives by position, and which by name."""


class ShownSignature(Protocol):
    """The shown parameters of a function; see `keys.signature`."""

    function: Callable[..., Any]
    qualname: str
    by_name: Mapping[str, Parameter]
    first_is_receiver: bool

    def hints(self) -> dict[str, Any]: ...


class Supplied(Enum):
    """Stands for an argument that the decorator beneath supplies."""

    __module__ = "dualcache"  # keys hold it

    BENEATH = "beneath"


class GivenValues(tuple[Any, ...]):  # noqa: SLOT001  a tuple subclass cannot have other slots
    """The values of a call in signature order, and the call as it is passed on."""

    loader: Callable[..., Any]
    """Takes the values, and passes the call on."""
    shape: Shape
    is_certain: bool
    """Whether the values surely are those of the parameters that templates name."""


def loader_of(values: tuple[Any, ...], loader: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls the loader with just these values."""
    return values.loader if isinstance(values, GivenValues) else loader


class OpenCalls:
    """How calls of one such function are bound, and passed on.

    `named` are the parameters that templates name. Where a call gave others too, these might be
    what the decorator takes, or stand where it puts its own; then what templates name is passed on
    by name: it lands in the parameter that the key was made of, or Python refuses the call.
    """

    def __init__(self, signature: ShownSignature, named: Collection[str]) -> None:
        self._signature = signature
        self._named = frozenset(named)
        self._parameters = tuple(signature.by_name.values())
        self._reduced: dict[Shape, Callable[..., tuple[Any, ...]]] = {}
        self._proven: set[Shape] = set()
        self.strict = compile_binder(self._parameters, signature.qualname)
        self.suspects = self._suspects()

    def prove(self, values: GivenValues) -> None:
        """Note that a call of this shape ran: what templates name was where they look for it."""
        self._proven.add(values.shape)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> GivenValues:
        """Return the values of a call, `Supplied` where the decorator beneath has one to give.

        Raises the `TypeError` of the function itself for a call that fits in no way.
        """
        shape = (len(args), frozenset(kwargs))
        reduced = self._reduced.get(shape)
        if reduced is not None:
            return self.given(reduced(*args, **kwargs), args, kwargs)
        try:
            return self.given(self.strict(*args, **kwargs), args, kwargs)
        except TypeError as error:
            misfit = error
        for kept in self._without_supplied(kwargs):
            try:
                reduced = self._binder_of(kept)
                values = reduced(*args, **kwargs)
            except TypeError:
                continue
            self._reduced[shape] = reduced
            return self.given(values, args, kwargs)
        try:
            raise misfit
        finally:
            del misfit  # its traceback holds this frame

    def given(
        self, values: tuple[Any, ...], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> GivenValues:
        """Return the values of a call together with the way in which it is passed on."""
        made, function = GivenValues(values), self._signature.function
        made.shape = (len(args), frozenset(kwargs))
        is_plain = any(type(values[at]) in PLAIN for at in self.suspects if at < len(args))
        made.is_certain = not is_plain or made.shape in self._proven
        if self._named:
            positional = [
                parameter.name
                for parameter, value in zip(self._parameters, values, strict=True)
                if parameter.kind in POSITIONAL and value is not Supplied.BENEATH
            ]
            given = {*positional[: len(args)], *kwargs}
            if not given <= self._named or len(args) > len(positional):
                args, kwargs = self._by_name(values, given)
        made.loader = lambda *_: function(*args, **kwargs)
        return made

    def _suspects(self) -> tuple[int, ...]:
        """Return the places of parameters that no template names, before one that a template names.

        A plain value there may belong to the parameter after it, if the decorator puts an argument
        of its own first. A session or a request surely stands where it belongs.
        """
        places = [at for at, each in enumerate(self._parameters) if each.name in self._named]
        first = 1 if self._signature.first_is_receiver else 0
        last = places[-1] if places else 0
        return tuple(at for at in range(first, last) if at not in places)

    def _by_name(
        self, values: tuple[Any, ...], given: Collection[str]
    ) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for parameter, value in zip(self._parameters, values, strict=True):
            name, kind = parameter.name, parameter.kind
            if kind is Parameter.VAR_POSITIONAL:
                args += value
            elif kind is Parameter.VAR_KEYWORD:
                kwargs.update(value)
            elif value is Supplied.BENEATH or not (name in given or name in self._named):
                continue
            elif kind is Parameter.POSITIONAL_ONLY or (
                kind in POSITIONAL and name not in self._named and not kwargs
            ):
                args.append(value)
            else:
                kwargs[name] = value
        return args, kwargs

    def _without_supplied(self, kwargs: Mapping[str, Any]) -> Iterator[tuple[Parameter, ...]]:
        """Yield the parameters without one, two or three of those that may be supplied.

        First those that cannot be part of a key, then from the left, where most decorators add.
        """
        hints = self._signature.hints()
        required = [
            each.name
            for at, each in enumerate(self._parameters)
            if each.kind not in BUNDLES
            and each.default is Parameter.empty
            and each.name not in self._named
            and each.name not in kwargs
            and not (at == 0 and self._signature.first_is_receiver)
        ]
        required.sort(key=lambda name: is_keyable_annotation(hints.get(name)) is not False)
        for count in (1, 2, 3):
            for left in combinations(required, count):
                yield tuple(each for each in self._parameters if each.name not in left)

    def _binder_of(self, kept: Sequence[Parameter]) -> Callable[..., tuple[Any, ...]]:
        """Compile a binder of some parameters that returns the values of all of them."""
        names = [each.name for each in kept]
        bind = compile_binder(kept, self._signature.qualname)

        def binder(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
            found = dict(zip(names, bind(*args, **kwargs), strict=True))
            return tuple(found.get(each.name, Supplied.BENEATH) for each in self._parameters)

        return binder


def proved_first(calls: OpenCalls, perform: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `perform` that runs the function itself while it is not certain what a key names."""

    def perform_proved(values: GivenValues) -> Any:
        if values.is_certain:
            return perform(values)
        result = values.loader(*values)
        calls.prove(values)
        return result

    return perform_proved


def aproved_first(calls: OpenCalls, perform: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same for a coroutine function."""

    async def perform_proved(values: GivenValues) -> Any:
        if values.is_certain:
            return await perform(values)
        result = await values.loader(*values)
        calls.prove(values)
        return result

    return perform_proved


def called_signature(function: Callable[..., Any], shown: Signature) -> tuple[Signature, bool]:
    """Return the signature by which a function can be called, and whether it is open.

    `shown` is what `inspect` finds, which is the signature of the innermost function.
    """
    if not hasattr(function, "__wrapped__"):
        return shown, False
    try:
        own = inspect.signature(function, follow_wrapped=False)
    except (ValueError, TypeError):  # made in C, as by functools.lru_cache
        return shown, False
    if not any(each.kind in BUNDLES for each in own.parameters.values()):
        return own, False
    if [*own.parameters] == [*shown.parameters]:
        return shown, False
    return _merged(own, shown), True


def _merged(own: Signature, shown: Signature) -> Signature:
    """Split the arguments into those that a decorator takes itself and those that it hands on."""
    before = [each for each in own.parameters.values() if each.kind not in BUNDLES]
    if {each.name for each in before} <= shown.parameters.keys():
        return shown
    names = {each.name for each in before}
    after = [each for each in shown.parameters.values() if each.name not in names]
    try:
        return shown.replace(parameters=sorted([*before, *after], key=lambda each: each.kind))
    except ValueError:  # one without a default after one with a default
        return own
