"""One caller of the simulation, and the flow it runs."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from dualcache.core.policy import Counters, Policy
from tests.simulation.values import RECIPE

if TYPE_CHECKING:
    from dualcache.backends.redis.push.tracking import TrackedConnection
    from dualcache.core.flight import FlightResult
    from dualcache.core.ops import Flow
    from dualcache.core.scope import LoadScope
    from dualcache.front.tracking import Redirect
    from tests.simulation.commands import Trip
    from tests.simulation.process import Process
    from tests.simulation.scenario import Role
    from tests.simulation.values import Value


class Parts:
    """How far an op has come whose names live on several nodes.

    `made` are its parts, `replies` what came back so far; `asked` is the part under way,
    `push_epochs` the streams of the nodes that carried some of it out. `sent_on`: some of its
    commands went on to another node; the replies so far, and their places in them.
    """

    def __init__(self) -> None:
        self.made: Any = None
        self.replies: list[Any] = []
        self.asked: Any = None
        self.push_epochs: list[Any] = []
        self.sent_on: tuple[list[Any], list[int]] | None = None

    def state(self) -> tuple[Any, ...]:
        return (tuple(self.push_epochs), len(self.replies), repr(self.sent_on))


class Actor:
    """What a caller waits for, what it was told, and what it may count on.

    `required` are the writes that its result must not be older than, `answer` is what its load has
    returned, `awaited` are the writers whose end it pauses for. `history` stands for all that
    its flow has been told so far; `tickets` and `mark_seen` are what it holds of the front tier's.
    `load` is the load in which it calls another function.
    """

    def __init__(self, role: Role, process: Process, number: int, ttl_ms: int = 60_000) -> None:
        self.role = role
        self.process = process
        self.state = "new"
        self.flow: Flow[Any] | None = None
        self.op: Any = None
        self.trip: Trip | None = None
        self.tracked: TrackedConnection | None = None
        self.redirect: Redirect | None = None
        self.push_epoch = 0
        self.parts = Parts()
        self.seen: bytes | None = None
        self.value: Value | None = None
        self.answer: Any = None
        self.awaited: frozenset[str] = frozenset()
        self.history = 0
        self.is_revoked = False
        self.is_woken = False
        self.was_kept = False
        self.has_taken_long = False
        self.required: frozenset[str] = frozenset()
        self.tickets: list[Any] = []
        self.mark_seen: tuple[str, int | None] | None = None
        self.load: LoadScope | None = None
        self.counters = Counters()
        self.mark = bytes((65 + number,))
        self.ttl_ms = ttl_ms
        self._draws = count(1)
        self._trips = count(1)

    @property
    def is_under_way(self) -> bool:
        return self.state not in {"new", "done"}

    @property
    def is_next(self) -> bool:
        """Whether the first answer on its connection is its own."""
        return self.tracked is not None and self.tracked.connection.answers[0].actor is self

    def draw(self) -> bytes:
        """Draw a token that nobody ever draws again."""
        return self.mark + next(self._draws).to_bytes(7)

    def next_label(self) -> str:
        return f"{self.role.name}:{next(self._trips)}"

    def policy(self, **options: Any) -> Policy:
        options.setdefault("ttl_ms", self.ttl_ms)
        options.setdefault("value_codec", RECIPE)
        return Policy("k", counters=self.counters, front=self.process.function, **options)

    def wake(self) -> None:
        self.is_woken = True

    def told(self, *what: Any) -> None:
        """Note what the flow is told."""
        self.history = hash((self.history, *what))

    def end(self) -> None:
        self.state, self.flow, self.op, self.trip, self.tracked = "done", None, None, None, None
        self.history = 0
        self.tickets.clear()
        self.mark_seen = None

    def holds(self) -> Any:
        """Tell what it may still do with its tickets: each is as good as new, or void for ever."""
        if self.process.function is None:
            return None
        machine = self.process.front.coherence
        name, mark = self.mark_seen or ("", None)
        return (
            tuple(
                begun.at
                if begun.ticket.epoch == machine.epoch
                and all(machine.mark(each) == then for each, then in begun.ticket.marks)
                else None
                for begun in self.tickets
            ),
            mark is not None and machine.mark(name) == mark,
            self._load_state(),
        )

    def _load_state(self) -> Any:
        """Tell what its load may be served, and which proofs on their way change that."""
        load, process = self.load, self.process
        if load is None:
            return None
        machine = process.front.coherence
        proofs = tuple(moment > load.began for moment in process.proofs)
        return load.passed, machine.may_serve_load(load), machine.must_ask(load), proofs

    def state_now(self, newest: Any, *, is_late: bool) -> tuple[Any, ...]:
        is_done = self.state == "done"
        return (
            self.role.name if self.role.is_beside else None,
            self.state,
            self.history,
            self.is_revoked and (not is_done or is_late),
            None if is_done else newest(self.required),
            None if is_done or self.trip is None else len(self.trip.commands),
            None
            if is_done or self.tracked is None
            else (self.tracked.connection.identity, self.push_epoch),
            None if is_done else (self.redirect, self.holds()),
            None if is_done else self.parts.state(),
            (self.seen, self.is_woken) if self.state in {"waiting", "fencing"} else None,
            self.has_taken_long and not is_done,
            self.awaited if self.state == "pausing" else None,
            landed(self.op.result or self.op.flight.result) if self.state == "following" else None,
        )


def landed(result: FlightResult | None) -> Any:
    if result is None or result.outcome is None:
        return result is None
    return result.outcome.value, type(result.outcome.error)
