"""The object of a method as part of a default key: only where it is what its value is."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from dualcache.core.canonical import canonical, class_name, class_of, field_names
from dualcache.core.scalars import is_scalar_value
from dualcache.errors import UnkeyableArgument

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.calls.signature import CallSignature

__all__ = ["receiver_form"]

_IMMUTABLE = (str, bytes, int, float, complex, tuple, frozenset, Enum)


def receiver_form(signature: CallSignature) -> Callable[[Any], str]:
    """Return what writes `self` or `cls`; it refuses an object that is not its value."""

    def write(receiver: Any) -> str:
        if isinstance(receiver, type):
            return class_name(receiver)
        kind = class_of(receiver)
        if hasattr(kind, "__cache_key__") or _is_value(kind):
            return canonical(receiver)
        raise UnkeyableArgument(
            f"{signature.name} has no key for its object",
            code="DC112",
            details=[
                ("type", f"{kind.__module__}.{kind.__qualname__} is no frozen value"),
                ("either", f"def __cache_key__(self): return self.id    in {kind.__name__}"),
                ("or", f'@cache(key="{kind.__name__.lower()}:{{self.id}}:…")'),
            ],
            help="name what tells two objects apart, or freeze the class if it is a value",
        )

    return write


def _is_value(kind: type[Any]) -> bool:
    """Tell whether a class's objects cannot change: frozen of any make, or immutable by base."""
    if issubclass(kind, _IMMUTABLE) or is_scalar_value(kind):
        return True
    if field_names(kind) is None:
        return False
    dataclass_options = getattr(kind, "__dataclass_params__", None)
    struct_options = getattr(kind, "__struct_config__", None)
    model_options: dict[str, Any] = (
        getattr(kind, "model_config", {}) if hasattr(kind, "__pydantic_fields__") else {}
    )
    return bool(
        getattr(dataclass_options, "frozen", False)
        or getattr(struct_options, "frozen", False)
        or model_options.get("frozen", False)
        or kind.__setattr__.__name__ == "_frozen_setattrs"  # attrs marks it by nothing else
    )
