"""What events tell of an entry: its age and size, and its key where that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.envelope import created_ms_of
from dualcache.core.events import StaleHit

if TYPE_CHECKING:
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["age_of", "key_told", "tell_stale"]


def key_told(call: Call, env: Env) -> str:
    """Return the key of a call for an event, without the namespace; empty unless asked for."""
    return call.key.removeprefix(env.prefix) if env.keys_are_told else ""


def age_of(raw: bytes | None, env: Env) -> float | None:
    """Return how old an entry is, in seconds; `None` where there is none to look at."""
    return None if raw is None else max(0, env.now_ms() - created_ms_of(raw)) / 1000


def tell_stale(call: Call, read: ReadResult, env: Env, why: str) -> None:
    """Tell that a stale value was served, and why."""
    age, key = age_of(read.raw, env), key_told(call, env)
    env.emit(StaleHit(call.policy.label, env.tier, why, age, key))
