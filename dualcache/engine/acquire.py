"""Getting the right to store: the lease of a key, or waiting for whoever holds it.

Nothing here fails for the backend: a caller who cannot get the right loads for himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from dualcache.core.entry import Packed
from dualcache.core.events import WaitExpired
from dualcache.core.front import UNTRACKED
from dualcache.core.ops import (
    WRONG_TYPE,
    AwaitChange,
    Claim,
    CommitReply,
    Delete,
    Look,
    LookAndLease,
    TryLease,
)
from dualcache.engine.commit import (
    RELEASED_MS,
    commit,
    lease_ms,
    new_filling,
    release,
    take_lease,
)
from dualcache.engine.flights import wait_bound_ms
from dualcache.engine.freshness import Sight, State
from dualcache.engine.read import examine, ids_of, look
from dualcache.engine.recovery import ask, ask_once
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from dualcache.core.entry import Stored
    from dualcache.core.flight import Flight
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.commit import Leased
    from dualcache.engine.env import Env


class Start(NamedTuple):
    """What a load starts from: what was seen, and the bytes that its commit expects to find.

    `token` is that of the efficiency lease of a stale entry, where one was taken.
    """

    sight: Sight
    expected: bytes
    token: bytes | None = None

    @property
    def is_over_entry(self) -> bool:
        """Whether a usable entry is there, to be replaced by the load."""
        return self.sight.state in {State.FRESH, State.STALE}


NOTHING: Final = Sight(State.ABSENT, -1)
"""Seen by a caller who may not store: what it loads is for itself."""
MOST_ROUNDS: Final = 8
"""How often a key may change under a leader's hands before it loads without storing."""


def acquire(call: Call, flight: Flight, env: Env) -> Flow[Start | Sight]:
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
            start = yield from claimed(call, flight, leased, sight, env)
            if start is None and sight.state in {State.FILLING, State.STALE}:
                stale = sight if sight.state is State.STALE else stale
                start = yield from await_other(call, sight, began_ms, mark, env)
            if start is not None:
                return start
    except BackendError:
        return stale
    return stale


def claimed(
    call: Call, flight: Flight, leased: Leased, sight: Sight, env: Env
) -> Flow[Start | Sight | None]:
    """Return where the load of a key starts from; `None` where it is another's, or has changed."""
    if sight.raw == leased.filling:
        return Start(sight, leased.filling)
    if sight.state is State.FRESH:
        return sight
    if sight.state is State.TOMBSTONE or (sight.state is State.ABSENT and leased.seen.refusal):
        return NOTHING
    if sight.state is State.UNUSABLE or is_doomed(flight, sight):
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
    try:
        reply = yield from commit(call.key, raw, filling, lease_ms(call.policy.usage), env)
    except BackendError:
        raise
    except BaseException:  # it may be there though the reply was never seen
        yield from release(call, filling, env)
        raise
    return Start(sight, filling) if reply is CommitReply.STORED else None


def is_doomed(flight: Flight, sight: Sight) -> bool:
    """Tell whether a marker is that of a load of this process whose tags were invalidated.

    Its value could never be served, so nobody need wait for it.
    """
    doomed = flight.doomed
    return (
        sight.state is State.FILLING
        and doomed is not None
        and sight.raw is not None
        and doomed.basis is not None
        and doomed.basis[0] == sight.raw
    )


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


def take_refresh(call: Call, sight: Sight, env: Env) -> Flow[Start | None]:
    """Try to become the one who loads a stale entry anew."""
    token = env.draw_token()
    start = Start(sight, sight.raw or b"", token)
    lease = TryLease(refresh_key(call, env), token, lease_ms(call.policy.usage))
    try:
        is_ours = yield from ask_once(lease, env)
    except BackendError:
        raise
    except BaseException:  # it may be ours though the reply was never seen
        yield from give_up(call, start, env)
        raise
    return start if is_ours else None


def start_refresh(call: Call, env: Env) -> Flow[Start]:
    """Get the right to replace what a key holds; every load of it begun before loses its own.

    A usable entry stays for the time it has left, sealed anew under a version that no other load
    started from. Anything else is claimed.
    """
    tick = env.tick()
    began_ms = env.elapsed_ms()
    seen = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
    sight = yield from examine(call, seen, tick, env)
    if sight.state in {State.FRESH, State.STALE} and sight.stored is not None:
        passed_ms = env.elapsed_ms() - began_ms
        left_ms = None if seen.left_ms is None else max(1, seen.left_ms - passed_ms)
        blob = resealed(call, sight.stored, env)
        reply = yield from commit(call.key, sight.raw or b"", blob, left_ms, env)
        if reply is CommitReply.STORED:
            return Start(replace(sight, raw=blob), blob)
    leased = yield from take_lease(Claim, call, env)
    return Start(after_claim(call, leased), leased.filling)


def resealed(call: Call, stored: Stored, env: Env) -> bytes:
    """Spell the same entry under a new version."""
    return env.seal(
        call.key,
        Packed(stored.codec, stored.flags, stored.payload),
        version=env.draw_token(),
        created_ms=stored.created_ms,
        fresh_ms=stored.fresh_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
    )


def refresh_key(call: Call, env: Env) -> str:
    """Return the key of the efficiency lease under which a stale entry is loaded anew."""
    return f"{env.prefix}~r:{call.key.removeprefix(env.prefix)}"


def after_claim(call: Call, leased: Leased) -> Sight:
    """Return what a key holds after a claim: our marker."""
    return Sight(State.FILLING, leased.tick, leased.filling, None, None, ids_of(call, leased.seen))


def give_up(call: Call, start: Start, env: Env) -> Flow[None]:
    """Give back what the load had taken: the marker, or the lease of a stale entry."""
    try:
        if start.is_over_entry:
            if start.token is not None:
                name = refresh_key(call, env)
                yield from commit(name, start.token, start.token, RELEASED_MS, env)
        else:
            yield from release(call, start.expected, env)
    except BackendError:
        return
