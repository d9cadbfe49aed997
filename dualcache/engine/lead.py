"""One load and its commit: from the right to store to what is stored, and what goes wrong between.

The commit is the only fence. Leases and flights save work; the compare alone keeps a value out that
was loaded before an invalidation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeVar

from msgspec import Struct

from dualcache.core.entry import HEADER_BYTES
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import (
    ABANDONED,
    EndFlight,
    FlightResult,
    Outcome,
    failure_of,
)
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import CommitReply, MakeTags, Raised
from dualcache.engine.acquire import acquire
from dualcache.engine.beside import call_beside
from dualcache.engine.commit import Change, commit_one
from dualcache.engine.conditional import load_from
from dualcache.engine.cut_keys import over_a_limit
from dualcache.engine.deletion import notice_of
from dualcache.engine.failed_loads import outcome_of_failure
from dualcache.engine.freshness import (
    OTHER,
    SERVED,
    UNKNOWN,
    ReadResult,
)
from dualcache.engine.leases import keep_lost, release_all
from dualcache.engine.read import reason_of, served, served_stale, tell_miss
from dualcache.engine.recovery import ask_once
from dualcache.engine.refresh_lease import Paused, pause
from dualcache.engine.renewal import begin_lease, keeping
from dualcache.engine.starting import (
    NOTHING,
    UNREACHED,
    Start,
    give_up,
    held_by,
    keep_entry_pending,
    leave_unstored,
)
from dualcache.engine.storing import answer, report_unstored, sealed, why_unwanted, worth
from dualcache.engine.tags import entry_life_ms, new_tags, tag_life_ms
from dualcache.engine.telling import key_told
from dualcache.errors import BackendError, UnencodableValue, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.entry import Stored
    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow, Loaded
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.renewal import Lease
    from dualcache.engine.storing import Storable

__all__ = [
    "Begun",
    "Ready",
    "concluded",
    "lead",
    "load_beside",
    "load_stored",
    "load_unstored",
    "make_ready",
    "note_begun",
    "run_flight",
]

T = TypeVar("T", bound="Outcome | None")

# Looking up a member costs more than the rest of a comparison on CPython 3.11.
_STORED: Final = CommitReply.STORED
_REFUSED: Final = CommitReply.REFUSED
_TOO_LARGE: Final = CommitReply.TOO_LARGE


def lead(
    call: Call,
    flight: Flight,
    env: Env,
    known: Mapping[str, bytes | None],
    get_or_load: Callable[[Call, Env], Flow[Outcome]],
    *,
    why: str,
    is_told: bool,
) -> Flow[Outcome]:
    """Acquire the right to store and load, or find that another process has loaded meanwhile.

    `known` are the ids of tags that a look found before. `is_told`: that look emitted the miss, and
    `why` is its reason. The call counts as a miss only if it loads. `get_or_load` serves the call
    from beside an entry of another shape, where one has come.
    """
    sent: dict[bytes, str] = {}
    try:
        start = yield from acquire(call, flight, env, sent, known)
        if isinstance(start, Paused):
            return served_stale(call, start.read, env, "paused")
        if isinstance(start, ReadResult) and start.state in SERVED:
            return served(call, start, env)
        if isinstance(start, ReadResult) and start.state is OTHER:
            beside = call_beside(call, start, env)
            if beside is not None:
                return (yield from get_or_load(beside, env))
        if not is_told:
            why = UNREACHED.state.value if start is UNREACHED else why
            tell_miss(call, why, env)
        call.policy.counters.count_miss(reason_of(call, why))
        if isinstance(start, Start):
            return (yield from load_stored(call, start, flight, env))
        return (yield from load_unstored(call, flight, env, start))
    except BaseException:
        # Cancelled or interrupted. A marker may have arrived though no reply was seen, and others
        # would wait for it in vain. From the first send to the end of the load this one frame knows
        # of all: between two that hand over there would be a moment in which none does.
        yield from release_all(sent, env)
        raise


class Begun(Struct, frozen=True):
    """Where a load starts from, and what it holds: a successor commits there too."""

    start: Start
    ids: Mapping[str, bytes | None]
    lease: Lease
    owner: bytes


class Ready(Struct, frozen=True):
    """The bytes to commit for a value."""

    worth: Storable
    blob: bytes


class _Answer(Struct, frozen=True):
    """An exception that is remembered: the bytes to commit, and how the load has ended by it.

    In a list, so that no frame keeps it: see `value_of`.
    """

    ready: Ready
    ended: list[Outcome]


def load_stored(call: Call, start: Start, flight: Flight | None, env: Env) -> Flow[Outcome]:
    """Load, and commit over what the key held when the load began."""
    read = start.read
    # All ids from before the load. An id read after it could be that of the tag's next life: the
    # entry would be stored as valid though the tag was invalidated while its value was loaded.
    ids = read.ids
    if call.policy.tags_of is not None and read.stored is not None:
        ids = yield from _with_old_tags(call, read.stored, ids, env)
    lease = begin_lease(held_by(call, start, env), call.policy.counters, env)
    sequence = env.sequence()
    if flight is not None:
        note_begun(flight, Begun(start, ids, lease, call.policy.owner), sequence)
    leading = (flight,) if flight else ()
    result = yield from load_from(call, read, leading, keeping(lease, env), env)
    if isinstance(result, Raised):
        is_told = not start.is_beside
        ended = [outcome_of_failure(call, result, sequence, read, env, is_told=is_told)]
        answered = _answer_of(call, result, ended, ids, env)
        del result
        if answered is not None:
            return (yield from _store(call, start, answered, ids, sequence, env, lease))
        # A broken source is asked once in a pause by all processes; what an answer of it has told
        # to the caller it may tell to the next one.
        has_answered = ended[0].error is not None and not start.is_beside
        yield from (give_up if has_answered else pause)(call, start, env)
        return ended.pop()
    return (yield from _store(call, start, result, ids, sequence, env, lease))


def note_begun(flight: Flight, begun: Begun, sequence: int) -> None:
    """Note where a flight's load starts from; a successor commits there too."""
    # Before the load begins: callers that join from now on compare with the version, and one
    # that finds the same in the backend knows that nothing was invalidated since.
    start = begun.start
    flight.seen_version = (bytes(start.expected[:HEADER_BYTES]), tuple(start.read.ids.items()))
    flight.start = begun
    flight.load_sequence = sequence


def load_beside(call: Call, flight: Flight, env: Env) -> Flow[Outcome]:
    """Load beside a leader who takes too long; the first to end commits, over the same lease."""
    # That is sound: this load began after the lease was taken and its tags' ids were read, and the
    # compare fails if the key was invalidated since. A leader that hangs for good would otherwise
    # keep the key from being stored for as long as its process lives. The entry must have the marks
    # by which that load could have been revoked: the same owner, and no tag whose id was not read.
    begun: Begun | None = flight.start
    if begun is None or begun.owner != call.policy.owner or not begun.ids.keys() >= {*call.tags}:
        return (yield from load_unstored(call, flight, env))
    start = begun.start
    sequence = flight.load_sequence = env.sequence()
    result = yield from load_from(call, start.read, (flight,), None, env)
    if isinstance(result, Raised):
        ended = [outcome_of_failure(call, result, sequence, start.read, env)]
        answered = _answer_of(call, result, ended, begun.ids, env)
        del result
        if answered is None:
            return ended.pop()
        return (yield from _store(call, start, answered, begun.ids, sequence, env, begun.lease))
    return (yield from _store(call, start, result, begun.ids, sequence, env, begun.lease))


def _with_old_tags(
    call: Call, stored: Stored, ids: Mapping[str, bytes | None], env: Env
) -> Flow[Mapping[str, bytes | None]]:
    """Return these ids with those of the previous entry's tags, even of a dead one.

    They are made where they are absent: a result that has them again is then stored with an id from
    before the load.
    """
    absent = tuple(tag.name for tag in stored.tags if ids.get(tag.name) is None)
    if not absent:
        return ids
    life_ms = tag_life_ms(entry_life_ms(call.policy))
    try:
        made = yield from ask_once(MakeTags(new_tags(absent, life_ms, env)), env)
    except BackendError:
        return ids
    return {**ids, **dict(zip(absent, made, strict=True))}


def _store(
    call: Call,
    start: Start,
    result: Loaded | _Answer,
    ids: Mapping[str, bytes | None],
    sequence: int,
    env: Env,
    lease: Lease,
) -> Flow[Outcome]:
    """Commit what was loaded, if it is to be stored; the caller gets it in any case."""
    ready: Ready | Outcome = (
        result.ready
        if isinstance(result, _Answer)
        else make_ready(call, result, start.read, ids, sequence, env)
    )
    if isinstance(ready, Outcome):
        ended = [ready]  # not kept in this frame, to which that of the user's callable leads back
        del ready
        yield from (give_up if ended[0].error else leave_unstored)(call, start, env)
        return ended.pop()
    # Others may hold the usable entry that this replaces; a plain fill is news to nobody.
    is_over_entry = start.is_over_entry
    notice = notice_of((call.key,), env) if is_over_entry else None
    blob, ttl_ms = ready.blob, ready.worth.ttl_ms
    try:
        change = Change(call.key, start.expected, blob, ttl_ms, notice)
        reply: CommitReply | None = yield from commit_one(change, env)
    except BackendError:
        reply = None
        keep_lost(held_by(call, start, env), env)
        if start.is_refresh:  # the old entry may still be there, and the caller has a newer result
            keep_entry_pending(call, env)
    else:
        # A look of this process that began before the commit may still bring the old entry: after
        # the drop its ticket is spent, so it is not kept in front of what was stored now.
        env.front.drop((call.key,))
        if reply is _STORED:
            lease.fill(start.expected)
        if reply is _TOO_LARGE:  # the marker is still there
            yield from leave_unstored(call, start, env)
        elif is_over_entry:
            yield from give_up(call, start, env)
    if isinstance(result, _Answer):
        return result.ended.pop()
    is_late = reply is _REFUSED and lease.is_late(start.expected, env.elapsed_ms())
    return concluded(call, result, ready, reply, sequence, env, is_late=is_late)


def _answer_of(
    call: Call,
    result: Raised,
    ended: list[Outcome],
    ids: Mapping[str, bytes | None],
    env: Env,
) -> _Answer | None:
    """Return an exception as the answer that is to be stored; `None` where it is none.

    Not where a stale value stands in for it, nor where `stale_on` has raised in its place.
    """
    if ended[0].error is not result.error:
        return None
    made = answer(call, result.error, ids, result.load_ms, env)
    if made is None:
        return None
    call.policy.counters.count_load(result.load_ms)
    return _Answer(Ready(*made), ended)


def make_ready(
    call: Call,
    result: Loaded,
    read: ReadResult,
    ids: Mapping[str, bytes | None],
    sequence: int,
    env: Env,
) -> Ready | Outcome:
    """Return the bytes to commit for what was loaded, or how the load ends without any.

    `read` is what the load started from. An entry of types that the load did not teach stays: it is
    another release's, and the next call goes on beside it.
    """
    call.policy.counters.count_load(result.load_ms)
    how: Literal["not_stored", "unencodable"] = "not_stored"
    # The caller gets its value whatever is wrong with storing it; only what the user's own
    # callables raise is the user's, as if the loader had raised it.
    try:
        what = worth(call, result.value, env)
        if what is not None and not _is_of_another(call, read):
            return Ready(what, sealed(call, result.value, what, ids, result.load_ms, env))
        call.policy.counters.count_unstored(why_unwanted(call, is_worth=what is not None))
    except UnencodableValue as error:
        how = "unencodable"
        report_unstored(call, error, env)
    except UsageError as error:  # a ttl or tags that cannot be: no reason to fail a load
        report_unstored(call, error, env)
    except Exception as error:
        if interrupt_in(error) is not None:
            raise
        return failure_of(error, sequence)  # raised by the policy's callables: the user's own
    env.emit(LoadedEvent(call.policy.label, result.load_ms, how, 0, key_told(call, env)))
    return Outcome(result.value, None, sequence)


def _is_of_another(call: Call, read: ReadResult) -> bool:
    """Tell whether what a load started from turned out to be another release's."""
    stored = read.stored
    if read.state is not UNKNOWN or stored is None:
        return False
    return not call.policy.value_codec.is_learned(call.key, stored)


def concluded(
    call: Call,
    result: Loaded,
    ready: Ready,
    reply: CommitReply | None,
    sequence: int,
    env: Env,
    *,
    is_late: bool,
) -> Outcome:
    """Emit what became of the value (`None`: the backend failed), and return the load's outcome."""
    how: Literal["stored", "backend_down", "late", "not_stored", "refused"] = "refused"
    if reply is _STORED:
        how = "stored"
        call.policy.counters.count_stored(len(ready.blob))
    elif reply is _TOO_LARGE:
        how = "not_stored"
        report_unstored(call, over_a_limit(), env)
    else:
        if reply is None:
            how = "backend_down"
        elif is_late:  # refused too, but by its own lease's end, and not by an invalidation
            how = "late"
        call.policy.counters.count_unstored(how)
    if env.misses_are_heard:
        size_bytes = len(ready.blob) if how == "stored" else 0
        told = LoadedEvent(call.policy.label, result.load_ms, how, size_bytes, key_told(call, env))
        env.emit(told)
    return Outcome(result.value, None, sequence, ready.worth.packed)


def load_unstored(
    call: Call, flight: Flight | None, env: Env, stale: ReadResult = NOTHING
) -> Flow[Outcome]:
    """Load without storing; a stale entry is served where that fails."""
    sequence = env.sequence()
    if flight is not None:
        flight.load_sequence = sequence
    result = yield from load_from(call, NOTHING, (flight,) if flight else (), None, env)
    if isinstance(result, Raised):
        return outcome_of_failure(call, result, sequence, stale, env)
    call.policy.counters.count_load(result.load_ms)
    call.policy.counters.count_unstored("ttl" if call.policy.ttl_ms == 0 else "no_lease")
    env.emit(LoadedEvent(call.policy.label, result.load_ms, "not_stored", 0, key_told(call, env)))
    return Outcome(result.value, None, sequence)


def run_flight(flight: Flight, loading: Flow[T]) -> Flow[T]:
    """Load and end the flight with the outcome; an interrupted leader ends it without one."""
    try:
        ended = [(yield from loading)]  # see `value_of`: nothing is kept in this frame
    except BaseException:
        # Its cancellation is its own: the followers are woken without a result, and one of them
        # leads the next. Shared, one closed tab would fail everybody's request.
        yield EndFlight(flight, ABANDONED)
        raise
    yield EndFlight(flight, FlightResult(ended[0]))
    return ended.pop()
