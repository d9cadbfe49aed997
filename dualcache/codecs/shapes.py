"""The shape of what is stored: a fingerprint of the types that say how its bytes are read.

Of names, types, order and defaults of fields, members of enums, keys of TypedDicts, and what runs
when an object is made. Names of modules are left out, so that a class may move. Two processes that
run the same code get the same fingerprint: nothing in it depends on addresses or hashes.
"""

from __future__ import annotations

import inspect
import sys
import types
import typing
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from dualcache.codecs.objects import is_value_class, state_of
from dualcache.codecs.scalars import LOWERED
from dualcache.core.entry import MISSING, SHAPE_BYTES
from dualcache.core.interrupts import interrupt_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Description = str | tuple[Any, ...]

__all__ = ["NO_SHAPE", "Shape", "class_shape", "shape_of"]

NO_SHAPE: Final = b""
"""The shape of values whose type nothing says: each is read as what it is."""
_PERSON: Final = b"dualcache shape"
_UNIONS: Final = (typing.Union, types.UnionType)
_PLAIN: Final = (type(None), bool, int, str, bytes, float, type(...))
_AFTER_INIT: Final = ("__post_init__", "__attrs_post_init__", "model_post_init")
_FIELD_OPTIONS: Final = ("alias", "validation_alias", "exclude", "frozen", "init", "metadata")
_TELLING: Final = ("attr", "functools", "msgspec", "pydantic")
"""Packages whose objects hold nothing but what the user wrote at a field."""
_BOUNDS: Final = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")
_TOLD: Final = (*_BOUNDS, "tz", "factory", "takes_self", "func", "args", "keywords")

_classes: Final[WeakKeyDictionary[type, bytes]] = WeakKeyDictionary()


class Shape(typing.NamedTuple):
    """The fingerprint of an annotation, and the one it has where `None` is allowed as well.

    If it is already, `other` is that without the `None`: a direct call may write either.
    """

    own: bytes
    other: bytes


def shape_of(annotation: Any) -> Shape:
    """Return the fingerprint of an annotation; `NO_SHAPE` where there is none, or none to take."""
    if annotation is MISSING:
        return Shape(NO_SHAPE, NO_SHAPE)
    try:
        described, is_optional = _described_optional(annotation)
    except Exception as error:  # the user's classes are looked at: anything may be raised
        if interrupt_in(error) is not None:
            raise
        return Shape(NO_SHAPE, NO_SHAPE)
    return Shape(_digest((described, is_optional)), _digest((described, not is_optional)))


def class_shape(kind: type) -> bytes:
    """Return the fingerprint of a class, taken once."""
    known = _classes.get(kind)
    if known is None:
        known = _classes[kind] = _digest(_Describer().of_class(kind))
    return known


def _digest(description: Description) -> bytes:
    from hashlib import blake2b  # loads OpenSSL: not at import, and not before the first call

    data = repr(description).encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=SHAPE_BYTES, person=_PERSON).digest()


def _described_optional(annotation: Any) -> tuple[Description, bool]:
    """Describe an annotation without the `None` that it allows, and tell whether it does."""
    describer = _Describer()
    if typing.get_origin(annotation) not in _UNIONS:
        return describer.of_type(annotation), annotation is None
    args = typing.get_args(annotation)
    rest = [each for each in args if each is not type(None)]
    described = describer.of_type(rest[0]) if len(rest) == 1 else describer.of_union(rest)
    return described, len(rest) < len(args)


class _Describer:
    """Describes types and values by nested tuples of text, the same in every process."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def of_type(self, annotation: Any) -> Description:
        """Describe an annotation."""
        origin = typing.get_origin(annotation)
        if origin in _UNIONS:
            return self.of_union(typing.get_args(annotation))
        if origin is typing.Literal:
            return ("literal", *map(self.of_value, typing.get_args(annotation)))
        if origin is typing.Annotated:
            noted = map(self.of_value, annotation.__metadata__)
            return ("noted", self.of_type(annotation.__origin__), *noted)
        if origin is not None:
            args = map(self.of_type, typing.get_args(annotation))
            return ("of", self.of_type(origin), *args)
        if isinstance(annotation, type):
            return self.of_class(annotation)
        named = getattr(annotation, "__supertype__", None) or getattr(annotation, "__value__", None)
        if named is not None:  # NewType, and what `type X = …` makes
            return self._once(annotation, lambda: self.of_type(named))
        if isinstance(annotation, list):  # the parameters of a Callable
            return ("list", *map(self.of_type, annotation))
        if isinstance(annotation, str | typing.ForwardRef):  # it could not be resolved
            return ("named", getattr(annotation, "__forward_arg__", annotation))
        return self.of_value(annotation)

    def of_union(self, args: Iterable[Any]) -> Description:
        """Describe a union; the order counts, as it does to pydantic."""
        return ("union", *map(self.of_type, args))

    def of_class(self, kind: type) -> Description:
        """Describe a class by what its objects hold."""
        return self._once(kind, lambda: (_name(kind), *self._parts(kind)))

    def of_value(self, value: Any) -> Description:
        """Describe a default, a bound, a function; by its type alone where that is all to know."""
        kind: type[Any] = type(value)
        if kind in _PLAIN or kind in LOWERED:
            return (kind.__name__, repr(value))
        if isinstance(value, type):
            return self.of_class(value)
        if isinstance(value, Enum):
            return (_name(kind), value.name)
        if kind in (list, tuple):
            return (kind.__name__, *map(self.of_value, value))
        if kind in (set, frozenset):
            return (kind.__name__, *sorted(map(repr, map(self.of_value, value))))
        if kind is dict:
            return (
                "dict",
                *[(self.of_value(key), self.of_value(part)) for key, part in value.items()],
            )
        code = getattr(value, "__code__", None)
        if code is not None:
            return ("function", value.__qualname__, self._code(code))
        return self._once(value, lambda: (_name(kind), *self._state(value)))

    def _once(self, each: Any, describe: Callable[[], Description]) -> Description:
        """Describe what may contain itself once; a second time, its name is enough."""
        if id(each) in self._seen:
            return ("again", _name(each if isinstance(each, type) else type(each)))
        self._seen[id(each)] = each  # held, so that no other object gets its address
        return describe()

    def _code(self, code: types.CodeType) -> Description:
        consts = [
            self._code(each) if isinstance(each, types.CodeType) else self.of_value(each)
            for each in code.co_consts
        ]
        return (code.co_code.hex(), *code.co_names, *consts)

    def _state(self, value: Any) -> Iterator[Description]:
        """Describe what an object holds that takes part in reading: a constraint, a factory.

        Of any other object only the class is told: what it holds may differ in each process.
        """
        kind = type(value)
        state: dict[Any, Any] = {}
        if is_value_class(kind):
            state = state_of(value)
        elif _is_librarys(kind):
            own = getattr(value, "__dict__", {})
            state = {name: getattr(value, name, None) for name in (*own, *_TOLD)}
        for name, part in state.items():
            yield (str(name), self.of_value(part))

    def _parts(self, kind: type) -> Iterator[Description]:
        for mark, parts in _KINDS.items():
            if hasattr(kind, mark):
                yield from parts(self, kind)
                break
        for name in _AFTER_INIT:
            run = getattr(kind, name, None)
            if getattr(run, "__code__", None) is not None and not _is_librarys(run):
                yield self.of_value(run)

    def enum(self, kind: Any) -> Iterator[Description]:
        for name, member in kind.__members__.items():
            yield (name, self.of_value(member.value))

    def typed_dict(self, kind: Any) -> Iterator[Description]:
        required: frozenset[str] = kind.__required_keys__
        for name, part in _hints(kind).items():
            yield (name, self.of_type(part), str(name in required))

    def named_tuple(self, kind: Any) -> Iterator[Description]:
        hints, defaults = _hints(kind), kind._field_defaults
        for name in kind._fields:
            yield self._field(name, hints.get(name), defaults.get(name, MISSING))

    def dataclass(self, kind: Any) -> Iterator[Description]:
        hints = _hints(kind)
        for name, field in kind.__dataclass_fields__.items():
            rest = (field.default, field.default_factory, field.init)
            yield self._field(name, hints.get(name, field.type), *rest)

    def attrs(self, kind: Any) -> Iterator[Description]:
        hints = _hints(kind)
        for field in kind.__attrs_attrs__:
            rest = (field.default, field.init, field.converter)
            yield self._field(field.name, hints.get(field.name, field.type), *rest)

    def struct(self, kind: Any) -> Iterator[Description]:
        hints, names, defaults = _hints(kind), kind.__struct_fields__, kind.__struct_defaults__
        config = kind.__struct_config__
        yield (str(config.tag), str(config.tag_field), str(config.array_like))
        without = [MISSING] * (len(names) - len(defaults))
        spelled = kind.__struct_encode_fields__
        for name, own, default in zip(names, spelled, (*without, *defaults), strict=True):
            yield self._field(name, hints.get(name), own, default)

    def model(self, kind: Any) -> Iterator[Description]:
        for name, field in kind.__pydantic_fields__.items():
            options = [getattr(field, option, None) for option in _FIELD_OPTIONS]
            yield self._field(
                name, field.annotation, field.default, field.default_factory, *options
            )
        config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
        yield self.of_value(dict(config))
        decorators = getattr(kind, "__pydantic_decorators__", None)
        for group in state_of(decorators).values():
            for name, each in group.items() if isinstance(group, dict) else ():
                yield (name, self.of_value(getattr(each.func, "__func__", each.func)))

    def _field(self, name: str, annotation: Any, *rest: Any) -> Description:
        return (name, self.of_type(annotation), *map(self.of_value, rest))


_KINDS: Final[dict[str, Callable[[_Describer, Any], Iterator[Description]]]] = {
    "__members__": _Describer.enum,
    "__required_keys__": _Describer.typed_dict,
    "__pydantic_fields__": _Describer.model,
    "__struct_fields__": _Describer.struct,
    "__attrs_attrs__": _Describer.attrs,
    "__dataclass_fields__": _Describer.dataclass,
    "_field_defaults": _Describer.named_tuple,
}
"""The mark of each kind of class, and the description of its parts; the first that fits wins."""


def _is_librarys(each: Any) -> bool:
    """Tell whether a library of ours made it: its next release is no release of the user's."""
    return str(each.__module__).partition(".")[0] in _TELLING


def _name(kind: type) -> str:
    """Return the name of a class: with its module only where that belongs to Python."""
    module = str(kind.__module__)
    is_python = module.partition(".")[0] in sys.stdlib_module_names
    return f"{module}.{kind.__qualname__}" if is_python else str(kind.__qualname__)


def _hints(kind: type) -> dict[str, Any]:
    """Return the annotations of a class; as they are written where they cannot be resolved."""
    with suppress(Exception):  # a name that is not there, or whatever an annotation raises
        return typing.get_type_hints(kind, include_extras=True)
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        found.update(inspect.get_annotations(base))
    return found
