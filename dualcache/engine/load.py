"""Get or load: the one flow behind every decorated function.

Look, join or lead a flight, lease, load, commit. The user's function is an op like any other, so
the whole is one straight generator that both colours run.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from dualcache.core.entry import HEADER_BYTES, MISSING, Kind, Packed, Stored
from dualcache.core.events import (
    Coalesced,
    LoadFailed,
    StaleHit,
    WaitExpired,
)
from dualcache.core.events import (
    Loaded as LoadedEvent,
)
from dualcache.core.flight import ABANDONED, Landing, Outcome
from dualcache.core.front import UNTRACKED
from dualcache.core.ops import (
    WRONG_TYPE,
    AwaitChange,
    AwaitFlight,
    Claim,
    CommitReply,
    Delete,
    Join,
    JoinReply,
    Land,
    Load,
    LookAndLease,
    MakeTags,
    Raised,
    TryLease,
    do,
)
from dualcache.engine.commit import (
    Leased,
    commit,
    lease_ms,
    new_filling,
    release,
    report_unstored,
    sealed,
    take_lease,
    worth,
)
from dualcache.engine.flights import wait_bound_ms
from dualcache.engine.freshness import FRESH, Sight, State
from dualcache.engine.read import count_miss, examine, find_in_front, ids_of, look, served
from dualcache.engine.recovery import ask, ask_once
from dualcache.engine.tags import entry_life_ms, new_tags, tag_life_ms
from dualcache.errors import BackendError, DecodeError, UnencodableValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow, Loaded
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env


class Start(NamedTuple):
    """What a load starts from: what was seen, and the bytes that its commit expects to find."""

    sight: Sight
    expected: bytes

    @property
    def is_over_entry(self) -> bool:
        """Whether a usable entry is there, to be replaced by the load."""
        return self.sight.state in {State.FRESH, State.STALE}


NOTHING: Final = Sight(State.ABSENT, -1)
"""Seen by a caller who may not store: what it loads is for itself."""
LIKELY_HITS: Final = 0.5
"""Share of recent hits from which a read is tried before a lease."""
MOST_ROUNDS: Final = 8
"""How often a key may change under a leader's hands before it loads without storing."""


def get_or_load(call: Call, env: Env) -> Flow[Outcome]:
    """Serve a fresh value, or load one: once for all callers of all processes."""
    began = env.tick()
    policy = call.policy
    sight = None
    if policy.front is not None:
        kept = find_in_front(call, env)
        if kept is not MISSING:
            return Outcome(kept, None, began)
    if policy.ttl_ms == 0 and policy.ttl_of is None:
        return (yield from share(call, began, None, env, is_stored=False))
    if policy.usage.recent_hits >= LIKELY_HITS:
        try:
            sight = yield from look(call, env)
        except BackendError:
            return (yield from share(call, began, None, env, is_stored=False))
        if sight.state is FRESH:
            return served(call, sight, env)
    return (yield from share(call, began, sight, env, is_stored=True))


def refresh(call: Call, env: Env) -> Flow[Outcome]:
    """Load now, whatever is stored, and store it unless that is revoked meanwhile.

    A usable entry goes on being served until the new one replaces it; any other load under way on
    this key loses its right to store.
    """
    try:
        sight = yield from look(call, env)
        if sight.state in {State.FRESH, State.STALE} and sight.raw is not None:
            start = Start(sight, sight.raw)
        else:
            leased = yield from take_lease(Claim, call, env)
            start = Start(after_claim(call, leased), leased.filling)
    except BackendError:
        return (yield from load_unstored(call, None, env))
    return (yield from load_stored(call, start, None, env))


def share(
    call: Call, began: int, sight: Sight | None, env: Env, *, is_stored: bool
) -> Flow[Outcome]:
    """Follow the flight of this key if its load is young enough, else lead one.

    `is_stored=False`: nothing is read or stored (the backend fails, or the ttl is 0).
    """
    count_miss(call, sight.state.value if sight else "unread" if is_stored else "not_stored", env)
    while True:
        ask_join = Join(
            call.key,
            began,
            sight.basis if sight and call.policy.tags_of is None else None,
            has_looked=sight is not None or not is_stored,
            is_lenient=not is_stored
            and (call.policy.ttl_ms == 0 or not env.health.breaker.is_closed),
            tags=call.tags,
        )
        flight = yield from do(ask_join)
        if flight is JoinReply.MUST_LOOK:
            try:
                sight = yield from look(call, env)
            except BackendError:
                is_stored = False
                continue
            if sight.state is State.FRESH:
                return served(call, sight, env)
        elif flight is JoinReply.ALONE:
            return (yield from load_unstored(call, None, env))
        elif flight.leader is ask_join:
            return (yield from fly(call, flight, env, is_stored=is_stored))
        else:
            outcome = yield from follow(call, flight, ask_join, env)
            if outcome is not None:
                return outcome
            sight = None


def follow(call: Call, flight: Flight, ask_join: Join, env: Env) -> Flow[Outcome | None]:
    """Wait for another caller's load; `None` where its result is not for this caller."""
    landing = yield from do(AwaitFlight(flight, wait_bound_ms(call.policy.usage)))
    if landing is None:
        env.emit(WaitExpired(call.policy.label))
        return (yield from load_unstored(call, None, env))
    outcome = landing.outcome
    if outcome is None:
        return None
    is_same_basis = ask_join.basis is not None and flight.basis == ask_join.basis
    if outcome.tick <= ask_join.began and not is_same_basis and not ask_join.is_lenient:
        return None
    call.policy.usage.coalesced += 1
    env.emit(Coalesced(call.policy.label))
    if outcome.error is not None:
        return outcome
    try:
        return replace(outcome, value=own_copy(call, outcome))
    except Exception:  # noqa: BLE001  whatever the user's type does when it is copied
        return (yield from load_unstored(call, None, env))


def own_copy(call: Call, outcome: Outcome) -> object:
    """Return a follower's own copy of the leader's value."""
    packed = outcome.packed
    if packed is None:
        return deepcopy(outcome.value)
    stored = Stored(
        Kind.VALUE, packed.codec, packed.flags, b"", 0, None, 0, (), packed.payload, b""
    )
    try:
        return call.policy.recipe.unpack(call.key, stored)
    except DecodeError:
        return deepcopy(outcome.value)


def after_claim(call: Call, leased: Leased) -> Sight:
    """Return what a key holds after a claim: our marker."""
    return Sight(State.FILLING, leased.tick, leased.filling, None, None, ids_of(call, leased.seen))


def fly(call: Call, flight: Flight, env: Env, *, is_stored: bool) -> Flow[Outcome]:
    """Lead a flight to its landing; a leader that is cancelled hands over to its followers."""
    try:
        if is_stored:
            outcome = yield from lead(call, flight, env)
        else:
            outcome = yield from load_unstored(call, flight, env)
    except BaseException:
        yield Land(flight, ABANDONED)
        raise
    yield Land(flight, Landing(outcome))
    return outcome


def lead(call: Call, flight: Flight, env: Env) -> Flow[Outcome]:
    """Acquire the right to store and load, or find that another process has loaded meanwhile."""
    start = yield from acquire(call, env)
    if isinstance(start, Start):
        return (yield from load_stored(call, start, flight, env))
    if start.state is State.FRESH:
        return served(call, start, env)
    return (yield from load_unstored(call, flight, env, start))


def acquire(call: Call, env: Env) -> Flow[Start | Sight]:
    """Get the lease of a key, waiting for whoever holds it; never fail for the backend.

    Returns where the load starts from. A sight instead is fresh, or says that the caller may not
    store; it is then stale if something is there that may be served where the load fails.
    """
    began_ms = env.elapsed_ms()
    stale = NOTHING
    try:
        for _ in range(MOST_ROUNDS):
            mark = env.front.mark(call.key)
            leased = yield from take_lease(LookAndLease, call, env)
            if leased.seen.stream == UNTRACKED:
                mark = None
            sight = yield from examine(call, leased.seen, leased.tick, env)
            start = yield from claimed(call, leased, sight, env)
            if start is None and sight.state in {State.FILLING, State.STALE}:
                stale = sight if sight.state is State.STALE else stale
                start = yield from await_other(call, sight, began_ms, mark, env)
            if start is not None:
                return start
    except BackendError:
        return stale
    return stale


def claimed(call: Call, leased: Leased, sight: Sight, env: Env) -> Flow[Start | Sight | None]:
    """Return where the load of a key starts from; `None` where it is another's, or has changed."""
    if sight.raw == leased.filling:
        return Start(sight, leased.filling)
    if sight.state is State.FRESH:
        return sight
    if sight.state is State.TOMBSTONE or (sight.state is State.ABSENT and leased.seen.refusal):
        return NOTHING
    if sight.state is State.UNUSABLE:
        return (yield from reclaim(call, sight, env))
    if sight.state is State.STALE:
        return (yield from take_refresh(call, sight, env))
    return None


def reclaim(call: Call, sight: Sight, env: Env) -> Flow[Start | None]:
    """Put our marker in the place of an entry that can never be served."""
    raw = sight.raw or WRONG_TYPE
    if raw == WRONG_TYPE:
        yield from ask(Delete((call.key,)), env)
        return None
    filling = new_filling(call, env)
    reply = yield from commit(call.key, raw, filling, lease_ms(call.policy.usage), env)
    return Start(sight, filling) if reply is CommitReply.STORED else None


def await_other(
    call: Call, sight: Sight, began_ms: int, mark: int | None, env: Env
) -> Flow[Start | Sight | None]:
    """Wait for another process's load; `None` where the key has changed and is to be leased anew.

    When the bound is over this caller loads itself, without storing.
    """
    raw = sight.raw
    announced_ms = sight.stored.load_ms if sight.stored else 0
    ends_ms = began_ms + wait_bound_ms(call.policy.usage, announced_ms)
    while (left_ms := ends_ms - env.elapsed_ms()) > 0:
        yield AwaitChange(call.key, left_ms, mark)
        mark = env.front.mark(call.key)
        sight = yield from look(call, env)
        if sight.state is State.FRESH:
            return sight
        if sight.raw != raw:
            return None
        start = (yield from take_refresh(call, sight, env)) if sight.state is State.STALE else None
        if start is not None:
            return start
    env.emit(WaitExpired(call.policy.label))
    return sight if sight.state is State.STALE else NOTHING


def refresh_key(call: Call, env: Env) -> str:
    """Return the key of the efficiency lease under which a stale entry is loaded anew."""
    return f"{env.prefix}~r:{call.key.removeprefix(env.prefix)}"


def take_refresh(call: Call, sight: Sight, env: Env) -> Flow[Start | None]:
    """Try to become the one who loads a stale entry anew."""
    lease = TryLease(refresh_key(call, env), env.draw_token(), lease_ms(call.policy.usage))
    try:
        is_ours = yield from ask_once(lease, env)
    except BackendError:
        raise
    except BaseException:  # it may be ours though the reply was never seen
        yield from give_up(call, Start(sight, sight.raw or b""), env)
        raise
    return Start(sight, sight.raw) if is_ours and sight.raw is not None else None


def load_stored(call: Call, start: Start, flight: Flight | None, env: Env) -> Flow[Outcome]:
    """Load, and commit over what the key held when the load began."""
    sight, expected = start
    try:
        ids = yield from ids_before_load(call, sight, env)
        tick = env.tick()
        if flight is not None:
            flight.basis = (bytes(expected[:HEADER_BYTES]), tuple(sight.ids.items()))
            flight.load_tick = tick
        result = yield from do(Load(call.function, call.args, (flight,) if flight else ()))
        if isinstance(result, Raised):
            yield from give_up(call, start, env)
            return failed(call, result, tick, sight, env)
        return (yield from store(call, start, result, ids, tick, env))
    except BaseException:
        yield from give_up(call, start, env)
        raise


def ids_before_load(call: Call, sight: Sight, env: Env) -> Flow[Mapping[str, bytes | None]]:
    """Return the ids of all tags that can be known before the load.

    The tags of the previous entry, even a dead one, are made where they are absent: a result that
    has them again is then stored with an id from before the load.
    """
    if call.policy.tags_of is None or sight.stored is None:
        return sight.ids
    ids = sight.ids
    absent = tuple(tag.name for tag in sight.stored.tags if ids.get(tag.name) is None)
    if not absent:
        return ids
    life_ms = tag_life_ms(entry_life_ms(call.policy))
    try:
        made = yield from ask_once(MakeTags(new_tags(absent, life_ms, env)), env)
    except BackendError:
        return ids
    return {**ids, **dict(zip(absent, made, strict=True))}


def give_up(call: Call, start: Start, env: Env) -> Flow[None]:
    """Give back what the load had taken: the marker, or the lease of a stale entry."""
    try:
        if start.is_over_entry:
            yield from ask(Delete((refresh_key(call, env),)), env)
        else:
            yield from release(call, start.expected, env)
    except BackendError:
        return


def store(
    call: Call,
    start: Start,
    result: Loaded,
    ids: Mapping[str, bytes | None],
    tick: int,
    env: Env,
) -> Flow[Outcome]:
    """Commit what was loaded, if it is to be stored; the caller gets it in any case."""
    usage = call.policy.usage
    usage.count_load(result.load_ms)
    label = call.policy.label
    what, blob, is_encodable = None, b"", True
    try:
        what = worth(call, result.value, env)
        if what is not None:
            blob = sealed(call, result.value, what, ids, result.load_ms, env)
    except UnencodableValue as error:
        what, is_encodable = None, False
        report_unstored(call, error, env)
    except Exception as error:  # noqa: BLE001  raised by the policy's callables: the user's own
        yield from give_up(call, start, env)
        return Outcome(None, error, tick)
    if what is None:
        yield from give_up(call, start, env)
        env.emit(
            LoadedEvent(label, result.load_ms, "not_stored" if is_encodable else "unencodable")
        )
        return Outcome(result.value, None, tick)
    try:
        reply = yield from commit(call.key, start.expected, blob, what.ttl_ms, env)
        env.front.drop((call.key,))
        if start.is_over_entry:
            yield from give_up(call, start, env)
    except BackendError:
        env.emit(LoadedEvent(label, result.load_ms, "backend_down"))
    else:
        is_stored = reply is CommitReply.STORED
        env.emit(LoadedEvent(label, result.load_ms, "stored" if is_stored else "refused"))
    return Outcome(result.value, None, tick, what.packed)


def load_unstored(
    call: Call, flight: Flight | None, env: Env, stale: Sight = NOTHING
) -> Flow[Outcome]:
    """Load without storing; a stale entry is served where that fails."""
    tick = env.tick()
    if flight is not None:
        flight.load_tick = tick
    result = yield from do(Load(call.function, call.args, (flight,) if flight else ()))
    if isinstance(result, Raised):
        return failed(call, result, tick, stale, env)
    call.policy.usage.count_load(result.load_ms)
    env.emit(LoadedEvent(call.policy.label, result.load_ms, "not_stored"))
    return Outcome(result.value, None, tick)


def failed(call: Call, result: Raised, tick: int, sight: Sight, env: Env) -> Outcome:
    """Return the user's exception, or the stale value that stands in for it (RFC 5861, 4)."""
    env.emit(LoadFailed(call.policy.label, type(result.error).__name__))
    if sight.state is not State.STALE or sight.stored is None:
        return Outcome(None, result.error, tick)
    call.policy.usage.stale_hits += 1
    env.emit(StaleHit(call.policy.label, env.tier))
    stored = sight.stored
    packed = Packed(stored.codec, stored.flags, stored.payload)
    return Outcome(sight.value, None, sight.tick, packed)
