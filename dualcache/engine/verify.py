"""Checking hits: the function is run again in the background, and the two values are compared.

It finds the writes that forget to invalidate. Nobody waits for it, and nothing is stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.background import Spawn
from dualcache.core.envelope import open_envelope
from dualcache.core.events import Differed
from dualcache.core.flight import Load
from dualcache.core.interrupts import interrupt_in
from dualcache.core.ops import Look, Pause, Raised, do
from dualcache.engine.freshness import NEGATIVE, SERVED
from dualcache.engine.read import classify_with_tags
from dualcache.engine.recovery import ask
from dualcache.engine.telling import key_told
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["LEAST_PAUSE_MS", "start_verifying"]

LEAST_PAUSE_MS: Final = 1_000
_BUDGETS: Final = 8
"""A call may take four budgets, and an invalidation may come after another call of its own."""


def start_verifying(call: Call, read: ReadResult, env: Env) -> Flow[None]:
    """Start to check what was read, unless an entry of this function is being checked already."""
    # One at a time: it may pause for seconds, and loads in the background have few threads.
    name = f"{env.prefix}~verify:{call.policy.label}"
    yield from do(Spawn(name, _verify(call, read, env)))


def _verify(call: Call, read: ReadResult, env: Env) -> Flow[None]:
    """Run the function, and tell if the entry differs and stays though it should be gone."""
    if read.state not in SERVED or read.raw is None:
        return
    result = yield from do(Load(call.function, call.args))
    is_negative = read.state is NEGATIVE
    if isinstance(result, Raised):
        differs = _differs_by(call, read.value if is_negative else None, result.error)
        del result  # the frame of the user's function leads back to this one
    else:
        differs = is_negative or _differs(call, read.raw, result.value)
    call.policy.counters.verified += 1
    if not differs:
        return
    # The source may have changed before its invalidation has arrived here. Only an entry that is
    # still there, to the letter, after every invalidation of then has ended is one that was missed:
    # whatever was stored since has another version.
    yield Pause(max(LEAST_PAUSE_MS, _BUDGETS * env.timeout_ms))
    sequence = env.sequence()
    try:
        raw_read = yield from ask(Look(call.key, call.tags, with_ttl=True), env)
        now = yield from classify_with_tags(call, raw_read, sequence, env)
    except BackendError:
        return
    if now.state in SERVED and now.raw == read.raw and now.stored is not None:
        age = max(0, env.now_ms() - now.stored.created_ms) / 1000
        call.policy.counters.count_differed(age)
        env.emit(Differed(call.policy.label, age, env.tier, key_told(call, env)))


def _differs_by(call: Call, recall: Callable[[], Exception] | None, error: Exception) -> bool:
    """Tell whether an exception is another answer than what is stored; False if it is none."""
    value_codec = call.policy.value_codec
    if not value_codec.lists(error):
        return False
    return recall is None or not value_codec.is_same_error(recall(), error)


def _differs(call: Call, raw: bytes, value: Any) -> bool:
    """Tell whether a value would be another than the stored one to a caller; False if unknown."""
    value_codec = call.policy.value_codec
    stored = open_envelope(call.key, raw)
    # Both as they come back from the backend: a codec may be allowed to change what it keeps. Read
    # again, since the value that was read belongs to a caller by now, who may have changed it.
    try:
        packed = value_codec.pack(value)
        if packed == stored.packed:
            return False
        return not value_codec.is_same(value_codec.copy(stored.packed), value_codec.copy(packed))
    except Exception as error:
        if interrupt_in(error) is not None:
            raise
        return False
