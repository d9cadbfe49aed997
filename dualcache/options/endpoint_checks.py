"""Checks of the endpoint decorator's options, each apart from the others."""

from __future__ import annotations

from typing import Any

from dualcache.errors import UsageError

__all__ = [
    "to_extra_keys",
    "to_id_names",
    "to_id_types",
    "to_patterns",
    "to_prefix",
    "to_query_names",
]


def to_prefix(value: object, option: str, *, owner: str) -> str:
    """Check the template that all keys of an endpoint begin with."""
    if isinstance(value, str) and value:
        return value
    raise _not(option, owner, "text that is not empty")


def to_id_names(value: object, option: str, *, owner: str) -> tuple[str, ...]:
    """Check the names of the parameters that are the id; none: they are inferred."""
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    wanted = "the name of a parameter, or a tuple of several"
    if not isinstance(names, tuple | list) or not names:
        raise _not(option, owner, wanted)
    for name in names:
        steps = name.split(".") if isinstance(name, str) else [""]
        if not all(step.isidentifier() for step in steps):
            raise _not(option, owner, wanted)
    return tuple(names)


def to_id_types(value: object, option: str, *, owner: str) -> tuple[type, ...]:
    """Check the types that an id may have."""
    types: Any = value if isinstance(value, tuple | list) else (value,)
    if not types or not all(isinstance(kind, type) for kind in types):
        raise _not(option, owner, "a type, or a tuple of types")
    return tuple(types)


def to_extra_keys(value: Any, option: str, *, owner: str) -> tuple[tuple[str, str], ...]:
    """Check the templates of other keys that a write deletes: pairs of prefix and id."""
    wanted = 'a dict of templates like {"user_posts": "{user_id}", "latest_posts": "global"}'
    if value is None:
        return ()
    if not hasattr(value, "items"):
        raise _not(option, owner, wanted)
    pairs = tuple(value.items())
    if not all(isinstance(each, str) and each for pair in pairs for each in pair):
        raise _not(option, owner, wanted)
    return pairs


def to_patterns(value: Any, option: str, *, owner: str) -> tuple[str, ...]:
    """Check the patterns of other keys that a write deletes."""
    wanted = 'a list of patterns like ["user_{user_id}_*"]'
    if value is None:
        return ()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise _not(option, owner, wanted)
    patterns = tuple(value)
    if not all(isinstance(each, str) and each for each in patterns):
        raise _not(option, owner, wanted)
    return patterns


def to_query_names(value: Any, option: str, *, owner: str) -> bool | tuple[str, ...] | None:
    """Check which parts of a request's query belong to the key: all, none, or these names."""
    if value is None or isinstance(value, bool):
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, tuple | list | set | frozenset) or not all(
        isinstance(each, str) for each in names
    ):
        raise _not(option, owner, 'True, False, or the names that count, like ("page", "q")')
    return tuple(names)


def _not(option: str, owner: str, wanted: str) -> UsageError:
    return UsageError(f"{option} of {owner} is not {wanted}", code="DC408", help=f"write {wanted}")
