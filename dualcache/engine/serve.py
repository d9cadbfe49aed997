"""The first look at a key: what is asked, what the reply means, and the hit that needs no flow.

A driver performs a first look itself and gives the reply to `serve`. What cannot be served goes on
in a flow, which starts from the same look: nothing is read twice, and each rule stands here once.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from dualcache.core.codec_ids import NEGATIVE as NEGATIVE_REASON
from dualcache.core.counters import READ_WEIGHT
from dualcache.core.entry import MISSING, Kind
from dualcache.core.envelope import open_envelope, payload_of_living
from dualcache.core.events import Hit, Unusable
from dualcache.core.front_ports import Read
from dualcache.engine.acknowledged import other_master
from dualcache.engine.freshness import (
    ABSENT,
    FILLING,
    FRESH,
    NEGATIVE,
    OTHER,
    STALE,
    TOMBSTONE,
    UNKNOWN,
    UNTYPED,
    UNUSABLE,
    ReadResult,
    early_ms,
    fresh_left_ms,
    is_fresh,
    keepable_ms,
)
from dualcache.engine.looks import begin_look
from dualcache.engine.outcomes import is_cut, note_answers, note_failure
from dualcache.engine.plain import plain_value
from dualcache.engine.tags import NO_IDS, are_alive, has_died
from dualcache.engine.telling import age_of, key_told
from dualcache.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.events import Tier
    from dualcache.core.front_ports import PushEpoch
    from dualcache.core.ops import RawRead
    from dualcache.core.policy import Call, FunctionPort
    from dualcache.engine.env import Env
    from dualcache.engine.looks import FirstLook
    from dualcache.errors import BackendError

__all__ = [
    "LIKELY_HITS",
    "NOT_SERVED",
    "UNREAD",
    "NotServed",
    "classify",
    "classify_look",
    "count_hit",
    "find_in_front",
    "first_look",
    "ids_of",
    "is_elected",
    "keep",
    "look_failed",
    "serve",
]

LIKELY_HITS: Final = 0.5
"""Share of recent hits from which a read is tried before a lease."""

_VALUE: Final = Kind.VALUE
_EXPIRED: Final = Kind.EXPIRED
UNREAD: Final = {state.value: state for state in (UNTYPED, UNKNOWN, OTHER)}
"""The states of an entry that is good for others, by the reason why this reader has no value."""


class NotServed(Enum):
    """The one-member enum whose member says that only a flow can answer a call."""

    NOT_SERVED = "not served"


NOT_SERVED: Final = NotServed.NOT_SERVED


def find_in_front(call: Call, env: Env) -> object:
    """Return the value that the front tier keeps, or MISSING; count a hit."""
    front = call.policy.front
    if front is not None and call.policy.verify and env.draw() < call.policy.verify:
        return MISSING  # to be checked, it is looked at where it lives
    value = MISSING if front is None else front.find(call)
    if value is not MISSING:
        count_hit(call, env, None, "front")
    return value


def first_look(call: Call, env: Env) -> FirstLook | None:
    """Begin the look that may serve a call without a flow; `None`: its flow has to begin.

    A flow is needed while the breaker is open or deletions are pending, since they come before any
    read; where hits are rare, since a lease is then asked for at once; and where nothing is stored.
    """
    policy, health = call.policy, env.health
    masters = health.masters  # before the look at `is_clear`: see `master_changed`
    if not health.is_clear or policy.counters.recent_hits < LIKELY_HITS or policy.ttl_ms == 0:
        return None
    look = begin_look(call, env)
    look.masters = masters
    return look


def serve(call: Call, look: FirstLook, raw_read: RawRead, env: Env) -> object:
    """Return the fresh value that a first look found, and count the hit; else NOT_SERVED.

    Then the flow of the call goes on with what `look` says was found.
    """
    health = env.health
    if health.masters != look.masters:  # as in `ask`
        look_failed(look, other_master(), env)
        return NOT_SERVED
    if health.breaker.failures:
        note_answers(look.op, env)
    policy = call.policy
    if policy.front is None and not policy.verify:
        value = plain_value(call, raw_read)
        if value is not MISSING:
            count_hit(call, env, raw_read.raw)
            return value
    if policy.verify:
        look.is_elected = is_elected(call, env)
    read = classify_look(call, look, raw_read, env)
    if read.state is not FRESH or read.is_due or look.is_elected:
        return NOT_SERVED
    count_hit(call, env, raw_read.raw)
    return read.value


def is_elected(call: Call, env: Env) -> bool:
    """Tell whether the hit that a look may become is to be checked; asked before the look."""
    # A copy that is there was passed over: that election was held before the look.
    front = call.policy.front
    is_passed_over = front is not None and front.holds(call)
    return is_passed_over or env.draw() < call.policy.verify


def look_failed(look: FirstLook, error: BackendError, env: Env) -> None:
    """Count that the backend failed; the flow of the call goes on without a reply."""
    note_failure(error, env, look.failures, look.op)
    look.is_lost = not is_cut(error)


def classify_look(call: Call, look: FirstLook, raw_read: RawRead, env: Env) -> ReadResult:
    """Decide what a look found; the front tier may keep what is fresh."""
    look.raw_read = raw_read
    raw, front, payload_at = raw_read.raw, call.policy.front, 0
    if call.tags and front is None and raw is not None:
        payload_at = payload_of_living(raw, raw_read.tag_ids)
    # A hit needs the names of its tags only where the front tier is to keep it.
    has_ids = not payload_at and (call.tags or call.beside)
    ids = ids_of(call, raw_read) if has_ids else NO_IDS
    read = classify(call, raw, ids, look.sequence, env, raw_read.left_ms, payload_at)
    if payload_at and (read.state is not FRESH or read.is_due) and raw is not None:
        stored = None if read.stored is None else open_envelope(call.key, raw)
        read = replace(read, ids=ids_of(call, raw_read), stored=stored)
    look.read = read
    if front is not None and read.state is FRESH and not read.is_due:
        keep(call, front, look, raw_read.push_epoch, env)
    return read


def keep(call: Call, front: FunctionPort, look: FirstLook, push_epoch: PushEpoch, env: Env) -> None:
    """Offer a fresh value to the front tier, with the tickets that its reads were made under.

    `push_epoch` is that of all of those reads.
    """
    raw_read, read = look.raw_read, look.read
    # A copy never outlives its entry: where the time left may not be asked, none is kept.
    if read is None or read.stored is None or raw_read.refusal:
        return
    stale_ms = call.policy.stale_ms
    life_ms = keepable_ms(read.stored, raw_read.left_ms, env.now_ms(), stale_ms)
    if life_ms is not None and call.policy.early:
        # Hits in front elect nobody, so each copy ends where its reader would have been elected.
        gap_ms = early_ms(read.stored.load_ms, call.policy.early, env.draw())
        life_ms = max(0, life_ms - round(gap_ms))
    front.install(call, read.value, Read(look.tickets, read.stored, life_ms, push_epoch))


def ids_of(call: Call, raw_read: RawRead) -> Mapping[str, bytes | None]:
    """Return the id of each tag of the call, as a read found them.

    The versions of the entries beside which it looks count as its tags.
    """
    if call.beside:
        return {**dict(zip(call.tags, raw_read.tag_ids, strict=True)), **dict(call.beside)}
    return dict(zip(call.tags, raw_read.tag_ids, strict=True)) if call.tags else NO_IDS


def classify(
    call: Call,
    raw: bytes | None,
    ids: Mapping[str, bytes | None],
    sequence: int,
    env: Env,
    left_ms: int | None = None,
    payload_at: int = 0,
) -> ReadResult:
    """Decide what a key holds; nothing that is read is trusted, and nothing is raised.

    `left_ms` is what the backend says that it has left, where it was asked. `payload_at` is what
    `payload_of_living` said: the tags of such a value are not looked at again.
    """
    if raw is None:
        return ReadResult(ABSENT, sequence, None, None, None, ids)
    try:
        stored = open_envelope(call.key, raw, payload_at)
        if stored.kind is not _VALUE and stored.kind is not _EXPIRED:
            if stored.tags and has_died(stored.tags, ids):  # a load whose value is lost already
                return ReadResult(UNUSABLE, sequence, raw, None, None, ids)
            state = FILLING if stored.kind is Kind.FILLING else TOMBSTONE
            return ReadResult(state, sequence, raw, stored, None, ids)
        # Tags before the value: decoding what is dead would cost time, and run the user's code.
        if stored.tags and not are_alive(stored.tags, ids):
            are_ours = all(tag.name.startswith(f"{env.prefix}~") for tag in stored.tags)
            if not are_ours:  # forged: their keys are nobody's tags, and not to be read or made
                env.emit(Unusable(call.policy.label, "foreign", key_told(call, env)))
            known = stored if are_ours else None
            return ReadResult(UNUSABLE, sequence, raw, known, None, ids, left_ms=left_ms)
        value = call.policy.value_codec.unpack(call.key, stored)
    except DecodeError as error:
        unusable = ReadResult(UNUSABLE, sequence, raw, ids=ids, left_ms=left_ms)
        return _without_value(call, unusable, error, env)
    if stored.fresh_ms is None:
        return ReadResult(FRESH, sequence, raw, stored, value, ids)
    policy = call.policy
    left = fresh_left_ms(stored, env.now_ms(), left_ms, policy.stale_ms)
    if left <= 0:
        return ReadResult(STALE, sequence, raw, stored, value, ids, fresh_left_ms=left)
    is_due = policy.early > 0 and left <= early_ms(stored.load_ms, policy.early, env.draw())
    return ReadResult(FRESH, sequence, raw, stored, value, ids, fresh_left_ms=left, is_due=is_due)


def _without_value(call: Call, read: ReadResult, error: DecodeError, env: Env) -> ReadResult:
    """Decide what a key holds that gave no value; `read` is UNUSABLE."""
    raw = read.raw or b""
    if error.reason == NEGATIVE_REASON:
        stored = open_envelope(call.key, raw)
        # It has no stale window, whatever the `expire` of another release has made of it.
        if not is_fresh(stored, env.now_ms(), read.left_ms):
            return read
        return replace(read, state=NEGATIVE, stored=stored, value=vars(error)["recall"])
    if error.reason in UNREAD:
        stored, shape = open_envelope(call.key, raw), getattr(error, "shape", b"")
        return replace(read, state=UNREAD[error.reason], stored=stored, shape=shape)
    env.emit(Unusable(call.policy.label, error.reason, key_told(call, env)))
    return replace(read, is_doubtful=error.reason == "checksum")


def count_hit(call: Call, env: Env, raw: bytes | None = None, tier: Tier | None = None) -> None:
    """Count a hit; it is an event only where somebody listens. The front tier counts its own."""
    if tier != "front":
        counters = call.policy.counters
        counters.hits += 1
        counters.recent_hits += (1 - counters.recent_hits) * READ_WEIGHT
    if env.hits_are_heard:
        size_bytes, label = len(raw or b""), call.policy.label
        told = Hit(
            label, tier or env.tier, False, age_of(raw, env), size_bytes, key_told(call, env)
        )
        env.emit(told)
