"""Asking the nodes of a cluster: each part of an op succeeds or fails with its own node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from dualcache.core.apart import Apart, At
from dualcache.engine.acknowledged import other_master
from dualcache.engine.closing import (
    is_closed,
    kinds_of,
    not_sure_yet,
    note_closed,
    note_searched,
    read_to_compare,
    reply_to_closed,
    smallest_search,
)
from dualcache.engine.nodes import unsettled
from dualcache.engine.outcomes import is_cut, note_answer, note_failure
from dualcache.engine.split import join, joined, split
from dualcache.errors import BackendError, BackendRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dualcache.core.ops import Flow, Op
    from dualcache.engine.env import Env
    from dualcache.engine.nodes import Nodes
    from dualcache.engine.split import Split

    Prepare = Callable[[Op[Any], Env], Flow[None]]

__all__ = ["ask_each_node", "ask_nodes", "groups"]

T = TypeVar("T")
_MOST_MOVES: Final = 8
"""How often the topology may change while a caller gets ready to ask."""


def groups(
    items: Sequence[T], names_of: Callable[[T], Iterable[str]], env: Env
) -> list[Sequence[T]]:
    """Split what would go out together: what needs a node that does not answer goes by itself."""
    nodes = env.nodes
    if nodes is None or env.health.is_clear:
        return [items]
    well: list[T] = []
    rest: list[T] = []
    for item in items:
        is_well = all(nodes.is_well(nodes.node_of(name)) for name in names_of(item))
        (well if is_well else rest).append(item)
    return [group for group in (well, rest) if group]


def ask_nodes(
    op: Op[T],
    env: Env,
    nodes: Nodes,
    prepare: Prepare | None = None,
    *,
    may_repeat: bool = False,
) -> Flow[T]:
    """Perform an op at the nodes of its keys; raise the first `BackendError` of its parts.

    `prepare` gets a node that is not clear back to a clear state, or raises. `may_repeat`: a part
    is tried once more where its connection was cut, or the topology has changed.
    """
    made, replies = yield from _ask_parts(op, env, nodes, prepare, may_repeat=may_repeat)
    reply: T = joined(op, made, replies)
    return reply


def ask_each_node(
    op: Op[Any],
    env: Env,
    nodes: Nodes,
    prepare: Prepare | None = None,
    *,
    may_repeat: bool = False,
) -> Flow[list[Any]]:
    """Perform a batch; return the reply to each of its ops, a `BackendError` where one failed."""
    made, replies = yield from _ask_parts(op, env, nodes, prepare, may_repeat=may_repeat)
    return join(op, made, replies)


def _ask_parts(
    op: Op[Any], env: Env, nodes: Nodes, prepare: Prepare | None, *, may_repeat: bool
) -> Flow[tuple[Split, list[Any]]]:
    """Perform the parts of an op, all at once; return the reply or the error of each."""
    whole = env.health.whole
    masters = whole.masters  # before the nodes are looked at: see `Nodes.adopt`
    made, replies = yield from _ready(op, env, nodes, prepare)
    if whole.closed and may_repeat:
        _leave_out_closed(made, replies, env)
    asked = [at for at, reply in enumerate(replies) if reply is None]
    slots, since = nodes.slots, whole.breaker.events
    found: tuple[Any, ...] = ()
    if len(asked) == 1:
        try:
            found = ((yield made.parts[asked[0]]),)
        except BackendError as error:
            found = (error.with_traceback(None),)
    elif asked:
        found = yield Apart(tuple([made.parts[at] for at in asked]))
    for at, reply in zip(asked, found, strict=True):
        node, part = made.parts[at].node, made.parts[at].op
        env_at = nodes.env_at(node, env)
        is_trusted = prepare is None or whole.masters == masters
        replies[at] = judged = _judged(reply, part, env_at, since, is_trusted=is_trusted)
        if not may_repeat or not isinstance(judged, BackendError):
            continue
        # The node may have handed its slots on, and the failure was what showed that.
        if is_cut(judged) or nodes.slots is not slots:
            again = op if type(op) is At else part
            replies[at] = yield from _tried_again(again, part, env_at, nodes, prepare)
    return made, replies


def _leave_out_closed(made: Split, replies: list[Any], env: Env) -> None:
    """Give the parts at which the connection would be closed their replies."""
    for at, part in enumerate(made.parts):
        if replies[at] is None and is_closed(part.op, env):
            replies[at] = _closed_at(part.op)


def _judged(reply: Any, part: Op[Any], env: Env, since: int, *, is_trusted: bool) -> Any:
    """Let the breaker of a node see the reply to a part; return the reply, or its error."""
    if isinstance(reply, BackendError):
        note_failure(reply, env, since, part)
        return reply
    if not env.health.breaker.is_closed or env.health.breaker.failures:
        note_answer(env)
    if env.health.whole.cut_searches:
        note_searched(part, env)
    # A node that was promoted may have answered, before anything was repeated there.
    return reply if is_trusted else other_master()


def _tried_again(
    op: Op[Any], part: Op[Any], env: Env, nodes: Nodes, prepare: Prepare | None
) -> Flow[Any]:
    """Perform a part once more, and find out whether it is why connections are closed.

    `op` is the part, with its node where that is fixed. Returns an error as a value.
    """
    try:
        reply = yield from ask_nodes(op, env, nodes, prepare)
    except BackendError as error:
        failure = error.with_traceback(None)
        if not is_cut(failure) or not kinds_of(part):
            return failure
    else:
        return reply
    # As `try_again` does for one server, in the same order.
    if (yield from _is_known(part, env, nodes)):
        note_searched(part, env)
        return not_sure_yet()
    try:
        yield from ask_nodes(At(env.node, read_to_compare(env)), env, nodes)
    except BackendRefused:  # which is an answer, too
        pass
    except BackendError:
        return failure
    return _closed_at(part) if note_closed(part, env) else not_sure_yet()


def _is_known(op: Op[Any], env: Env, nodes: Nodes) -> Flow[bool]:
    """Ask a node whether it knows the search that was cut: by the smallest one of its kind."""
    smallest = smallest_search(op, env)
    if smallest is None:
        return False
    try:
        yield from ask_nodes(At(env.node, smallest), env, nodes)
    except BackendRefused:  # which is an answer, too
        pass
    except BackendError:
        return False
    return True


def _closed_at(part: Op[Any]) -> Any:
    """Return the reply to a part at which the connection is closed, or its error."""
    try:
        return reply_to_closed(part)
    except BackendError as error:
        return error.with_traceback(None)


def _ready(
    op: Op[Any], env: Env, nodes: Nodes, prepare: Prepare | None
) -> Flow[tuple[Split, list[Any]]]:
    """Split an op, and get each of its nodes ready; return the error of each that is not."""
    for _ in range(_MOST_MOVES):
        slots = nodes.slots
        made = split(op, nodes.node_of)
        errors: list[Any] = [None] * len(made.parts)
        for at, (node, part) in enumerate([(each.node, each.op) for each in made.parts]):
            env_at = nodes.env_at(node, env)
            if prepare is None or env_at.health.is_clear:
                continue
            try:
                yield from prepare(part, env_at)
            except BackendError as error:
                errors[at] = error.with_traceback(None)
        # Pending deletions follow their keys to other nodes. Where the topology has changed since
        # the split, the nodes that were looked at may be the wrong ones, so all begins anew.
        if nodes.slots is slots:
            return made, errors
    raise unsettled()
