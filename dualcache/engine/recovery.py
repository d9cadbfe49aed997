"""What happens when the backend fails: the breaker, the deletions it still owes, and their replay.

Every backend op of every flow goes through `ask`. A deletion that may not have arrived is kept, and
delivered before anything else is asked of the backend.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dualcache.core.events import PendingOverflowed, Replayed, ScansRefused
from dualcache.core.ops import Fence, Look, LookAndLease, Ping, do
from dualcache.engine.attempts import is_cut, note_answer, note_failure, watched
from dualcache.engine.breaker import Breaker
from dualcache.engine.cut_keys import CutKeys, over_a_limit
from dualcache.engine.deletion import ScanRefused, deliver
from dualcache.engine.ways import Lacking
from dualcache.errors import BackendError, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.core.ops import Flow, Op
    from dualcache.engine.deletion import PendingDeletion
    from dualcache.engine.env import Env

T = TypeVar("T")

MOST_PENDING: Final = 10_000


class Health:
    """Whether the backend may be asked; `is_clear` is all that a healthy flow reads.

    Threads may share one: each owed deletion is an object of its own under its own number, so
    adding and removing never race.
    """

    __slots__ = (
        "_numbers",
        "are_stores_stopped",
        "breaker",
        "cut_keys",
        "has_overflowed",
        "is_clear",
        "lacking",
        "leave_at_ms",
        "owed",
        "refused",
    )

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.cut_keys = CutKeys()
        self.lacking = Lacking()
        self.leave_at_ms = 0
        self.owed: dict[int, PendingDeletion] = {}
        self.refused: dict[int, PendingDeletion] = {}
        self.is_clear = True
        self.has_overflowed = False
        self.are_stores_stopped = False
        self._numbers = count()

    def owe(self, owed: PendingDeletion, env: Env) -> None:
        """Keep a deletion for the replay. Beyond the bound all are dropped and reads stay off."""
        self.owed[next(self._numbers)] = owed
        dropped = len(self.owed)
        if dropped > MOST_PENDING:
            self.has_overflowed = True
            self.owed.clear()
        self.is_clear = False
        if dropped > MOST_PENDING:
            env.emit(PendingOverflowed(dropped=dropped))

    def set_aside(self, owed: PendingDeletion, error: ScanRefused, env: Env) -> None:
        """Keep a deletion that the server refuses to look for, without stopping reads for it.

        It was said to be pending. Held back until it is delivered, reads would never come again.
        """
        if not self.refused:
            env.emit(ScansRefused(reason=error.prefix))
        self.refused[next(self._numbers)] = owed
        if len(self.refused) > MOST_PENDING:
            del self.refused[next(iter(self.refused))]

    def settle(self) -> None:
        """See whether all is well again.

        Another thread may owe a deletion meanwhile. It keeps it first and then says that all is not
        clear; here it is the other way round, so that one of the two sees the other.
        """
        self.is_clear = True
        is_open = not self.breaker.is_closed
        if self.owed or self.has_overflowed or is_open or self.cut_keys.reads:
            self.is_clear = False


def ask(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that may be repeated, after what is owed; raise `BackendError` if it fails.

    Every hit goes through here, so the good case is one generator and three tests.
    """
    health = env.health
    if not health.is_clear:
        yield from prepare(op, env)
    since = health.breaker.events
    try:
        reply: T = yield op
    except BackendError as error:
        note_failure(error, env, since, op)
        if not is_cut(error):
            raise
        return (yield from watched(op, env))
    if health.breaker.failures:
        note_answer(env)
    return reply


def ask_once(op: Op[T], env: Env) -> Flow[T]:
    """Perform an op that must not be sent twice, after what is owed."""
    if not env.health.is_clear:
        yield from prepare(op, env)
    return (yield from watched(op, env))


def prepare(op: Op[Any], env: Env) -> Flow[None]:
    """Get back to a clear state before an op; raise where it is not to be performed."""
    reads = env.health.cut_keys
    if isinstance(op, Look | LookAndLease) and not reads.may_read(op.key, env.elapsed_ms()):
        raise over_a_limit()
    yield from restore(env)


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
            help="it is tried again within seconds; the log tells why it opened",
        )
    yield from replay(env)


def replay(env: Env) -> Flow[None]:
    """Deliver every owed deletion; what fails stays owed."""
    health = env.health
    delivered = 0
    for number, owed in tuple(health.owed.items()):
        try:
            yield from deliver(owed, env)
        except ScanRefused as error:
            health.set_aside(owed, error, env)
        else:
            delivered += 1
        health.owed.pop(number, None)
    health.settle()
    if delivered:
        env.emit(Replayed(delivered=delivered))


def retry_refused(env: Env) -> Flow[None]:
    """Deliver what the server refused to look for before, if it does not refuse that any more."""
    refused = env.health.refused
    for number, owed in tuple(refused.items()):
        try:
            yield from deliver(owed, env)
        except ScanRefused:
            return
        refused.pop(number, None)
        env.emit(Replayed(delivered=1))


def fence(env: Env) -> Flow[None]:
    """Wait until this process has heard every invalidation acknowledged by now; else forget all."""
    is_proved = yield from do(Fence())
    if not is_proved:
        env.front.drop_all()


def ping_server(env: Env) -> Flow[bool]:
    """Tell whether the backend answers; asked even while the breaker is open."""
    try:
        yield from watched(Ping(), env)
    except BackendError:
        return False
    note_answer(env)
    return True
