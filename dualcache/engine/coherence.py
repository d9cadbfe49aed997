"""When the front tier may keep what was read, and when it may serve it: a push state machine.

Names that changed come in as pushes; reads ask for a ticket before they are sent. Nothing is kept
that may have changed since, nothing is served beyond the bound on staleness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.scope import LoadScope

__all__ = ["BUCKETS", "CLOSED", "PASSED_BEFORE_PROOF", "Coherence", "Ticket"]

BUCKETS: Final = 4_096
"""Counters are shared by names of equal hash: a collision only costs one installation."""
CLOSED: Final = float("-inf")
PASSED_BEFORE_PROOF: Final = 3
"""Copies that a load reads on the server before it asks for a proof, which costs about as much."""


class Ticket(NamedTuple):
    """The counters of some names before they were read."""

    epoch: int
    marks: tuple[tuple[str, int], ...]


class Coherence:
    """The state of one stream of pushes.

    `epoch` rises at each loss: whatever was read before is not kept. `push_epoch` counts the
    streams, so that a connection can tell for which its reads are tracked. `open_until` is the
    moment (of the steady clock, in seconds) until which kept entries may be served: the last proof
    that the stream is complete was asked for at most `max_staleness` before it. `CLOSED`: nothing
    is served. `is_tracked`: only what connections read that the server tracks for this stream is
    pushed. `asked` and `heard` are the moments of the last proof that was asked for, and of the
    last that came. The caller holds one lock around every method that changes something.
    """

    __slots__ = (
        "_counters",
        "asked",
        "epoch",
        "heard",
        "is_tracked",
        "is_up",
        "max_staleness",
        "open_until",
        "push_epoch",
    )

    def __init__(self, max_staleness: float) -> None:
        self.max_staleness = max_staleness
        self.epoch = 0
        self.push_epoch = 0
        self.is_up = False
        self.is_tracked = False
        self.open_until = CLOSED
        self.asked = self.heard = 0.0
        self._counters = [0] * BUCKETS

    def connected(self, asked_at: float, *, is_tracked: bool = False) -> int:
        """Open: pushes arrive since before `asked_at`; nothing that was read earlier is kept.

        Return the number of the stream.
        """
        # A new epoch on connecting too: a read that was sent while no stream was up has a ticket of
        # the epoch of the loss, and what changed before the server tracked was pushed to nobody.
        self.epoch += 1
        self.push_epoch += 1
        self.is_up = True
        self.is_tracked = is_tracked
        self.open_until = asked_at + self.max_staleness
        return self.push_epoch

    def lost(self) -> None:
        """Close: pushes may be missing, so all that is kept must go."""
        # The epoch rises first: a read under way would otherwise be kept right after the emptying.
        self.epoch += 1
        self.is_up = False
        self.open_until = CLOSED

    def proved(self, asked_at: float) -> None:
        """Note that all pushes of writes acknowledged before `asked_at` have been fed."""
        # From when the proof was asked for, not when it came: a write that was acknowledged between
        # the two may still be on its way. Never earlier, as answers may overtake each other.
        if self.is_up:
            self.open_until = max(self.open_until, asked_at + self.max_staleness)

    def heard_until(self, moment: float) -> None:
        """Note that all pushes of writes acknowledged before a moment have been fed."""
        self.heard = max(self.heard, moment)

    def may_serve_load(self, load: LoadScope) -> bool:
        """Decide whether a function that a load calls may be served what is kept."""
        # A copy may be outdated by an invalidation whose push is still on its way. Where that was
        # acknowledged before the load began, it does not revoke the load: a result made of the copy
        # would be stored, and served by all processes until its own end. A proof that was asked for
        # since says that no such copy is left. Copies kept later were read later.
        return self.heard > load.began

    def must_ask(self, load: LoadScope) -> bool:
        """Decide whether a load that goes without a copy asks for a proof, for those to come."""
        return load.passed >= PASSED_BEFORE_PROOF and self.asked < load.began

    def feed(self, names: Iterable[str]) -> None:
        """Note that these names may have changed."""
        counters = self._counters
        for name in names:
            counters[hash(name) % BUCKETS] += 1

    def feed_all(self) -> None:
        """Note that any name may have changed, though the stream is complete (a flush)."""
        self.epoch += 1

    def mark(self, name: str) -> int:
        """Return the counter of a name: it rises whenever the name may have changed."""
        return self._counters[hash(name) % BUCKETS]

    def begin_read(self, names: Iterable[str]) -> Ticket:
        """Return a ticket for names that are about to be read."""
        # Before the read is sent. Taken afterwards, it would count the push of a write that came
        # between the read and its reply as one of before, and the old value would be kept.
        return Ticket(self.epoch, tuple([(name, self.mark(name)) for name in names]))

    def may_install(self, ticket: Ticket, push_epoch: PushEpoch) -> bool:
        """Decide whether what was read under a ticket may be kept.

        `push_epoch` is the one for which the server tracks the reads of the connection that was
        used; `None` where it tracks none, which is enough only where pushes do not depend on that.
        """
        # A loss since, a read on a connection that the server does not track for this stream, or a
        # push for one of the names: after each of them no push may come for what was read.
        return (
            self.is_up
            and ticket.epoch == self.epoch
            and self._is_heard(push_epoch)
            and all(self.mark(name) == mark for name, mark in ticket.marks)
        )

    def _is_heard(self, push_epoch: PushEpoch) -> bool:
        """Tell whether the changes of what was read are pushed on a stream that is up."""
        return push_epoch == self.push_epoch or (push_epoch is None and not self.is_tracked)
