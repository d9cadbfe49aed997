"""The options of the endpoint decorator, checked; also in the order of their positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.errors import UsageError
from dualcache.functions.first_argument import Unnamed, refuse_duration
from dualcache.options.option import Where
from dualcache.options.table import OPTIONS, checked, names
from dualcache.options.written import lonely

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["POSITIONS", "EndpointOptions", "endpoint_options", "is_endpoint", "positional"]

POSITIONS: Final = (
    "key_prefix",
    "resource_id_name",
    "expiration",
    "resource_id_type",
    "to_invalidate_extra",
    "pattern_to_invalidate_extra",
)
"""The options that values without a name stand for, in the order of the original decorator."""
_ENDPOINT: Final = names(Where.ENDPOINT)
_FAMILIES: Final = (
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
    return any(name in options for name in _ENDPOINT)


def positional(values: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options, those that were written by position under their names."""
    if not isinstance(values[0], str) or len(values) > len(POSITIONS):
        raise UsageError(
            "cache() got more values without names than it takes",
            code="DC400",
            details=[("places", ", ".join(POSITIONS))],
            help="write only a function, or a key_prefix and the options after it, or name the "
            "options",
        )
    refuse_duration(values[0])
    written = dict(zip(POSITIONS, (Unnamed(values[0]), *values[1:]), strict=False))
    for name in written:
        if name in options:
            several = "prefixes" if name == "key_prefix" else f"values of {name}"
            raise UsageError(
                f"cache() has two {several}",
                code="DC400",
                help=f"write {name} once, by position or by name",
            )
    return {**written, **options}


def endpoint_options(options: Mapping[str, Any], owner: str) -> EndpointOptions:
    """Check the options of an endpoint; a `UsageError` says which of them belong together."""
    written = [name for name in _ENDPOINT if name in options]
    for name in ("key", "name"):
        if options.get(name) is not None:
            raise UsageError(
                f"{name} of {owner} cannot be combined with {written[0]}",
                code="DC400",
                details=[("either", _FAMILIES)],
                help="key= is the whole key, and the id follows key_prefix=: write one of them; "
                "with key=, invalidate by @cache.invalidates",
            )
    alone = lonely(options, _ENDPOINT)
    if alone is not None:
        raise UsageError(
            f"{alone.name} of {owner} needs {alone.needs}",
            code="DC400",
            details=[("either", _FAMILIES)],
            help='add key_prefix="…": the key is made of it and the id',
        )
    clean = {
        name: checked(name, options.get(name, OPTIONS[name].default), owner=owner)
        for name in _ENDPOINT
    }
    return EndpointOptions(
        prefix=clean["key_prefix"],
        names=clean["resource_id_name"],
        types=clean["resource_id_type"],
        is_type_written="resource_id_type" in options,
        extra=clean["to_invalidate_extra"],
        patterns=clean["pattern_to_invalidate_extra"],
        query=clean["query"],
    )
