"""Whether the backend may be asked, and which deletions are pending: state that emits nothing."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.ops import CommitWay
from dualcache.engine.cut_keys import CutKeys
from dualcache.engine.lost_leases import LostLeases

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = [
    "CONFIGURATION_PAUSE_MS",
    "FIRST_PAUSE_MS",
    "LONGEST_PAUSE_MS",
    "MOST_PENDING",
    "Breaker",
    "Health",
    "LackingWays",
    "Owned",
    "PendingDeletion",
]

FIRST_PAUSE_MS: Final = 500
LONGEST_PAUSE_MS: Final = 2_000
CONFIGURATION_PAUSE_MS: Final = 10_000
_TIMEOUTS_TO_OPEN: Final = 2
MOST_PENDING: Final = 10_000


class Breaker:
    """The circuit breaker; `is_closed` is all that a healthy caller reads.

    Closed, it lets everything pass. After enough failures in a row it opens for a while; then one
    caller tries, and its luck decides (M. Nygard, "Release It!", 2007). Times are of a clock that
    never goes back. Callers of several threads may share one: a lost race lets one more caller try,
    no more.
    """

    __slots__ = ("_pause_ms", "_retry_at_ms", "_whole", "events", "failures", "is_closed")

    def __init__(self, whole: Breaker | None = None) -> None:
        self.is_closed = True
        self.failures = 0
        self.events = 0
        """How many failures were counted so far; an op notes it when it begins."""
        self._whole = whole
        """The breaker of a whole cluster, which numbers the failures of all of its nodes."""
        self._pause_ms = 0
        self._retry_at_ms = 0

    def may_try(self, now_ms: int) -> bool:
        """Let everybody pass while closed; after each pause, one caller.

        That caller need not come back: the next pause begins at once.
        """
        if self.is_closed:
            return True
        if now_ms < self._retry_at_ms:
            return False
        self._retry_at_ms = now_ms + self._pause_ms
        return True

    def is_pausing(self, now_ms: int) -> bool:
        """Tell whether nobody may try, without using up the one attempt after the pause."""
        return not self.is_closed and now_ms < self._retry_at_ms

    def succeeded(self) -> bool:
        """Note an answer; return whether the breaker was open until now."""
        was_open = not self.is_closed
        self.failures = 0
        self._pause_ms = 0
        self.is_closed = True
        return was_open

    def failed(
        self, now_ms: int, *, since: int, is_certain: bool, is_configuration: bool = False
    ) -> int:
        """Note a failure; return the pause in ms if the breaker opened by it, else 0.

        `since` is what `events` was when the op began. A failure that was counted meanwhile is the
        same event, seen by another caller: counted again, a hiccup that met five readers would look
        like five time-outs in a row.

        `is_certain`: nothing is listening there, so the first failure opens it; a time-out has to
        happen twice in a row. A wrong password is not tried again at full pace (accounts lock).
        """
        if since < self.events:
            return 0
        whole = self if self._whole is None else self._whole
        # Numbered for all nodes together: an op of several nodes notes one number when it begins.
        whole.events += 1
        self.events = whole.events
        was_closed = self.is_closed
        self.failures += 1
        if was_closed and not is_certain and self.failures < _TIMEOUTS_TO_OPEN:
            return 0
        self._pause_ms = (
            CONFIGURATION_PAUSE_MS
            if is_configuration
            else min(LONGEST_PAUSE_MS, max(FIRST_PAUSE_MS, 2 * self._pause_ms))
        )
        self._retry_at_ms = now_ms + self._pause_ms
        self.is_closed = False
        return self._pause_ms if was_closed else 0


class LackingWays:
    """The ways to commit that there were before one was found lacking; when all are tried again."""

    __slots__ = ("before", "is_told", "retry_at_ms")

    def __init__(self) -> None:
        self.before: tuple[CommitWay, ...] = ()
        self.retry_at_ms = 0
        self.is_told = False


class Owned(NamedTuple):
    """The entries of one function: they carry `owner`, and their keys match `pattern`.

    A key that was too long is stored under a shorter name, of which only the head is sure to match.
    """

    owner: bytes
    pattern: str


class PendingDeletion(NamedTuple):
    """A deletion to be delivered: keys and tags in full, patterns without the namespace.

    Under those of the keys that are `held` nothing is to be stored until `hold_ends_ms`, by the
    clock that never goes back.
    """

    keys: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    functions: tuple[Owned, ...] = ()
    held: tuple[str, ...] = ()
    hold_ends_ms: int = 0

    @property
    def globs(self) -> tuple[str, ...]:
        """Patterns that match, among others, every key that is deleted by a scan."""
        if not self.functions:
            return self.patterns
        return (*self.patterns, *[function.pattern for function in self.functions])


class Health:
    """Whether the backend may be asked; `is_clear` is all that a healthy flow reads.

    In a cluster each node has one, and `whole` is that of all: clear if each of its `nodes` is.
    Threads may share one: each pending deletion is a separate object under a separate number, so
    adding and removing never race.
    """

    __slots__ = (
        "_numbers",
        "_whole",
        "are_stores_stopped",
        "breaker",
        "closed",
        "cut_keys",
        "cut_searches",
        "has_overflowed",
        "is_clear",
        "lacking",
        "leave_at_ms",
        "lost_leases",
        "masters",
        "missing_rights",
        "nodes",
        "pending",
        "refused",
        "ways",
    )

    def __init__(self, whole: Health | None = None) -> None:
        self._whole = whole
        self.nodes: tuple[Health, ...] = ()
        self.breaker: Breaker = Breaker(None if whole is None else whole.breaker)
        self.closed: dict[Hashable, int] = {}
        """Until when a command is not sent, since the connection is closed at it."""
        self.cut_searches = 0
        """How often in a row a search was cut while a read was answered: see `note_closed`."""
        self.cut_keys = CutKeys()
        self.ways: tuple[CommitWay, ...] = tuple(CommitWay)
        """How to compare-and-set, best first, without what the server turned down."""
        self.lacking = LackingWays()
        self.leave_at_ms = 0
        self.lost_leases = LostLeases()
        self.masters = 0
        """How often another server became the master; an op that reads notes it when it begins."""
        self.missing_rights: dict[str, object] = {}
        """The rights whose absence was told; each is told once."""
        self.pending: dict[int, PendingDeletion] = {}
        self.refused: dict[int, PendingDeletion] = {}
        self.is_clear = True
        self.has_overflowed = False
        self.are_stores_stopped = False
        self._numbers = count()

    @property
    def whole(self) -> Health:
        """The health of the whole cluster, which knows what all nodes have in common."""
        return self if self._whole is None else self._whole

    @property
    def pending_count(self) -> int:
        """How many deletions are still to be delivered, to all nodes."""
        return len(self.pending) + len(self.refused) + sum(n.pending_count for n in self.nodes)

    @property
    def is_available(self) -> bool:
        """Whether everything may be asked: no breaker is open, and no deletion was dropped."""
        is_own = self.breaker.is_closed and not self.has_overflowed
        return is_own and all(node.is_available for node in self.nodes)

    def not_clear(self) -> None:
        """Let flows look before they ask."""
        self.is_clear = self.whole.is_clear = False

    def note_failures(self) -> None:
        """Note whether any node has failed since it last answered: hits then tell who answers."""
        if self._whole is not None:
            nodes = self._whole.nodes
            self._whole.breaker.failures = sum([node.breaker.failures for node in nodes])

    def keep(self, deletion: PendingDeletion) -> int:
        """Keep a deletion for the replay; return how many were dropped by that, as too many.

        Beyond the bound all are dropped and reads stay off: one that is forgotten would let an old
        value be served for as long as it lives.
        """
        # Kept first, then not clear: see `settle`.
        self.pending[next(self._numbers)] = deletion
        kept = len(self.pending)
        if kept > MOST_PENDING:
            self.has_overflowed = True
            self.pending.clear()
        self.not_clear()
        return kept if kept > MOST_PENDING else 0

    def set_aside(self, deletion: PendingDeletion) -> bool:
        """Keep a deletion that no replay can deliver; return whether it is the first of those."""
        is_first = not self.refused
        self.refused[next(self._numbers)] = deletion
        if len(self.refused) > MOST_PENDING:
            del self.refused[next(iter(self.refused))]
        return is_first

    def settle(self) -> None:
        """See whether all is well again."""
        # Another thread may keep a deletion meanwhile. It keeps it first and then says that all is
        # not clear; here it is the other way round, so that one of the two sees the other. In the
        # same order both could look before the other writes, and the deletion would stay behind.
        self.is_clear = True
        is_open = not self.breaker.is_closed
        if self.pending or self.has_overflowed or is_open or self.cut_keys.reads:
            self.is_clear = False
        if not all(node.is_clear for node in self.nodes):
            self.is_clear = False
        if self._whole is not None:
            self._whole.settle()
