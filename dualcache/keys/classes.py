"""Classes of values: dataclasses, NamedTuples, attrs, msgspec and pydantic. None is imported."""

from __future__ import annotations

from typing import Any

__all__ = ["field_names", "is_frozen"]


def field_names(kind: type[Any]) -> tuple[str, ...] | None:
    """Name the fields of a dataclass, NamedTuple, attrs, msgspec or pydantic class, else `None`."""
    if (fields := getattr(kind, "__dataclass_fields__", None)) is not None:
        # As dataclasses.fields() does it, which would have to be imported.
        return tuple(name for name, one in fields.items() if one._field_type.name == "_FIELD")  # noqa: SLF001
    if (structure := getattr(kind, "__struct_fields__", None)) is not None:
        return tuple(structure)
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return tuple(attribute.name for attribute in attributes)
    if (model := getattr(kind, "__pydantic_fields__", None)) is not None:
        return tuple(model)
    if issubclass(kind, tuple) and (names := getattr(kind, "_fields", None)) is not None:
        return tuple(names)
    return None


def is_frozen(kind: type[Any]) -> bool:
    """Tell whether such a class lets nobody set the fields of an object."""
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
