"""A row of the table of options: `Option`, where it may be written, what it becomes a part of."""

from __future__ import annotations

from enum import Enum, Flag, auto
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Option", "Part", "Where", "unchecked"]


class Where(Flag):
    """The places where options are written."""

    CACHE = auto()
    """`Cache(…)`."""
    ENVIRONMENT = auto()
    """The variable `DUALCACHE_` and the name, or a settings object."""
    URL = auto()
    """The query of the cache's URL."""
    DECORATOR = auto()
    """`@cache(…)` over any function."""
    ENDPOINT = auto()
    """`@cache(…)` over an endpoint alone."""
    MANY = auto()
    """`@cache.many(…)` alone; it takes those of `@cache(…)` too."""
    LOAD = auto()
    """`get_or_load` and `get_or_load_many`."""
    STORE = auto()
    """`set`, `set_many` and `add`."""
    COUNT = auto()
    """`incr` and `decr`."""


class Part(Enum):
    """The part of the cache that an option becomes a field of."""

    CACHE = auto()
    """The cache itself, or one direct call."""
    KEY = auto()
    """Keys and tags of a function: a field of `Naming`."""
    POLICY = auto()
    """How values are stored and served: a field of `Policy`."""
    VALUE = auto()
    """How values become bytes: an argument of `make_value_codec`."""
    ENDPOINT = auto()
    """Key and deletions of an endpoint: a field of `EndpointOptions`."""
    CONNECTION = auto()
    """How a server is reached: a field of `Target`."""
    TLS = auto()
    """The same, where the connection is encrypted."""
    SENTINEL = auto()
    """How the Sentinels are reached: a field of `Target`."""
    MEMORY = auto()
    """The store in memory: a field of `Target`."""


def unchecked(value: Any, option: str, *, owner: str) -> Any:
    """Return the value: it is checked later, with the function's signature or the codec."""
    del option, owner
    return value


class Option(Struct, frozen=True):
    """One option: a row of the table."""

    name: str
    part: Part
    where: Where
    default: Any
    """The value where none is written; a function takes that of its cache first."""
    line: str
    """Its line in the reference."""
    check: Callable[..., Any] = unchecked
    """Takes `(value, name, owner=…)`, returns the clean value; errors name option and owner."""
    unit: str = ""
    """The unit of the clean value: `ms`, `s`, `bytes`, `entries`; empty: it is no quantity."""
    takes_result: bool = False
    """Whether it may be a function of a call's result and arguments, asked at each store."""
    may_be_async: bool = False
    """Whether such a function may have to be awaited: it loads, as the cached function does."""
    spellings: tuple[str, ...] = ()
    """Other names that the decorator takes for it."""
    needs: str = ""
    """The option without which it means nothing."""
    elsewhere: tuple[str, ...] = ()
    """Its names in other caches: suggested in errors, not taken."""

    @property
    def field(self) -> str:
        """The name of the field that its clean value becomes."""
        return f"{self.name}_ms" if self.unit == "ms" else self.name
