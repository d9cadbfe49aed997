"""What one function, or one direct call, asks of the cache: checked, with times in ms."""

from __future__ import annotations

from datetime import timedelta
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct, field

from dualcache.core.callables import adapted
from dualcache.core.entry import MISSING, NO_OWNER
from dualcache.errors import UsageError
from dualcache.options.checks import to_share
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dualcache.core.entry import ValueCodec
    from dualcache.core.front_ports import FrontPort

DYNAMIC_TTL_MS: Final = 86_400_000
"""What an entry is taken to last before its ttl is known from its value."""


READ_WEIGHT: Final = 1 / 16
"""How much one read moves the running share of hits."""


class Counters:
    """Counters of one function; each is only ever added to, so a lost race costs one count."""

    __slots__ = (
        "coalesced",
        "hits",
        "load_ms",
        "loads",
        "misses",
        "recent_hits",
        "stale_hits",
        "unread",
        "unstored",
    )

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin counting anew."""
        self.hits = 0
        self.misses = 0
        self.stale_hits = 0
        self.coalesced = 0
        self.loads = 0
        self.unstored = 0
        self.unread = 0
        self.load_ms: float | None = None
        self.recent_hits = 1.0
        """Share of hits among recent reads, as a running mean."""

    def add(self, other: Counters) -> None:
        """Add what another function counted; the load time is that of the last one measured."""
        self.hits += other.hits
        self.misses += other.misses
        self.stale_hits += other.stale_hits
        self.coalesced += other.coalesced
        self.loads += other.loads
        self.unstored += other.unstored
        self.unread += other.unread
        self.load_ms = self.load_ms if other.load_ms is None else other.load_ms

    def count_miss(self) -> None:
        """Count a caller who has to load."""
        self.misses += 1
        self.recent_hits -= self.recent_hits * READ_WEIGHT

    def count_load(self, load_ms: float) -> None:
        """Let `load_ms` enter the running mean of load times."""
        self.loads += 1
        known = self.load_ms
        self.load_ms = load_ms if known is None else known + (load_ms - known) / 4


class Policy(Struct, frozen=True):
    """How the values of one function are stored and served.

    `ttl_ms=None` stores for ever, 0 does not store. The callables take the result and then the
    call's arguments. `label` is the key template or the function's name, for events.
    """

    label: str
    recipe: ValueCodec
    ttl_ms: int | None
    ttl_of: Callable[..., int | None] | None = None
    tags_of: Callable[..., tuple[str, ...]] | None = None
    condition: Callable[..., object] | None = None
    stale_if_error_ms: int = 0
    stale_on: tuple[type[Exception], ...] | Callable[[Exception], object] | None = None
    """Which exceptions a stale value may stand in for: types, or what is asked; `None`: outages."""
    jitter: float = 0.0
    usage: Counters = field(default_factory=Counters)
    owner: bytes = NO_OWNER
    """What entries and markers of this function carry; direct calls have none."""
    front: FrontPort | None = None
    """Where this function's values are kept in process; `None`: nowhere."""


def no_loader() -> None:
    """Stand for the loader of a call that never loads."""


class Call(Struct, frozen=True):
    """One call of one function: its key and tags in full, its arguments and what loads it.

    `may_lack`: the function returns MISSING where there is no such value.
    """

    key: str
    policy: Policy
    tags: tuple[str, ...] = ()
    function: Callable[..., Any] = no_loader
    args: tuple[Any, ...] = ()
    may_lack: bool = False


class Options(NamedTuple):
    """The options of a decorator or a direct call as the user wrote them; MISSING: not written."""

    ttl: Any = MISSING
    jitter: Any = MISSING
    stale_if_error: Any = MISSING
    condition: Any = None
    stale_on: Any = MISSING


def make_policy(
    label: str,
    recipe: ValueCodec,
    options: Options,
    defaults: Options,
    *,
    owner: str,
    parameters: Collection[str] = (),
    tags_of: Callable[..., tuple[str, ...]] | None = None,
    usage: Counters | None = None,
    front: FrontPort | None = None,
    mark: bytes = NO_OWNER,
) -> Policy:
    """Check options, convert their units, and fill in the cache's defaults.

    Raises `UsageError` that names the option and `owner`; `parameters` name its calls'
    arguments (a direct call has none), and `mark` is what its entries carry.
    """
    ttl = defaults.ttl if options.ttl is MISSING else options.ttl
    jitter = defaults.jitter if options.jitter is MISSING else options.jitter
    stale = defaults.stale_if_error if options.stale_if_error is MISSING else options.stale_if_error
    condition = options.condition
    if condition is not None:
        condition = adapted(condition, parameters, option="condition", owner=owner)
    is_dynamic = callable(ttl)
    return Policy(
        label=label,
        recipe=recipe,
        ttl_ms=DYNAMIC_TTL_MS
        if is_dynamic
        else to_ms(ttl, option="ttl", owner=owner, allow_none=True),
        ttl_of=dynamic_ttl(ttl, parameters, owner) if is_dynamic else None,
        tags_of=tags_of,
        condition=condition,
        stale_if_error_ms=to_ms(stale, option="stale_if_error", owner=owner),
        stale_on=to_stale_on(
            defaults.stale_on if options.stale_on is MISSING else options.stale_on, owner
        ),
        jitter=to_share(jitter, "jitter", owner=owner),
        usage=usage or Counters(),
        owner=mark,
        front=front,
    )


def to_stale_on(
    value: Any, owner: str
) -> tuple[type[Exception], ...] | Callable[[Exception], object] | None:
    """Check which exceptions a stale value may stand in for; one type is written alone."""
    if value is None or value is MISSING:
        return None
    kinds = (value,) if isinstance(value, type) else value
    if isinstance(kinds, tuple | list | set | frozenset):
        if kinds and all(isinstance(each, type) and issubclass(each, Exception) for each in kinds):
            return tuple(kinds)
    elif callable(value) and not iscoroutinefunction(value):
        return value  # type: ignore[no-any-return]
    raise UsageError(
        f"stale_on of {owner} says of no exception whether it counts",
        code="DC412",
        help="write stale_on=TimeoutError, or a tuple of subclasses of Exception, or a function "
        "of the exception",
    )


def dynamic_ttl(
    ttl_of: Callable[..., Any], parameters: Collection[str], owner: str
) -> Callable[..., int | None]:
    """Return a callable's ttl in ms; it is checked like a written one each time.

    What has ended already is not stored: a negative ttl is 0.
    """
    called = adapted(ttl_of, parameters, option="ttl", owner=owner)

    def ttl_ms(result: Any, *args: Any) -> int | None:
        ttl = called(result, *args)
        if isinstance(ttl, int | float) and ttl < 0:
            return 0
        if isinstance(ttl, timedelta) and ttl < timedelta(0):
            return 0
        return to_ms(ttl, option="ttl", owner=owner, allow_none=True)

    return ttl_ms
