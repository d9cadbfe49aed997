"""The options of the endpoint decorator, checked; also in the order of their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.functions.first_argument import Unnamed, refuse_duration

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["ENDPOINT", "EndpointOptions", "endpoint_options", "is_endpoint", "positional"]

ENDPOINT: Final = (
    "key_prefix",
    "resource_id_name",
    "resource_id_type",
    "to_invalidate_extra",
    "pattern_to_invalidate_extra",
    "query",
)
POSITIONS: Final = (
    "key_prefix",
    "resource_id_name",
    "expiration",
    "resource_id_type",
    "to_invalidate_extra",
    "pattern_to_invalidate_extra",
)
"""What values without a name are, in the order of the decorator that this spelling comes from."""
FAMILIES: Final = (
    '@cache(key="user:{user_id}") or @cache(key_prefix="user", resource_id_name="user_id")'
)


class EndpointOptions(NamedTuple):
    """The options of the endpoint decorator, checked."""

    prefix: str
    names: tuple[str, ...] = ()
    types: tuple[type, ...] = (int,)
    is_type_written: bool = False
    extra: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    query: bool | tuple[str, ...] | None = None
    """Whether the request's query and path count, or which names of them; `None`: the framework
    decides."""

    @property
    def invalidates(self) -> bool:
        """Whether anything besides the own key is to be deleted: such an endpoint never reads."""
        return bool(self.extra or self.patterns)


def is_endpoint(options: Collection[str]) -> bool:
    """Tell whether options of `cache(...)` are written in the endpoint's spelling."""
    return any(name in options for name in ENDPOINT)


def positional(values: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with those that were written first and without their names."""
    if not isinstance(values[0], str) or len(values) > len(POSITIONS):
        raise UsageError(
            "cache() got values that it has no place for",
            code="DC400",
            details=[("places", ", ".join(POSITIONS))],
            help="write a function alone, or a key_prefix and what follows it, or names",
        )
    refuse_duration(values[0])
    written = dict(zip(POSITIONS, (Unnamed(values[0]), *values[1:]), strict=False))
    for name in written:
        if name in options:
            several = "prefixes" if name == "key_prefix" else f"values of {name}"
            raise UsageError(
                f"cache() has two {several}",
                code="DC400",
                help=f"write {name} once, in its place or by its name",
            )
    return {**written, **options}


def endpoint_options(options: Mapping[str, Any], owner: str) -> EndpointOptions:
    """Check the endpoint's options; `UsageError` that says which ones belong together."""
    written = [name for name in ENDPOINT if name in options]
    for name in ("key", "name"):
        if options.get(name) is not None:
            raise UsageError(
                f"{name} of {owner} does not go with {written[0]}",
                code="DC400",
                details=[("either", FAMILIES)],
                help="key= names the whole key, key_prefix= lets the id follow: write one of them; "
                "after key=, invalidate with @cache.invalidates",
            )
    prefix = options.get("key_prefix")
    if prefix is None:
        raise UsageError(
            f"{written[0]} of {owner} needs key_prefix",
            code="DC400",
            details=[("either", FAMILIES)],
            help='add key_prefix="…": the key is made of it and the id',
        )
    types = options.get("resource_id_type", MISSING)
    return EndpointOptions(
        _text(prefix, "key_prefix", owner),
        _names(options.get("resource_id_name"), owner),
        (int,) if types is MISSING else _types(types, owner),
        types is not MISSING,
        _extra(options.get("to_invalidate_extra"), owner),
        _patterns(options.get("pattern_to_invalidate_extra"), owner),
        _query(options.get("query"), owner),
    )


def _text(value: object, option: str, owner: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise _not(option, owner, "text that is not empty")


def _names(value: object, owner: str) -> tuple[str, ...]:
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    wanted = "the name of a parameter, or a tuple of several"
    if not isinstance(names, tuple | list) or not names:
        raise _not("resource_id_name", owner, wanted)
    for name in names:
        steps = name.split(".") if isinstance(name, str) else [""]
        if not all(step.isidentifier() for step in steps):
            raise _not("resource_id_name", owner, wanted)
    return tuple(names)


def _types(value: object, owner: str) -> tuple[type, ...]:
    types: Any = value if isinstance(value, tuple | list) else (value,)
    if not types or not all(isinstance(kind, type) for kind in types):
        raise _not("resource_id_type", owner, "a type, or a tuple of types")
    return tuple(types)


def _extra(value: Any, owner: str) -> tuple[tuple[str, str], ...]:
    wanted = 'a dict of templates like {"user_posts": "{user_id}", "latest_posts": "global"}'
    if value is None:
        return ()
    if not hasattr(value, "items"):
        raise _not("to_invalidate_extra", owner, wanted)
    pairs = tuple(value.items())
    if not all(isinstance(each, str) and each for pair in pairs for each in pair):
        raise _not("to_invalidate_extra", owner, wanted)
    return pairs


def _patterns(value: Any, owner: str) -> tuple[str, ...]:
    wanted = 'a list of patterns like ["user_{user_id}_*"]'
    if value is None:
        return ()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise _not("pattern_to_invalidate_extra", owner, wanted)
    patterns = tuple(value)
    if not all(isinstance(each, str) and each for each in patterns):
        raise _not("pattern_to_invalidate_extra", owner, wanted)
    return patterns


def _query(value: Any, owner: str) -> bool | tuple[str, ...] | None:
    if value is None or isinstance(value, bool):
        return value
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, tuple | list | set | frozenset) or not all(
        isinstance(each, str) for each in names
    ):
        raise _not("query", owner, 'True, False, or the names that count, like ("page", "q")')
    return tuple(names)


def _not(option: str, owner: str, wanted: str) -> UsageError:
    return UsageError(f"{option} of {owner} is not {wanted}", code="DC408", help=f"write {wanted}")
