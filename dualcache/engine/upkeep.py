"""Asking about the backend itself: the fence, and a ping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.apart import At, ReadTopology
from dualcache.core.ops import Fence, Look, Ping, do
from dualcache.engine.attempts import attempt_once
from dualcache.engine.outcomes import is_cut, note_answer
from dualcache.errors import BackendError, BackendRefused

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.engine.nodes import Nodes

__all__ = ["fence", "ping_server"]


def fence(env: Env) -> Flow[None]:
    """Wait until this process has heard every invalidation acknowledged by now; else forget all."""
    is_proved = yield from do(Fence())
    if not is_proved:
        env.front.drop_all()


def ping_server(env: Env) -> Flow[bool]:
    """Tell whether the backend answers; asked even while the breaker is open."""
    try:
        if env.nodes is not None:
            yield from _ping_nodes(env, env.nodes)
            return True
        yield from attempt_once(Ping(), env)
    except BackendRefused as error:
        if not error.is_lacking:
            return False
        # Refused, it has answered all the same: the user lacks the right, or a proxy the command.
    except BackendError as error:
        # A proxy may close the connection at a PING, and answer reads.
        if env.nodes is not None or not is_cut(error) or not (yield from _reads(env)):
            return False
    note_answer(env)
    return True


def _ping_nodes(env: Env, nodes: Nodes) -> Flow[None]:
    """Ping every node of a cluster; raise where one does not answer."""
    yield from do(ReadTopology())
    for node in nodes.names:
        yield from attempt_once(At(node, Ping()), env)


def _reads(env: Env) -> Flow[bool]:
    """Tell whether a read is answered."""
    try:
        yield from attempt_once(Look(f"{env.prefix}~p"), env)
    except BackendError:
        return False
    return True
