"""Every order of reads, revocations and messages, where processes tell each other what they revoke.

The flows, the front tier and the protocol are the real ones; a command of the server, the delivery
of a reply and the hearing of a message are steps that may come in any order. What a rule is good
for is shown by what goes wrong without it.
"""

from __future__ import annotations

from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec.structs import replace

from dualcache.backends.memory import MemoryStore
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.push.transports import PubSubTransport
from dualcache.core.flight import CloseFlights, EndFlight, Join, Load
from dualcache.core.ops import Batch, Loaded, Publish
from dualcache.core.policy import Call, Policy
from dualcache.core.revocation import Revocation, to_message
from dualcache.core.scans import Scan, ScanPage
from dualcache.engine import delivery, failover, lead, leases
from dualcache.engine.coherence import Coherence
from dualcache.engine.invalidation import invalidate
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.read import get
from dualcache.engine.write import set_value
from dualcache.front.of_function import FunctionFront
from dualcache.options.front_tier import FrontTier
from tests.engine.conversation import RECIPE, surroundings
from tests.engine.conversation import lead as leads
from tests.fronts import front_by_hand
from tests.simulation.searching import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dualcache.core.ops import Flow
    from dualcache.engine.health import PendingDeletion
    from dualcache.front.tier import Front

    FlowOf = Callable[["Actor", Call], Flow[Any]]

KEY: Final = "k"
TAG: Final = "~t:t"
NAMES: Final = (KEY, f"~b:{KEY}", TAG)
CHANNEL: Final = "~c"
DELIVER: Final = "deliver"
MOST_SCHEDULES: Final = 40_000


class StaleError(AssertionError):
    """A copy is served, or kept, that is older than it may be."""


class Process:
    """One process: a real front tier, and the messages on their way to it."""

    def __init__(self, number: int) -> None:
        tokens = count(1)
        front: Front = front_by_hand(FrontTier(max_entries=10, max_age=None), max_staleness=1e9)
        self.env, _ = surroundings(
            channel=CHANNEL,
            front=front,
            draw_token=lambda: bytes([number]) + next(tokens).to_bytes(7),
        )
        front.connected(0.0, is_tracked=False)
        self.front = front
        self.function = FunctionFront(front, is_tagged=True)
        self.protocol = PushProtocol(front, PubSubTransport(front, "", str))
        self.messages: list[bytes] = []
        self.sent = 0

    def call(self, tags: tuple[str, ...], function: Any = None) -> Call:
        policy = Policy("k", RECIPE, ttl_ms=60_000, front=self.function)
        policy.counters.recent_hits = 0.0
        return Call(KEY, policy, tags, function)

    def hear(self) -> None:
        self.protocol.pushed([b"message", CHANNEL.encode(), self.messages.pop(0)])

    @property
    def heard(self) -> int:
        return self.sent - len(self.messages)

    @property
    def kept(self) -> int | None:
        """The version of the copy that would be served."""
        entry = self.front.shared.find(KEY)
        return int(entry.value) if entry is not None and entry.is_alive else None


class Actor:
    """One caller: it begins, and what it asks for is carried out and answered, step by step."""

    def __init__(self, world: World, process: Process, flow: FlowOf, tags: tuple[str, ...]) -> None:
        self.world = world
        self.process = process
        self.version: int | None = None
        self.flow = flow(self, process.call(tags))
        self.kind = flow
        self.has_begun = False
        self.is_running = True
        self.steps: list[Any] = [DELIVER]
        self.replies: list[Any] = [None]
        self.is_batch = False

    def go_on(self, reply: Any) -> None:
        """Hand over a reply and go on to the next thing that the server has to do."""
        try:
            op = self.flow.send(reply)
            while type(op) in {CloseFlights, Join, EndFlight}:
                op = self.flow.send(leads(op) if isinstance(op, Join) else None)
        except StopIteration:
            self.is_running = False
            if self.version is not None:
                self.world.acknowledge(self)
            return
        self.steps = [*self.world.steps_of(op), DELIVER]
        self.replies, self.is_batch = [], type(op) is Batch

    def step(self) -> None:
        self.has_begun = True
        step = self.steps.pop(0)
        if step is DELIVER:
            self.go_on(tuple(self.replies) if self.is_batch else self.replies[-1])
        elif isinstance(step, Revocation):
            self.world.publish(step)
        else:
            self.replies.append(self.world.perform(step))


def reads(actor: Actor, call: Call) -> Flow[Any]:
    yield from get(call, actor.process.env)


def fills(actor: Actor, call: Call) -> Flow[Any]:
    yield from get_or_load(call, actor.process.env)
    yield from get(call, actor.process.env)


def changing(change: Callable[[Actor, Call], Flow[Any]]) -> Any:
    """Change the source, then run the flow that makes this known."""

    def flow(actor: Actor, call: Call) -> Flow[Any]:
        actor.version = actor.world.change_source()
        yield from change(actor, call)

    return flow


@changing
def deletes_key(actor: Actor, _: Call) -> Flow[Any]:
    yield from invalidate((KEY,), (), (), actor.process.env)


@changing
def deletes_tag(actor: Actor, _: Call) -> Flow[Any]:
    yield from invalidate((), (TAG,), (), actor.process.env)


@changing
def deletes_pattern(actor: Actor, _: Call) -> Flow[Any]:
    yield from invalidate((), (), ("k*",), actor.process.env)


@changing
def sets(actor: Actor, call: Call) -> Flow[Any]:
    yield from set_value(call, actor.version, actor.process.env)


@changing
def refreshes(actor: Actor, call: Call) -> Flow[Any]:
    yield from refresh(call, actor.process.env)


class World:
    """A server, a reading and a writing process, and what must hold in every state."""

    is_whole = True
    """Whether an op and its notice are one step, as in a transaction."""
    tells_first = False

    def __init__(
        self,
        here: Sequence[FlowOf],
        there: Sequence[FlowOf] = (),
        tags: tuple[str, ...] = (),
        *,
        is_kept: bool = False,
    ) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.tags = tags
        self.version = 0
        self.dues: list[tuple[Process, int, int]] = []
        self.processes = [Process(1), Process(2)]
        self.actors: list[Actor] = []
        first = Actor(self, self.processes[0], fills, tags)
        while first.steps:
            first.step()
        if not is_kept:
            self.processes[0].front.drop_all()
        self.actors = [
            Actor(self, process, flow, tags)
            for process, flows in zip(self.processes, (here, there), strict=True)
            for flow in flows
        ]

    # What may happen

    def choices(self) -> list[Callable[[], None]]:
        # Of two that do the same, which one begins first makes no difference.
        begun = [actor for actor in self.actors if actor.has_begun]
        others = {actor.kind: actor for actor in self.actors if not actor.has_begun}
        found = [actor.step for actor in (*begun, *others.values()) if actor.steps]
        here, _ = self.processes  # nobody reads there
        return [*found, here.hear] if here.messages else found

    def take(self, at: int) -> None:
        self.choices()[at]()
        self.check()

    def abandon(self) -> None:
        """End what still runs; nothing of this world is looked at any more."""
        for actor in self.actors:
            while actor.is_running:
                try:
                    actor.flow.close()
                except RuntimeError:  # it cleans up, and asks for something once more
                    continue
                actor.is_running = False

    def change_source(self) -> int:
        self.version += 1
        return self.version

    def steps_of(self, op: Any) -> list[Any]:
        """Return the steps in which the server carries out an op."""
        if type(op) is Batch:
            return [step for each in op.ops for step in self.steps_of(each)]
        notice = getattr(op, "notice", None)
        if notice is None or (self.is_whole and not self.tells_first):
            return [op]
        steps = [op] if type(op) is Publish else [plain(op), notice]
        return steps[::-1] if self.tells_first else steps

    def perform(self, op: Any) -> Any:
        if type(op) is Load:
            return Loaded(self.version, 1.0)
        if type(op) is Scan:
            name = NAMES[op.cursor]
            is_there = self.store._read(name) is not None
            page = (name.encode(),) if is_there else ()
            return ScanPage((op.cursor + 1) % len(NAMES), page)
        reply = self.store.perform(op)
        notice = getattr(op, "notice", None)
        if notice is not None:
            self.publish(notice)
        return reply

    def publish(self, notice: Revocation) -> None:
        for process in self.processes:
            process.messages.append(to_message(notice))
            process.sent += 1

    def acknowledge(self, actor: Actor) -> None:
        assert actor.version is not None
        for process in self.processes:
            needed = 0 if process is actor.process else process.sent
            self.dues.append((process, needed, actor.version))

    # What must hold

    def check(self) -> None:
        """What was acknowledged is seen at once here, and there as soon as all is heard."""
        for process, needed, version in self.dues:
            kept = process.kept
            if kept is not None and kept < version and process.heard >= needed:
                raise StaleError(f"version {kept} is served after {version} was acknowledged")

    def check_end(self) -> None:
        """No copy is left of anything but what the server holds."""
        call = Call(KEY, Policy("k", RECIPE, ttl_ms=60_000), self.tags)
        reading = get(call, self.processes[1].env)
        with pytest.raises(StopIteration) as end:
            reading.send(self.perform(next(reading)))
        for process in self.processes:
            if process.kept is not None and str(process.kept) != end.value.value:
                raise StaleError(f"version {process.kept} is kept for ever")


def plain(op: Any) -> Any:
    """Return an op without its notice."""
    fields = {name: getattr(op, name) for name in op.__struct_fields__ if name != "notice"}
    return type(op)(**fields)


def schedules(make: Callable[[], World]) -> Iterator[World]:
    """Go through every order of steps; yield each world at its end."""
    waiting: list[list[int]] = [[]]
    for _ in range(MOST_SCHEDULES):
        if not waiting:
            return
        taken = waiting.pop()
        world = make()
        try:
            for at in taken:
                world.take(at)
            while len(choices := world.choices()) > 0:
                waiting += [[*taken, at] for at in range(1, len(choices))]
                taken.append(0)
                world.take(0)
            world.check_end()
        finally:
            world.abandon()
        yield world
    raise AssertionError("there are more orders than can be gone through")


def holds(*here: FlowOf, world: type[World] = World, **options: Any) -> None:
    """Fail unless all rules hold in every order."""
    assert sum(1 for _ in schedules(lambda: world(here, **options))) > 1


def breaks(what: str, *here: FlowOf, world: type[World] = World, **options: Any) -> None:
    """Fail unless some order breaks a rule."""
    with pytest.raises(StaleError, match=what):
        for _ in schedules(lambda: world(here, **options)):
            pass


WRITERS: Final = {
    "key": deletes_key,
    "tag": deletes_tag,
    "pattern": deletes_pattern,
    "set": sets,
    "refresh": refreshes,
}
TAGGED: Final = (TAG,)
of_every_kind = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)


@of_every_kind
@pytest.mark.parametrize("is_kept", [False, True])
def test_no_copy_is_older_than_what_was_acknowledged_and_heard(writer: Any, is_kept: bool) -> None:
    holds(reads, there=[writer], tags=TAGGED, is_kept=is_kept)


@pytest.mark.storm
def test_two_readers_keep_nothing_old_between_them() -> None:
    holds(reads, reads, there=[deletes_key])


def test_two_readers_keep_nothing_old_between_them_in_many_orders() -> None:
    for seed in range(SAMPLES):
        draw, world = Random(seed).randrange, World((reads, reads), there=[deletes_key])
        try:
            while choices := world.choices():
                world.take(draw(len(choices)))
            world.check_end()
        finally:
            world.abandon()


@of_every_kind
def test_a_process_reads_its_own_writes_before_it_hears_of_them(writer: Any) -> None:
    holds(reads, writer, tags=TAGGED, is_kept=True)


@pytest.mark.parametrize("writer", [deletes_key, deletes_tag])
def test_a_fill_needs_not_to_be_told(writer: Any) -> None:
    holds(fills, there=[writer], tags=TAGGED)


class Apart(World):
    """An op and its notice follow each other, as in a pipeline without a transaction."""

    is_whole = False


class Mortal(Apart):
    """The writer may die between the two."""

    def choices(self) -> list[Callable[[], None]]:
        dying = [
            actor.steps.clear
            for actor in self.actors
            if actor.steps and isinstance(actor.steps[0], Revocation)
        ]
        return [*super().choices(), *dying]


class Hasty(Apart):
    """The notice goes before what it tells."""

    tells_first = True


@of_every_kind
def test_what_is_acknowledged_holds_without_a_transaction_too(writer: Any) -> None:
    holds(reads, there=[writer], tags=TAGGED, world=Apart)


@pytest.mark.parametrize("writer", [deletes_key, deletes_tag, sets])
def test_without_the_transaction_a_writer_that_dies_leaves_a_copy_for_ever(writer: Any) -> None:
    breaks("kept for ever", reads, there=[writer], tags=TAGGED, world=Mortal)


@pytest.mark.parametrize("writer", [deletes_key, deletes_tag, sets])
def test_a_notice_before_the_deletion_is_forgotten_by_who_reads_between(writer: Any) -> None:
    breaks("after|for ever", reads, there=[writer], tags=TAGGED, world=Hasty)


def test_a_pattern_told_at_its_beginning_leaves_what_is_read_before_its_page_is_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told_first(pending: PendingDeletion, env: Any) -> Flow[int]:
        for pattern in pending.patterns:
            yield Publish(Revocation(CHANNEL, (), (pattern,)))
        return (yield from delivery.deliver(pending, replace(env, channel="")))

    monkeypatch.setattr(failover, "deliver", told_first)
    breaks("after|for ever", reads, there=[deletes_pattern])


def test_a_claim_that_is_not_told_leaves_the_copy_of_what_it_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "notice_of", lambda _names, _env: None)
    breaks("after|for ever", reads, there=[sets])


def test_a_commit_over_an_entry_that_is_not_told_leaves_the_copy_of_that_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lead, "notice_of", lambda _names, _env: None)
    breaks("after|for ever", reads, there=[refreshes])


def test_without_tickets_what_was_read_before_a_message_is_kept_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Coherence, "may_install", lambda *_: True)
    breaks("after|for ever", reads, there=[deletes_key])
