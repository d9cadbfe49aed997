"""A function's policy, and one call of it: values that engine and faces share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct, field

from dualcache.core.counters import Counters
from dualcache.core.entry import NO_OWNER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.entry import Tag, ValueCodec
    from dualcache.core.front_ports import Read

__all__ = [
    "DYNAMIC_TTL_MS",
    "Call",
    "Counters",
    "FunctionPort",
    "Policy",
    "no_loader",
]

DYNAMIC_TTL_MS: Final = 86_400_000
"""The assumed lifetime of an entry before its ttl is known from its value."""


class FunctionPort(Protocol):
    """One function's part of the front tier."""

    def find(self, call: Call) -> Any:
        """Return the caller's own value, or MISSING."""

    def holds(self, call: Call) -> bool:
        """Tell whether a call would be answered from here."""
        ...

    def begin_read(self, names: Iterable[str]) -> Any:
        """Return a ticket for names that are about to be read."""

    def install(self, call: Call, value: Any, read: Read) -> None:
        """Keep what was read, if nothing of it can have changed since its tickets."""


class Policy(Struct, frozen=True):
    """How the values of one function are stored and served.

    `ttl_ms=None` stores for ever, 0 does not store. The callables take the result and then the
    call's arguments. `label` is the key template or the function's name, for events.
    """

    label: str
    value_codec: ValueCodec
    ttl_ms: int | None
    ttl_of: Callable[..., int | None] | None = None
    tags_of: Callable[..., tuple[str, ...]] | None = None
    condition: Callable[..., object] | None = None
    stale_if_error_ms: int = 0
    stale_while_revalidate_ms: int = 0
    timeout_ms: int | None = None
    hard_timeout_ms: int | None = None
    early: float = 0.0
    """How many load times before it goes stale an entry is loaded anew, on average; 0: never."""
    verify: float = 0.0
    """The share of hits after which the function is run again, and the values are compared."""
    stale_on: tuple[type[Exception], ...] | Callable[[Exception], object] | None = None
    """Which exceptions a stale value may stand in for: types, or what is asked; `None`: outages."""
    refresh_from: Callable[..., Any] | None = None
    """Loads in the place of the function where its old entry is there, which it takes first."""
    negative_ttl_ms: int | None = None
    """For how long an exception is remembered that the codec lists; `None`: none is."""
    jitter: float = 0.0
    counters: Counters = field(default_factory=Counters)
    owner: bytes = NO_OWNER
    """The mark in entries and markers of this function; direct calls have none."""
    front: FunctionPort | None = None
    """Where this function's values are kept in process; `None`: nowhere."""

    @property
    def stale_ms(self) -> int:
        """For how long an entry stays in the backend after it has gone stale."""
        revalidate_ms = self.stale_while_revalidate_ms
        return (
            max(self.stale_if_error_ms, revalidate_ms) if revalidate_ms else self.stale_if_error_ms
        )


def no_loader() -> None:
    """Stand for the loader of a call that never loads."""


class Call(Struct, frozen=True):
    """One call of one function: its key and tags in full, its arguments and what loads it.

    `may_lack`: the function returns MISSING where there is no such value. `beside`: what this call
    stores lies beside entries of other shapes, and is valid while those are there; see
    `engine/beside.py`.
    """

    key: str
    policy: Policy
    tags: tuple[str, ...] = ()
    function: Callable[..., Any] = no_loader
    args: tuple[Any, ...] = ()
    may_lack: bool = False
    beside: tuple[Tag, ...] = ()
