"""Objects of classes with fields, and members of enums, by the name and the shape of the class.

Dataclasses, attrs, msgspec structs, NamedTuples, pydantic models: at any depth in what a function
returns that does not say so. A class is used only in a process that has learned it: by having
stored one, or by an annotation that names it. Nothing is imported. An object is made without its
`__init__` and gets the state that it had, so what a class derives, hides or freezes comes back as
it was; only a struct can be made by nothing but its constructor.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum, Flag
from types import MemberDescriptorType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    NamedTuple,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)
from weakref import WeakKeyDictionary, WeakValueDictionary

from dualcache.codecs import generics, subclasses
from dualcache.codecs.names import found, name_of, not_learned
from dualcache.codecs.objects import UNSET, is_value_class, state_of
from dualcache.codecs.shapes import class_shape
from dualcache.core.codec_ids import other_shape
from dualcache.keys.main_module import module_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["learn", "parts_of", "raised"]

_MODEL_STATE: Final = ("__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
_CHECKED: Final = (bool, int, float, str, bytes)
_CACHED_HASH: Final = "_attrs_cached_hash"
_make_flags: Final[Any] = vars(Flag)["_missing_"].__func__


class _Way(NamedTuple):
    """How the objects of one class are taken apart and put together.

    `types` are those of the fields whose annotation is a plain type. `path` says where the class is
    found, or the generic model of which it is made for some types; `None` where it belongs to a
    call of a function. Nothing here refers to the class: it would never be forgotten.
    """

    name: str
    shape: bytes
    fields: tuple[str | int, ...]
    types: tuple[type | None, ...]
    slots: frozenset[str]
    make: Callable[[Any, dict[Any, Any], frozenset[str]], Any]
    path: tuple[str, str] | None


_learned: Final[WeakValueDictionary[str, type]] = WeakValueDictionary()
_ways: Final[WeakKeyDictionary[type, _Way | None]] = WeakKeyDictionary()


def parts_of(value: Any) -> tuple[str, bytes, Any] | None:
    """Return the name and shape of a value's class, and its plain parts; `None`: it is not kept.

    The parts of an object: the names of the fields that it lacks, the values of its fields in their
    order, then names and values of whatever else it holds.
    """
    kind: type[Any] = type(value)
    if isinstance(value, Enum):
        return _parts_of_member(value, kind)
    way = _way_of(kind)
    if way is None or not _learn(kind, way):
        return None
    state = {name: part for name, part in state_of(value).items() if part is not UNSET}
    # A field without a place in __init__ may be an attribute of the class, and none of the object.
    lacking = [name for name in way.fields if name not in state]
    values = [state.pop(name, None) for name in way.fields]
    if _CACHED_HASH in state or not _are_fit(values, way.types):
        return None  # a hash differs in each process
    rest = [part for pair in state.items() for part in pair]
    return way.name, way.shape, [lacking, *values, *rest]


def raised(name: str, shape: bytes, parts: Any, known: set[str] | None) -> Any:
    """Make an object of a class that this cache has learned, if it has the same shape here."""
    kind = _learned.get(name)
    if kind is None or not (known is None or name in known):
        raise not_learned(name)
    way = _way_of(kind)
    if not _is_current(kind, way):
        raise not_learned(name)
    own = class_shape(kind) if way is None else way.shape
    if own != shape:
        raise other_shape(own)
    if way is None:
        return _raised_member(kind, parts)
    if type(parts) is not list:
        raise TypeError
    ends = 1 + len(way.fields)
    lacking, values, rest = parts[0], parts[1:ends], parts[ends:]
    if not _are_fit(values, way.types):
        raise TypeError
    state = dict(zip(way.fields, values, strict=True))
    state.update(zip(rest[::2], rest[1::2], strict=True))
    if len(state) != len(values) + len(rest) // 2 or any(type(key) is not str for key in rest[::2]):
        raise ValueError
    for each in lacking:
        if state.pop(each) is not None:
            raise ValueError
    return way.make(kind, state, way.slots)


def learn(annotation: Any, known: set[str] | None = None) -> None:
    """Learn the classes that an annotation names, also those of the fields of its classes.

    `known` gets their names; `None`: all that this process has learned is known.
    """
    rest: list[Any] = [annotation]
    seen: list[Any] = []
    for each in rest:
        if any(each is one for one in seen):  # by identity: some classes have no hash
            continue
        seen.append(each)
        rest += [get_origin(each), *get_args(each)]
        with suppress(Exception):  # the user's classes are looked at: anything may be raised
            for name in _learned_names(each):
                if name is not None and known is not None:
                    known.add(name)
        if isinstance(each, type) and (is_value_class(each) or is_typeddict(each)):
            rest += _hints_of(each).values()


def _learned_names(each: Any) -> tuple[str | None, ...]:
    """Learn what an annotation is itself; return the names that it has, each or `None`."""
    if isinstance(each, type):
        return subclasses.learn_class(each), _learn_class(each)
    return (generics.learn_alias(each),)


def _learn_class(kind: type) -> str | None:
    if issubclass(kind, Enum):
        name = name_of(kind)
        if name is not None:
            _learned[name] = kind
        return name
    way = _way_of(kind)
    return None if way is None or not _learn(kind, way) else way.name


def _hints_of(kind: type) -> dict[str, Any]:
    """Return the annotations of a class; none where a name is not there, or whatever is raised."""
    with suppress(Exception):
        return get_type_hints(kind)
    return {}


def _parts_of_member(value: Enum, kind: Any) -> tuple[str, bytes, str | int] | None:
    """Return the parts of a member: its name, or the bits of combined flags."""
    parts: Any = value._name_
    name = name_of(kind)
    if kind.__members__.get(parts or "") is not value:
        parts = value._value_
        if not _are_bits(parts, kind) or _combined(kind, parts) is not value:
            return None
    if name is None:
        return None
    _learned[name] = kind
    return name, class_shape(kind), parts


def _raised_member(kind: Any, parts: Any) -> Any:
    if _are_bits(parts, kind):
        return _combined(kind, parts)
    return kind.__members__[parts]


def _are_bits(value: Any, kind: Any) -> bool:
    """Tell whether a value is made of the named flags of a class, and of no other bit."""
    is_int = type(value) is int
    return is_int and issubclass(kind, Flag) and not value & ~vars(kind)["_flag_mask_"]


def _combined(kind: Any, bits: int) -> Any:
    """Return combined flags as `Flag` makes them; no code of the class runs."""
    made = kind._value2member_map_.get(bits)
    return _make_flags(kind, bits) if made is None else made


def _learn(kind: type, way: _Way) -> bool:
    """Learn a class; `False` where another one has its name.

    The class that a function makes anew at each call is learned once: an object of one of them is
    none of another.
    """
    if way.path is None:
        return _learned.setdefault(way.name, kind) is kind
    if not _is_current(kind, way):
        return False
    _learned[way.name] = kind
    return True


def _is_current(kind: type, way: _Way | None) -> bool:
    """Tell whether a class still has its name: not one that was defined anew since."""
    module, path = (kind.__module__, kind.__qualname__) if way is None else way.path or ("", "")
    return not module or found(module, path) is _origin_of(kind)


def _origin_of(kind: Any) -> Any:
    """Return the generic model of which a class is made for some types; else the class itself."""
    generic = getattr(kind, "__pydantic_generic_metadata__", None)
    return (generic and generic["origin"]) or kind


def _named(kind: Any) -> tuple[str | None, tuple[str, str] | None]:
    """Return the stored name of a class with fields, and where it is found; see `_Way`."""
    if "<locals>" in kind.__qualname__:
        return f"{module_name(kind.__module__)}:{kind.__qualname__}", None
    origin = _origin_of(kind)
    name, path = name_of(origin), (origin.__module__, origin.__qualname__)
    if origin is kind or name is None:
        return name, path
    args = [f"{each.__module__}:{each!r}" for each in kind.__pydantic_generic_metadata__["args"]]
    return f"{name}[{','.join(args)}]", path


def _way_of(kind: type) -> _Way | None:
    try:
        return _ways[kind]
    except KeyError:
        way = _ways[kind] = _made_way(kind) if is_value_class(kind) else None
        return way


def _made_way(kind: Any) -> _Way | None:
    from dataclasses import fields

    name, path = _named(kind)
    if name is None:
        return None
    make: Callable[..., Any] = _make_plain
    if issubclass(kind, tuple):
        names, make = cast("Any", kind)._fields, _make_tuple
    elif hasattr(kind, "__struct_fields__"):
        names, make = kind.__struct_fields__, _make_struct
    elif hasattr(kind, "__attrs_attrs__"):
        names = [field.name for field in kind.__attrs_attrs__]
    elif hasattr(kind, "__dataclass_fields__"):
        names = [field.name for field in fields(kind)]
    else:
        names = [*kind.__pydantic_fields__, *_MODEL_STATE]
    hints = _hints_of(kind)
    wanted = [hints.get(each) for each in names]
    types = tuple([each if any(each is one for one in _CHECKED) else None for each in wanted])
    places = range(len(names)) if issubclass(kind, tuple) else names
    return _Way(name, class_shape(kind), tuple(places), types, _slots_of(kind), make, path)


def _are_fit(values: Sequence[Any], types: Sequence[type | None]) -> bool:
    """Tell whether each value is one of its field's type: also `None`, and an int for a float."""
    for value, kind in zip(values, types, strict=True):
        is_fit = kind is None or value is None or isinstance(value, kind)
        if not is_fit and not (kind is float and type(value) is int):
            return False
    return True


def _slots_of(kind: type) -> frozenset[str]:
    """Return the names of the slots of a class and its bases."""
    pairs = (pair for base in kind.__mro__ for pair in base.__dict__.items())
    return frozenset(name for name, each in pairs if isinstance(each, MemberDescriptorType))


def _make_plain(kind: Any, state: dict[str, Any], slots: frozenset[str]) -> Any:
    """Make an object as pickle would, but run no code of its class, such as a property's."""
    made: Any = object.__new__(kind)
    for name in state.keys() & slots:
        object.__setattr__(made, name, state.pop(name))
    if state:
        made.__dict__.update(state)
    return made


def _make_tuple(kind: Any, state: dict[Any, Any], _: frozenset[str]) -> Any:
    made = tuple.__new__(kind, [state.pop(at) for at in range(len(kind._fields))])
    if state:
        vars(made).update(state)
    return made


def _make_struct(kind: Any, state: dict[str, Any], _: frozenset[str]) -> Any:
    made = kind(**{name: state.pop(name) for name in kind.__struct_fields__})
    if state:
        vars(made).update(state)
    return made
