"""Reading a key: look, and what the caller gets of it. The flows of get, peek, contains and ttl."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import MISSING, Entry, Kind
from dualcache.core.events import Hit, Miss, NotRead, Unusable
from dualcache.core.flight import Outcome
from dualcache.core.front_ports import UNTRACKED, Read
from dualcache.core.ops import FOR_EVER, DropConnections, Look, ReadTags
from dualcache.core.policy import READ_WEIGHT
from dualcache.engine.freshness import (
    ABSENT,
    FILLING,
    FRESH,
    STALE,
    TOMBSTONE,
    UNKNOWN,
    UNTYPED,
    UNUSABLE,
    ReadResult,
    is_fresh,
    keepable_ms,
)
from dualcache.engine.pacing import slices
from dualcache.engine.recovery import ask
from dualcache.engine.tags import NO_IDS, are_alive, has_died
from dualcache.errors import BackendError, DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from dualcache.core.events import Tier
    from dualcache.core.front_ports import FrontPort
    from dualcache.core.ops import Flow, RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

VALUE: Final = Kind.VALUE
UNTYPED_REASON: Final = (
    "an entry that a function with a return annotation stored reads exactly only as that type"
)
UNTYPED_HELP: Final = (
    "give the type: get(key, type=User), get_or_load(key, loader, type=User); "
    "annotate a function: -> User"
)
UNREAD: Final = {state.value: state for state in (UNTYPED, UNKNOWN)}
"""The states of an entry that is good for others, by the reason why this reader has no value."""


def get(call: Call, env: Env) -> Flow[object]:
    """Return the fresh value, or MISSING; a backend that fails is a miss."""
    kept = find_in_front(call, env)
    if kept is not MISSING:
        return kept
    try:
        sight = yield from look(call, env)
    except BackendError:
        env.emit(Miss(call.policy.label, "backend_down"))
        return MISSING
    return found(call, sight, env)


def find_in_front(call: Call, env: Env) -> object:
    """Return the value that the front tier keeps, or MISSING; count a hit."""
    front = call.policy.front
    value = MISSING if front is None else front.find(call)
    if value is not MISSING:
        count_hit(call, env, "front")
    return value


def found(call: Call, sight: ReadResult, env: Env) -> object:
    """Return the value of a sight that may be served, or MISSING; count it."""
    if sight.state is FRESH:
        count_hit(call, env)
        return sight.value
    count_miss(call, sight.state.value, env)
    return MISSING


def contains(call: Call, env: Env) -> Flow[bool]:
    """Tell whether a fresh entry is there."""
    entry = yield from peek(call, env)
    return entry is not None and not entry.stale


def ttl(call: Call, env: Env) -> Flow[float | None]:
    """Return the seconds that an entry has left; `None`: there is none, or it stays for ever."""
    entry = yield from peek(call, env)
    return None if entry is None else entry.ttl


def peek(call: Call, env: Env) -> Flow[Entry | None]:
    """Tell what is stored, fresh or stale, without a side effect; `None`: nothing usable.

    The value is MISSING where only its type reads it exactly and this call does not know it.
    """
    sequence = env.sequence()
    try:
        seen = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
        sight = yield from classify_with_tags(call, seen, sequence, env)
    except BackendError:
        return None
    stored = sight.stored
    is_unread = sight.state in UNREAD.values()
    if stored is None or not (is_unread or sight.state in {FRESH, STALE}):
        return None
    if sight.state is UNTYPED:
        report_untyped(call, env)
    return Entry(
        value=MISSING if is_unread else sight.value,
        age=max(0, env.now_ms() - stored.created_ms) / 1000,
        ttl=None if seen.left_ms is None else seen.left_ms / 1000,
        tier="front" if is_kept(call) else env.tier,
        stale=sight.state is STALE or (is_unread and not is_fresh(stored, env.now_ms())),
        tags=tuple(shown_tags(tag.name for tag in stored.tags)),
    )


def is_kept(call: Call) -> bool:
    """Tell whether the front tier would answer this call."""
    front = call.policy.front
    return front is not None and front.holds(call)


def shown_tags(names: Any) -> Any:
    """Return the users' tags among full tag keys, as the users wrote them."""
    return (name.partition("~t:")[2] for name in names if "~t:" in name)


def look(call: Call, env: Env) -> Flow[ReadResult]:
    """Read a key and its tags; raise `BackendError` where the backend fails."""
    if call.policy.front is not None:
        return (yield from look_to_keep(call, call.policy.front, env))
    sequence = env.sequence()
    with_ttl = call.policy.stale_if_error_ms > 0  # what it has left tells more than clocks
    seen = yield from ask(Look(call.key, call.tags, with_ttl), env)
    sight = classify(call, seen.raw, ids_of(call, seen), sequence, env, seen.left_ms)
    if sight.state is not UNUSABLE:
        return sight
    if sight.is_doubtful:
        yield DropConnections()
    (sight,) = yield from classify_again((call,), (sight,), env)
    return sight


def look_to_keep(call: Call, front: FrontPort, env: Env) -> Flow[ReadResult]:
    """Read a key and its tags, and keep what is fresh in the front tier.

    A ticket for each name is taken before that name is read.
    """
    sequence = env.sequence()
    tickets = [front.begin_read((call.key, *call.tags))]
    seen = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
    sight = classify(call, seen.raw, ids_of(call, seen), sequence, env, seen.left_ms)
    push_epoch = seen.push_epoch
    if sight.is_doubtful:
        yield DropConnections()
    others = unread_tags(sight)
    if others:
        tickets.append(front.begin_read(others))
        more = yield from ask(Look(others[0], others[1:]), env)  # a look is tracked as the first
        ids = dict(zip(others, (more.raw, *more.tag_ids), strict=True))
        sight = classify(call, sight.raw, {**sight.ids, **ids}, sequence, env, seen.left_ms)
        push_epoch = push_epoch if more.push_epoch == push_epoch else UNTRACKED
    # A copy never outlives its entry: where the time left may not be asked, none is kept.
    if sight.state is FRESH and sight.stored is not None and not seen.refusal:
        stale_ms = call.policy.stale_if_error_ms
        life_ms = keepable_ms(sight.stored, seen.left_ms, env.now_ms(), stale_ms)
        front.install(call, sight.value, Read(tickets, sight.stored, life_ms, push_epoch))
    return sight


def classify_with_tags(call: Call, seen: RawRead, sequence: int, env: Env) -> Flow[ReadResult]:
    """Judge what a read found; read the tags first that only the entry itself names."""
    sight = classify(call, seen.raw, ids_of(call, seen), sequence, env, left_of(seen))
    if sight.state is UNUSABLE:
        (sight,) = yield from classify_again((call,), (sight,), env)
    return sight


def unread_tags(sight: ReadResult) -> tuple[str, ...]:
    """Return the tags of an entry whose ids were not read with it."""
    if sight.state is not UNUSABLE or sight.stored is None:
        return ()
    return tuple(tag.name for tag in sight.stored.tags if tag.name not in sight.ids)


def classify_again(
    calls: Sequence[Call], sights: Sequence[ReadResult], env: Env
) -> Flow[list[ReadResult]]:
    """Read the tags that were not read with their entries, all together, and judge by them too."""
    unread = [unread_tags(sight) for sight in sights]
    names = tuple(dict.fromkeys([name for each in unread for name in each]))
    if not names:
        return list(sights)
    ids: dict[str, bytes | None] = {}
    for part in slices(names):
        ids.update(zip(part, (yield from ask(ReadTags(tuple(part)), env)), strict=True))
    judged = []
    for call, sight, own in zip(calls, sights, unread, strict=True):
        known = {**sight.ids, **{name: ids[name] for name in own}}
        again = (
            classify(call, sight.raw, known, sight.sequence, env, sight.left_ms) if own else sight
        )
        judged.append(again)
    return judged


def ids_of(call: Call, seen: RawRead) -> Mapping[str, bytes | None]:
    """Return the id of each tag of the call, as a read found them."""
    return dict(zip(call.tags, seen.tag_ids, strict=True)) if call.tags else NO_IDS


def left_of(seen: RawRead) -> int | None:
    """Return what a key has left, as far as that was asked; `None` too for one without an end."""
    return None if seen.left_ms == FOR_EVER else seen.left_ms


def classify(
    call: Call,
    raw: bytes | None,
    ids: Mapping[str, bytes | None],
    sequence: int,
    env: Env,
    left_ms: int | None = None,
) -> ReadResult:
    """Decide what a key holds; nothing that is read is trusted, and nothing is raised.

    `left_ms` is what the backend says that it has left, where it was asked.
    """
    if raw is None:
        return ReadResult(ABSENT, sequence, None, None, None, ids)
    try:
        stored = env.open_envelope(call.key, raw)
        if stored.kind is not VALUE:
            if stored.tags and has_died(stored.tags, ids):  # a load whose value is lost already
                return ReadResult(UNUSABLE, sequence, raw, None, None, ids)
            state = FILLING if stored.kind is Kind.FILLING else TOMBSTONE
            return ReadResult(state, sequence, raw, stored, None, ids)
        if stored.tags and not are_alive(stored.tags, ids):
            are_ours = all(tag.name.startswith(f"{env.prefix}~") for tag in stored.tags)
            if not are_ours:  # forged: their keys are nobody's tags, and not to be read or made
                env.emit(Unusable(call.policy.label, "foreign"))
            known = stored if are_ours else None
            return ReadResult(UNUSABLE, sequence, raw, known, None, ids, left_ms=left_ms)
        value = call.policy.recipe.unpack(call.key, stored)
    except DecodeError as error:
        if error.reason in UNREAD:
            stored = env.open_envelope(call.key, raw)
            return ReadResult(UNREAD[error.reason], sequence, raw, stored, None, ids)
        env.emit(Unusable(call.policy.label, error.reason))
        return ReadResult(UNUSABLE, sequence, raw, None, None, ids, error.reason == "checksum")
    is_stale = stored.fresh_ms is not None and not is_fresh(
        stored, env.now_ms(), left_ms, call.policy.stale_if_error_ms
    )
    return ReadResult(STALE if is_stale else FRESH, sequence, raw, stored, value, ids)


def count_hit(call: Call, env: Env, tier: Tier | None = None) -> None:
    """Count a hit; it is an event only where somebody listens. The front tier counts its own."""
    if tier != "front":
        usage = call.policy.usage
        usage.hits += 1
        usage.recent_hits += (1 - usage.recent_hits) * READ_WEIGHT
    if env.hits_are_heard:
        env.emit(Hit(call.policy.label, tier or env.tier))


def count_miss(call: Call, reason: str, env: Env) -> None:
    """Count a miss and tell why."""
    call.policy.usage.count_miss()
    tell_miss(call, reason, env)


def tell_miss(call: Call, reason: str, env: Env) -> None:
    """Tell that a caller found nothing to serve, and why."""
    env.emit(Miss(call.policy.label, reason))
    if reason == UNTYPED.value:
        report_untyped(call, env)


def report_untyped(call: Call, env: Env) -> None:
    """Tell once per function or loader that what is stored reads exactly only with its type."""
    usage = call.policy.usage
    usage.unread += 1
    if usage.unread == 1:
        env.emit(NotRead(call.policy.label, UNTYPED_REASON, UNTYPED_HELP))


def served(call: Call, sight: ReadResult, env: Env) -> Outcome:
    """Serve a fresh entry."""
    count_hit(call, env)
    return Outcome(sight.value, None, sight.sequence)
