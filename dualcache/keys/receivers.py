"""Bound values as parts of a default key: a method's object, a partial's arguments.

An object is part of a key only where its value says which object it is.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from dualcache.errors import UnkeyableArgument
from dualcache.keys.canonical import canonical, class_name, class_of, digested
from dualcache.keys.classes import field_names, is_frozen
from dualcache.keys.compile import Value
from dualcache.keys.digests import is_secret_name
from dualcache.keys.escaping import escape_part
from dualcache.keys.scalars import is_scalar_value

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from dualcache.keys.identity import Bound
    from dualcache.keys.placeholders import Field
    from dualcache.keys.signature import FunctionSignature

__all__ = ["bound_parts", "constant", "constants_of", "receiver_form", "unkeyed_receivers"]

CONSTANT = "(None)"
_IMMUTABLE = (str, bytes, int, float, complex, tuple, frozenset, Enum)


def bound_parts(
    signature: FunctionSignature, ignore: Collection[str], *, is_named: bool
) -> list[str | Value]:
    """Write the bound values of a function, as if they came before the arguments of a call.

    `UnkeyableArgument` now for what can never be part of a key; a name that was given stands for
    such an object too.
    """
    parts: list[str | Value] = []
    unkeyed = unkeyed_receivers(signature) if is_named else []
    for one in signature.identity.bound:
        if one.name in ignore or any(one.value is each for each in unkeyed):
            continue
        write = _bound_form(signature, one)
        parts.append(f":{escape_part(one.name)}=" if one.is_extra else ":")
        parts.append(constant(one.value, write))
    return parts


def unkeyed_receivers(signature: FunctionSignature) -> list[Any]:
    """Return the objects that are bound and are not their value."""
    objects = [one.value for one in signature.identity.bound if one.is_receiver]
    return [each for each in objects if not isinstance(each, type) and not _has_key(class_of(each))]


def constant(value: Any, write: Callable[[Any], str], field: Field | None = None) -> Value:
    """Return a part of a name that comes from no argument.

    It is written anew at each call, since an object that is bound may change.
    """
    # In parentheses, so that nothing is taken for the whole of what is written.
    return Value(CONSTANT, lambda _: value, lambda _: write(value), lambda error: error, field)


def constants_of(parts: Iterable[str | Value]) -> str:
    """Return, as one text, the current parts of a name that come from no argument."""
    values = [part for part in parts if isinstance(part, Value) and part.source == CONSTANT]
    return "".join([f"\0{part.write(part.read(()))}" for part in values])


def _bound_form(signature: FunctionSignature, one: Bound) -> Callable[[Any], str]:
    if one.is_receiver:
        if not isinstance(one.value, type):
            _refuse_no_value(signature, class_of(one.value))
        return receiver_form(signature)
    write = digested if is_secret_name(one.name) else canonical
    try:
        write(one.value)
    except UnkeyableArgument as error:
        raise UnkeyableArgument(
            f"{one.name}, which a partial binds for {signature.name}, cannot be part of a key",
            code="DC110",
            details=error.details,
            help=f'only if the result never depends on it: ignore=("{one.name}",); otherwise give '
            "the resulting function a name= or a key=",
        ) from error
    return write


def receiver_form(signature: FunctionSignature) -> Callable[[Any], str]:
    """Return the writer of `self` or `cls`; it refuses an object that is not its value."""

    def write(receiver: Any) -> str:
        if isinstance(receiver, type):
            return class_name(receiver)
        _refuse_no_value(signature, class_of(receiver))
        return canonical(receiver)

    return write


def _has_key(kind: type[Any]) -> bool:
    return hasattr(kind, "__cache_key__") or _is_value(kind)


def _refuse_no_value(signature: FunctionSignature, kind: type[Any]) -> None:
    if not _has_key(kind):
        raise UnkeyableArgument(
            f"{signature.name} has no key for its object",
            code="DC112",
            details=[
                ("type", f"{kind.__module__}.{kind.__qualname__} is not a frozen value"),
                ("either", f"def __cache_key__(self): return self.id    in {kind.__name__}"),
                ("or", f'@cache(key="{kind.__name__.lower()}:{{self.id}}:…")'),
            ],
            help="say how two objects differ, or freeze the class if it is a value",
        )


def _is_value(kind: type[Any]) -> bool:
    """Tell whether a class's objects cannot change: frozen of any make, or immutable by base."""
    if issubclass(kind, _IMMUTABLE) or is_scalar_value(kind):
        return True
    return field_names(kind) is not None and is_frozen(kind)
