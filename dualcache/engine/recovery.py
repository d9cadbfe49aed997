"""What happens when the backend fails: the breaker, the deletions it still owes, and their replay.

Every backend op of every flow goes through `ask`. A deletion that may not have arrived is kept, and
delivered before anything else is asked of the backend.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from dualcache.core.events import (
    BackendDown,
    BackendUp,
    PendingOverflowed,
    Replayed,
    StoresStopped,
)
from dualcache.core.globs import compile_glob
from dualcache.core.notice import Notice, life_key
from dualcache.core.ops import WRITE_REFUSALS, Batch, Delete, Fence, Ping, Scan, Tell, Unlink, do
from dualcache.engine.breaker import Breaker
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env

T = TypeVar("T")

MOST_PENDING: Final = 10_000
SCAN_COUNT: Final = 1_000
OUTAGE_REFUSALS: Final = frozenset(
    {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS", "NOPERM"}
)
CONFIGURATION_REFUSALS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})


class Owed(NamedTuple):
    """A deletion to be delivered: keys and tags in full, patterns without the namespace."""

    keys: tuple[str, ...]
    patterns: tuple[str, ...] = ()


class Health:
    """Whether the backend may be asked; `is_clear` is all that a healthy flow reads.

    Threads may share one: each owed deletion is an object of its own under its own number, so
    adding and removing never race.
    """

    __slots__ = ("_numbers", "are_stores_stopped", "breaker", "has_overflowed", "is_clear", "owed")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.owed: dict[int, Owed] = {}
        self.is_clear = True
        self.has_overflowed = False
        self.are_stores_stopped = False
        self._numbers = count()

    def owe(self, owed: Owed, env: Env) -> None:
        """Keep a deletion for the replay. Beyond the bound all are dropped and reads stay off."""
        self.owed[next(self._numbers)] = owed
        dropped = len(self.owed)
        if dropped > MOST_PENDING:
            self.has_overflowed = True
            self.owed.clear()
        self.is_clear = False
        if dropped > MOST_PENDING:
            env.emit(PendingOverflowed(dropped=dropped))

    def settle(self) -> None:
        """See whether all is well again.

        Another thread may owe a deletion meanwhile. It keeps it first and then says that all is not
        clear; here it is the other way round, so that one of the two sees the other.
        """
        self.is_clear = True
        if self.owed or self.has_overflowed or not self.breaker.is_closed:
            self.is_clear = False


def ask(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated, after what is owed; raise `BackendError` if it fails.

    Every hit goes through here, so the good case is one generator and three tests.
    """
    health = env.health
    if not health.is_clear:
        yield from restore(env)
    try:
        reply: T = yield op
    except BackendError as error:
        note_failure(error, env)
        if not isinstance(error, BackendUnavailable) or not error.was_connected:
            raise
        return (yield from watched(op, env))
    if health.breaker.failures:
        note_answer(env)
    return reply


def ask_once(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that must not be sent twice, after what is owed."""
    if not env.health.is_clear:
        yield from restore(env)
    return (yield from watched(op, env))


def twice(attempt: Callable[[], Flow[T]]) -> Flow[T]:
    """Run a flow, and a new one if a connection that had worked was cut: a fresh one may do."""
    try:
        return (yield from attempt())
    except BackendUnavailable as error:
        if not error.was_connected:
            raise
    return (yield from attempt())


def insist(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated, once more if its connection was cut."""
    try:
        return (yield from watched(op, env))
    except BackendUnavailable as error:
        if not error.was_connected:
            raise
    return (yield from watched(op, env))


def watched(op: Op[T], env: Env) -> Flow[T]:
    """Perform one backend op and let the breaker see how it went."""
    try:
        reply: T = yield op
    except BackendError as error:
        note_failure(error, env)
        raise
    health = env.health
    if not health.breaker.is_closed or health.breaker.failures:
        note_answer(env)
    return reply


def restore(env: Env, *, is_clear: bool = False) -> Flow[None]:
    """Get back to a clear state, or raise `BackendUnavailable` without asking the backend.

    `is_clear`: the whole namespace is about to be deleted, so an overflow does not matter.
    """
    health = env.health
    # Asked first: a caller who may not read must not use up the one attempt after a pause.
    if health.has_overflowed and not is_clear:
        raise BackendUnavailable(
            "the backend is not read: more invalidations were kept than the queue holds",
            code="DC206",
            help="call clear() once the backend is back; it deletes what those would have deleted",
        )
    if not health.breaker.may_try(env.elapsed_ms()):
        raise BackendUnavailable(
            "the backend is not asked: its circuit breaker is open",
            code="DC205",
            help="it is tried again within seconds; stats() tells why it opened",
        )
    yield from replay(env)


def replay(env: Env) -> Flow[None]:
    """Deliver every owed deletion; what fails stays owed."""
    health = env.health
    delivered = 0
    for number, owed in tuple(health.owed.items()):
        yield from deliver(owed, env)
        health.owed.pop(number, None)
        delivered += 1
    health.settle()
    if delivered:
        env.emit(Replayed(delivered=delivered))


def deliver(owed: Owed, env: Env) -> Flow[int]:
    """Delete keys, then whatever matches the patterns; return how many there were."""
    removed = 0
    if owed.keys:
        removed += yield from delete_names(owed.keys, env)
    for pattern in owed.patterns:
        removed += yield from delete_matching(pattern, env)
    return removed


def delete_names(names: tuple[str, ...], env: Env) -> Flow[int]:
    """Delete keys and tags, and tell others where they are to be told."""
    notice = notice_of(names, env)
    try:
        return (yield from insist(Delete(names, notice), env))
    except BackendRefused as error:
        if notice is None or error.prefix != "OOM":
            raise
    # A full server queues nothing for a transaction, but deletes and tells all the same.
    removed, _ = yield from insist(Batch((Delete(names), Tell(notice))), env)
    return int(removed)


def delete_matching(pattern: str, env: Env) -> Flow[int]:
    """Delete every key that matches, page by page: complete for keys that were there throughout.

    A key's variants die with it, so its base tag `~b:key` goes too. One pass over the key space
    finds both; what the wider pattern finds beside them is left alone. The pattern is told when all
    is deleted: whoever reads a page before it is deleted may keep what he reads until then.
    """
    is_doomed = doomed_by(pattern, env)
    wider = f"{env.prefix}*{pattern.lstrip('*')}"
    removed = 0
    cursor = 0
    while True:
        page = yield from insist(Scan(cursor, wider, SCAN_COUNT), env)
        doomed = tuple(key for key in page.keys if is_doomed(key))
        if doomed:
            removed += yield from insist(Unlink(doomed), env)
            env.front.drop(key.decode(errors="replace") for key in doomed)
        cursor = page.cursor
        if not cursor:
            break
    if env.channel:
        yield from insist(Tell(Notice(env.channel, (), (pattern,))), env)
    return removed


def doomed_by(pattern: str, env: Env) -> Callable[[str | bytes], bool]:
    """Return what tells whether a full name, of a key or of a base tag, dies by a pattern."""
    is_key = compile_glob(env.prefix + pattern)
    is_base = compile_glob(f"{env.prefix}~b:{pattern}")
    spared = life_key(env.prefix).encode() if env.channel else None

    def is_doomed(name: str | bytes) -> bool:
        raw = name.encode() if isinstance(name, str) else name
        return raw != spared and bool(is_key(raw) or is_base(raw))

    return is_doomed


def notice_of(names: tuple[str, ...], env: Env) -> Notice | None:
    """Return what tells others that names were revoked, where they are to be told.

    They are told whether or not the names were there: a copy outlives an entry that was evicted.
    """
    return Notice(env.channel, names) if env.channel else None


def note_answer(env: Env) -> None:
    """Close the breaker after an answer."""
    if env.health.breaker.succeeded():
        env.health.settle()
        env.emit(BackendUp())


def note_failure(error: BackendError, env: Env) -> None:
    """Count a failure; tell observers once per change of state."""
    health = env.health
    prefix = error.prefix if isinstance(error, BackendRefused) else ""
    if prefix and prefix not in OUTAGE_REFUSALS:
        note_answer(env)
        if prefix in WRITE_REFUSALS:
            note_refusal(prefix, env)
        return
    is_configuration = error.is_configuration or prefix in CONFIGURATION_REFUSALS
    pause_ms = health.breaker.failed(
        env.elapsed_ms(),
        is_certain=not isinstance(error, BackendTimeout) and not error.was_connected,
        is_configuration=is_configuration,
    )
    if pause_ms:
        health.is_clear = False
        reason = prefix or error.code
        env.emit(BackendDown(reason=reason, retry_ms=pause_ms, is_configuration=is_configuration))


def note_refusal(prefix: str, env: Env) -> None:
    """Note that the server takes no writes; tell observers once until it does again."""
    if not env.health.are_stores_stopped:
        env.health.are_stores_stopped = True
        env.emit(StoresStopped(reason=prefix))


def fence(env: Env) -> Flow[None]:
    """Wait until this process has heard every invalidation acknowledged by now; else forget all."""
    is_proved = yield from do(Fence())
    if not is_proved:
        env.front.drop_all()


def sign_of_life(env: Env) -> Flow[bool]:
    """Tell whether the backend answers; asked even while the breaker is open."""
    try:
        yield from watched(Ping(), env)
    except BackendError:
        return False
    note_answer(env)
    return True
