"""What must hold: checked as it happens; what must hold in the end is in `ending.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.core.entry import MISSING, Kind
from dualcache.core.envelope import kind_of, open_envelope
from dualcache.core.events import Differed
from dualcache.core.flight import Outcome
from dualcache.core.ops import Claim, Commit, CommitReply, Delete, TryLease
from dualcache.core.scans import Unlink
from tests.simulation.values import Value, Violation

if TYPE_CHECKING:
    from dualcache.core.events import Event
    from dualcache.core.ops import Op
    from tests.simulation.actor import Actor
    from tests.simulation.process import Process
    from tests.simulation.world import World

PAUSE_MS = 100_000


# Reads


def ended(world: World, actor: Actor, result: Any) -> None:
    """See what a caller got, or what a writer may now be sure of."""
    if actor.role.is_writer:
        acknowledge(world, actor, result)
    elif actor.role.is_fencer:
        actor.process.fenced |= actor.required
    elif not actor.was_kept and not actor.role.is_beside:
        check_read(world, actor, result)


def check_read(world: World, actor: Actor, result: Any) -> None:
    """No read that begins after a write was acknowledged returns what was there before it."""
    if isinstance(result, Outcome):
        if result.error is not None:
            return
        result = result.value
    if result is not MISSING:
        check_value(world, result, actor.required, actor.role.name)


def check_hit(world: World, process: Process, value: Value, ends_ms: float | None) -> None:
    """What the front tier serves is current for this process, of late for all, and still stored.

    Its own process's writes count, those of others from a fence on, or when `max_staleness` has
    passed since they were acknowledged; all of them when everything has been delivered.
    """
    world.footprint.reads.add("acked")
    oldest = world.now - world.scenario.max_staleness
    long_ago = {name for name, at in world.acked_at.items() if at < oldest}
    required = process.acked | process.fenced | long_ago
    if world.is_settled:
        required |= world.acked
    who = f"{world.current.role.name}, served in {process.name} from the front,"
    check_value(world, value, frozenset(required), who)
    if ends_ms is not None and world.now * 1000 >= ends_ms:
        raise Violation(f"{who} got an entry that had outlived its end in Redis")


def check_value(world: World, value: Value, required: frozenset[str], reader: str) -> None:
    for writer in required:
        newest = world.versions[writer]
        # A set that ran beside another write may be the later of the two.
        if newest > value.version and (value.writer, writer) not in world.overlaps:
            raise Violation(
                f"{reader} got version {value.version}; it began after {writer} had "
                f"acknowledged version {newest}"
            )


def check_event(world: World, event: Event) -> None:
    """See that no entry is reported as wrong whose source changed with an invalidation."""
    if isinstance(event, Differed):
        raise Violation(f"an entry was reported to differ from version {world.version}")


def acknowledge(world: World, actor: Actor, result: Any) -> None:
    process = actor.process
    world.footprint.writes |= {"acked", "writers"} if world.has_sets else {"acked"}
    names = frozenset({actor.role.name})
    is_owed = bool(process.env.health.pending) if actor.role.is_set else bool(result.pending)
    process.acked |= names
    if not is_owed:
        world.acked |= names
        world.acked_at[actor.role.name] = world.now


def note_takeover(world: World, actor: Actor) -> None:
    """Note which loads have taken so long that another may begin beside them."""
    for other in world.actors.values():
        if other.process is actor.process and other.state == "loading":
            other.has_taken_long = True


def check_load(world: World, actor: Actor) -> None:
    """See that the callers of a process load one after another, where the scenario says so."""
    if not world.scenario.is_one_by_one:
        return
    for other in world.actors.values():
        is_beside = other is not actor and other.process is actor.process
        if is_beside and other.state == "loading" and not other.has_taken_long:
            raise Violation(f"{actor.role.name} loads beside {other.role.name}")


# Stores


def watch(world: World, command: Op[Any]) -> None:
    """See what a command is about to end or to make."""
    if isinstance(command, Delete | Unlink):
        for key in command.keys:
            note_death(world, key if isinstance(key, str) else key.decode())
    elif type(command) is Claim:
        if command.key == world.scenario.key:
            watch_claim(world, command)
        note_death(world, command.key)
    elif (
        type(command) is TryLease
        and command.token in world.dead_ids
        and world.server.content(command.key) is None
    ):
        raise Violation(f"{command.key} came back with an id that was dead")


def watch_claim(world: World, command: Claim) -> None:
    """See that nobody but a set, and another hold, takes a hold away."""
    there, ours = world.server.content(command.key), open_envelope(command.key, command.filling)
    is_held = kind_of(there or b"") is Kind.TOMBSTONE
    if not is_held or ours.kind is Kind.TOMBSTONE:
        return
    for actor in world.actors.values():
        if actor.mark == ours.version[:1] and not actor.role.is_set:
            raise Violation(f"{actor.role.name} put a marker in the place of a hold")


def note_death(world: World, name: str) -> None:
    content = world.server.content(name)
    if name == world.scenario.key:
        world.footprint.writes.add("revoked")
        for actor in world.actors.values():
            actor.is_revoked = True
    elif content is not None:
        world.dead_ids.add(content)


def watch_stored(world: World, command: Op[Any], reply: Any, before: bytes | None) -> None:
    """See that only a load with the lease was stored, and none that had been revoked."""
    if type(command) is not Commit or reply is not CommitReply.STORED:
        return
    if command.key != world.scenario.key:
        return  # the lease of a stale entry, given back
    world.footprint.reads.add("revoked")
    stored = open_envelope(command.key, command.blob)
    if stored.kind is Kind.EXPIRED:
        note_death(world, command.key)
    if stored.kind is not Kind.VALUE:
        return
    homes = {}
    for actor in world.actors.values():
        homes[actor.mark] = actor.process
        is_his = stored.version[:1] == actor.mark
        if is_his and actor.is_revoked and actor.value is not None:
            raise Violation(f"{actor.role.name} stored a load that had been revoked")
    if before is not None:
        there = open_envelope(command.key, before)
        holder = there.version[:1]
        # In one process a successor stores under the lease of the leader whom it follows.
        is_foreign = homes.get(holder) is not homes.get(stored.version[:1])
        if there.kind is Kind.FILLING and holder in homes and is_foreign:
            raise Violation("a load was stored under the lease of another")
