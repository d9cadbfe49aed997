"""A flight: one load of one key that several callers of this process share, and the ops on it.

Plain state. Who may join or take over is decided in `engine/flights.py`; waiting and locking is a
driver's.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from msgspec import Struct

from dualcache.core.ops import Op

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from dualcache.core.entry import Packed
    from dualcache.core.ops import Keeping, Loaded, Raised

__all__ = [
    "ABANDONED",
    "ANY_TAG",
    "AwaitFlight",
    "CloseFlights",
    "EndFlight",
    "Flight",
    "FlightResult",
    "Join",
    "JoinReply",
    "Load",
    "Outcome",
    "Stage",
    "TakeOver",
    "failure_of",
    "set_context",
    "value_if_any",
    "value_of",
]


# By the base: a frozen dataclass of the user's refuses to have any attribute set, these too.
set_context: Final[Callable[[BaseException, BaseException | None], None]] = vars(BaseException)[
    "__context__"
].__set__


class Outcome(Struct, frozen=True):
    """How a read ended: with a value, or with the exception that the user's function raised.

    `sequence` is when the value was known to be current: a caller that began later must look for
    itself. `packed` is the value as bytes, if followers can have copies made of it. `traceback` and
    `context` are those of the exception before it was raised again.
    """

    value: Any
    error: Exception | None = None
    sequence: int = -1
    packed: Packed | None = None
    traceback: TracebackType | None = None
    context: BaseException | None = None


def failure_of(error: Exception, sequence: int) -> Outcome:
    """Return the outcome of a load that raised."""
    return Outcome(None, error, sequence, None, error.__traceback__, error.__context__)


def value_if_any(outcome: Outcome | None) -> Any:
    """Return the value of an outcome, or raise as `value_of` does; `None` where there is none."""
    try:
        return None if outcome is None else value_of(outcome)
    finally:
        del outcome  # as there


def value_of(outcome: Outcome) -> Any:
    """Return the value of an outcome, or raise the user's own exception.

    All who waited for a load raise the same exception, each with the traceback that it came with:
    no caller's frames stand in another's report.
    """
    # The clean-up at the end breaks the cycle from the exception over its traceback and this frame
    # back to it: it would keep the user's frames, and all they hold, until the collector runs.
    error, context = outcome.error, outcome.context
    if error is None:
        return outcome.value
    set_context(error, context)
    try:
        raise error.with_traceback(outcome.traceback)
    finally:
        if context is not None:  # what the caller is handling has taken its place
            set_context(error, context)
        del outcome, error, context


class FlightResult(Struct, frozen=True):
    """How a flight ended; `outcome` is `None` where its leader was cancelled or interrupted."""

    outcome: Outcome | None


ABANDONED = FlightResult(None)


class Stage(NamedTuple):
    """How far a flight has come: a wait that began in one stage is no reason to end another.

    `takeovers` counts the successors, `load_sequence` says when the latest load began,
    `announced_ms` how long a load of another process that the leader waits for was said to last.
    """

    takeovers: int = 0
    load_sequence: int | None = None
    announced_ms: float = 0.0


class Flight:
    """The load of `key`, led by one caller, and by a successor where that takes too long.

    `load_sequence` says when the latest load began, `seen_version` what the key held when the first
    began: a caller who finds the same there knows that nothing was invalidated since. `start` is
    where that load starts from, so that a successor may commit there too. `threads` are the
    leaders', `leaders` how many still load, `awaited` the flights that a leader's context waits
    for. `landed` are those who wait, each woken once after the landing. `next` is the flight that
    those share who waited for this one and may not take its result. `revoked` is a flight of this
    key whose tags were invalidated while it loads. `is_orphaned` tells whether its leader is stuck:
    its event loop does not run. `trace` is the trace context of its load, where that is traced.
    """

    __slots__ = (
        "__weakref__",
        "announced_ms",
        "awaited",
        "is_open",
        "is_orphaned",
        "key",
        "landed",
        "leader",
        "leaders",
        "load_sequence",
        "next",
        "result",
        "revoked",
        "seen_version",
        "start",
        "tags",
        "takeovers",
        "threads",
        "trace",
    )

    def __init__(self, key: str, leader: object, thread: int, tags: tuple[str, ...] = ()) -> None:
        self.key = key
        self.tags = tags
        self.leader = leader
        self.leaders = 1
        self.threads = [thread]
        self.trace = ""
        self.is_open = True
        self.is_orphaned: Callable[[], bool] = _never
        self.load_sequence: int | None = None
        self.announced_ms = 0.0
        self.takeovers = 0
        self.seen_version: tuple[bytes, Any] | None = None
        self.start: Any = None
        self.next: Flight | None = None
        self.revoked: Flight | None = None
        self.awaited: list[Flight] = []
        self.result: FlightResult | None = None
        self.landed: list[tuple[AwaitFlight, Callable[[], None]]] = []

    @property
    def stage(self) -> Stage:
        """How far it has come by now."""
        return Stage(self.takeovers, self.load_sequence, self.announced_ms)


def _never() -> bool:
    """Answer for a leader that runs in a thread: that always goes on."""
    return False


LoadReply: TypeAlias = "Loaded | Raised"


class Load(Op[LoadReply]):
    """Run the user's function. Cancellation and interrupts are raised at the yield instead.

    `flights` are those that this load leads, so that what the function calls never waits for them.
    `keeping` is to be done beside the function, and has ended when the reply comes.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    flights: tuple[Flight, ...] = ()
    keeping: Keeping | None = None


class JoinReply(Enum):
    """The replies to a `Join` that give no flight."""

    ALONE = "alone"
    """Waiting could never end: load without a flight."""
    MUST_LOOK = "must_look"
    """A load is under way that may be too old for this caller: read the key first."""


ANY_TAG = ""
"""Stands among the tags of a flight for those that only its result will tell."""


class Join(Op["Flight | JoinReply"]):
    """Follow the flight of `key` if its load is young enough for this caller, else lead a new one.

    The reply is a flight; the caller leads it iff its `leader` is this very op. A lenient caller
    takes the result of an older load too. A patient one waits for its end, and then asks again:
    `after` is the flight that was waited for, whose waiters share the next. `led` is the flight
    that the caller leads, for the driver: an interrupt may take the reply from the caller.
    """

    key: str
    began: int
    seen_version: Any = None
    has_looked: bool = False
    is_lenient: bool = False
    is_patient: bool = False
    after: Flight | None = None
    tags: tuple[str, ...] = ()
    led: Flight | None = None


class AwaitFlight(Op["FlightResult | None"]):
    """Wait for a flight to land, for at most `wait_ms`; `None` when that is over.

    `result` is given to those who wait when it lands: a flight keeps no exception.
    """

    flight: Flight
    wait_ms: float
    result: FlightResult | None = None


class TakeOver(Op[bool]):
    """Lead a flight beside its leader: true for the first whose wait ended in this stage of it.

    The others go on waiting, for whichever load ends first. `is_taken` says the same as the reply,
    to a caller from whom an interrupt takes that.
    """

    flight: Flight
    stage: Stage
    is_taken: bool = False


class EndFlight(Op[None]):
    """End a flight: nobody joins it any more, its followers wake.

    The first result ends it. A leader who gives up does not, while another still loads.
    """

    flight: Flight
    result: FlightResult


class CloseFlights(Op[None]):
    """Let no newcomer join the flights of these keys, or with these tags (`None`: any flight)."""

    names: tuple[str, ...] | None
