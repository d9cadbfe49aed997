"""The flow of a HEAD request: what is stored is served, and nothing is stored for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import MISSING
from dualcache.core.flight import Outcome
from dualcache.engine.lead import load_unstored
from dualcache.engine.read import get

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env


def get_or_run(call: Call, env: Env) -> Flow[Outcome]:
    """Serve a fresh value, or load one for this caller alone; store nothing, wait for nobody."""
    sequence = env.sequence()
    value = yield from get(call, env)
    if value is not MISSING:
        return Outcome(value, None, sequence)
    return (yield from load_unstored(call, None, env))
