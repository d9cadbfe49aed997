"""Delivering a deletion to the server that it concerns, or to each node of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.apart import ReadTopology
from dualcache.core.ops import Batch, Delete, GiveWay, Publish, ReadTags, do
from dualcache.core.revocation import Revocation
from dualcache.engine.acknowledged import other_master
from dualcache.engine.apart import ask_each_node
from dualcache.engine.attempts import attempt_each
from dualcache.engine.deletion import (
    ScanRefused,
    delete_matching,
    delete_names,
    delete_owned,
    notice_of,
)
from dualcache.engine.holds import hold, hold_keys, holdable
from dualcache.engine.nodes import UNKNOWN_NODE, unsettled
from dualcache.engine.pipelines import slices
from dualcache.errors import BackendError, BackendRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.engine.health import PendingDeletion
    from dualcache.engine.nodes import Nodes

__all__ = ["deliver", "deliver_to_nodes", "first_failure"]

_PASSES: Final = 2


def deliver(deletion: PendingDeletion, env: Env) -> Flow[int]:
    """Delete keys, then what matches the patterns and belongs to the functions; count them."""
    if env.nodes is not None:
        failures: list[BackendError] = []
        removed, left = yield from deliver_to_nodes(deletion, env, env.nodes, {}, failures)
        if left is not None:
            raise first_failure(failures)
        return removed
    removed = 0
    if deletion.keys:
        removed += yield from delete_names(deletion.keys, _holds_of(deletion, env), env)
    if deletion.patterns or deletion.functions:
        removed += yield from _search(deletion, env)
    return removed


def deliver_to_nodes(
    deletion: PendingDeletion,
    env: Env,
    nodes: Nodes,
    blocked: Mapping[str, BackendError],
    failures: list[BackendError],
) -> Flow[tuple[int, PendingDeletion | None]]:
    """Deliver what can be delivered; return how many keys there were, and what is left.

    `blocked` are the nodes that are not to be asked. `failures` gets why something is left.
    """
    removed = 0
    left: list[str] = []
    asked, has_failed = deletion, False
    for _ in range(_PASSES):
        changes, names = nodes.acknowledged.changes, nodes.names
        lost = len(left)
        for part in slices(asked.keys):
            if removed or left:
                yield GiveWay()
            removed += yield from _delete_at_nodes(part, asked, env, nodes, blocked, left, failures)
        searched = len(failures)
        if asked.globs:
            removed += yield from _search_nodes(asked, env, nodes, blocked, failures)
        has_failed = has_failed or len(failures) > searched
        kept = frozenset(left[lost:])
        done = _only(
            asked, [key for key in asked.keys if key not in kept], is_searched=not has_failed
        )
        if nodes.acknowledged.note(done, names, changes):
            break
        asked = done  # the node that was replaced may have carried it out
    else:
        left += asked.keys
        has_failed = has_failed or bool(asked.globs)
        failures.append(other_master())
    if not left and not has_failed:
        return removed, None
    return removed, _only(deletion, left, is_searched=has_failed)


def _only(deletion: PendingDeletion, keys: Sequence[str], *, is_searched: bool) -> PendingDeletion:
    """Return a part of a deletion: these of its keys, and what it searches for, or not."""
    kept = frozenset(keys)
    return deletion._replace(
        keys=tuple(keys),
        held=tuple([key for key in deletion.held if key in kept]),
        patterns=deletion.patterns if is_searched else (),
        functions=deletion.functions if is_searched else (),
    )


def first_failure(failures: list[BackendError]) -> BackendError:
    """Take the first failure; a refusal to list keys only where nothing else has failed."""
    failures.sort(key=lambda failure: isinstance(failure, ScanRefused))
    return failures.pop(0)


def _holds_of(deletion: PendingDeletion, env: Env) -> dict[str, int]:
    """Return for how many ms each key is still to be held."""
    left_ms = deletion.hold_ends_ms - env.elapsed_ms() if deletion.held else 0
    return dict.fromkeys(deletion.held, left_ms) if left_ms > 0 else {}


def _search(deletion: PendingDeletion, env: Env, held: set[str] | None = None) -> Flow[int]:
    """Delete what has to be searched for; `held` is as for `delete_matching`."""
    removed = 0
    for pattern in deletion.patterns:
        removed += yield from delete_matching(pattern, env, held)
    for function in deletion.functions:
        removed += yield from delete_owned(function, env)
    return removed


def _delete_at_nodes(
    keys: Sequence[str],
    deletion: PendingDeletion,
    env: Env,
    nodes: Nodes,
    blocked: Mapping[str, BackendError],
    left: list[str],
    failures: list[BackendError],
) -> Flow[int]:
    """Delete keys, each at its node; `left` gets those that could not be deleted."""
    asked = list(keys)
    if blocked:
        asked = [key for key in keys if nodes.node_of(key) not in blocked]
        stopped = [key for key in keys if nodes.node_of(key) in blocked]
        left += stopped
        failures += [blocked[nodes.node_of(key)] for key in stopped][:1]
    if not asked:
        return 0
    ops = tuple([Delete((key,), notice_of((key,), env)) for key in asked])
    replies = yield from ask_each_node(Batch(ops), env, nodes, may_repeat=True)
    yield from _tell_full(asked, replies, env, nodes)
    failed = {
        key: reply
        for key, reply in zip(asked, replies, strict=True)
        if isinstance(reply, BackendError)
    }
    left += failed
    failures += failed.values()
    deleted = [key for key in asked if key not in failed]
    yield from _hold_again(deleted, deletion, env)
    return sum([reply for reply in replies if not isinstance(reply, BackendError)])


def _tell_full(keys: Sequence[str], replies: list[Any], env: Env, nodes: Nodes) -> Flow[None]:
    """Delete and tell once more what a full server has not, and take what it replies."""
    # It queues nothing for a transaction. The notice goes when the deletion is known to be done: in
    # one trip a slot that moves would have the deletion redirected, and the notice told before it.
    places = [at for at, reply in enumerate(replies) if env.channel and _is_full(reply)]
    if not places:
        return
    plain = tuple([Delete((keys[at],)) for at in places])
    found = yield from ask_each_node(Batch(plain), env, nodes, may_repeat=True)
    for at, reply in zip(places, found, strict=True):
        replies[at] = reply
    done = [at for at in places if not isinstance(replies[at], BackendError)]
    notices = tuple([Publish(Revocation(env.channel, (keys[at],))) for at in done])
    told = yield from ask_each_node(Batch(notices), env, nodes, may_repeat=True)
    for at, reply in zip(done, told, strict=True):
        replies[at] = reply if isinstance(reply, BackendError) else replies[at]


def _is_full(reply: Any) -> bool:
    return isinstance(reply, BackendRefused) and reply.prefix == "OOM"


def _hold_again(keys: Sequence[str], deletion: PendingDeletion, env: Env) -> Flow[None]:
    """Put the holds back under keys that were deleted, and those that the deletion asks for."""
    # Read when the keys are deleted, in a trip of its own: copies lie at other nodes, so one that
    # was put between the two would not be seen, and the hold itself would be gone.
    names = holdable(keys, env)
    if not names:
        return
    found = yield from attempt_each([ReadTags((each,)) for each in hold_keys(names, env)], env)
    held = {key for key, ids in zip(names, found, strict=True) if ids and ids[0] is not None}
    wanted = {key: ms for key, ms in _holds_of(deletion, env).items() if key in names}
    if held or wanted:
        yield from hold(wanted, held, env)


def _search_nodes(
    deletion: PendingDeletion,
    env: Env,
    nodes: Nodes,
    blocked: Mapping[str, BackendError],
    failures: list[BackendError],
) -> Flow[int]:
    """Delete what has to be searched for, at every node.

    For the node of `env` alone the others are searched too, but their failures do not count: a
    hold may lie at one node, and its copy at another.
    """
    removed, held = 0, set[str]()
    names: Sequence[str] = (env.node,) if env.node else nodes.names or (UNKNOWN_NODE,)
    if all(node in blocked for node in names):
        failures += [blocked[node] for node in names]
        return 0
    # A key that moves from a node that is still to be searched to one that has been is found at
    # neither. So where slots are on their way all nodes are searched twice: each after each other.
    try:
        for _ in range(_PASSES):
            slots = nodes.slots
            was_moving = yield from do(ReadTopology())
            if env.node and nodes.slots is not slots:
                raise unsettled()  # handed on to other nodes: see `Nodes.adopt`
            slots = nodes.slots
            for node in nodes.names:
                is_meant = env.node in {"", node}
                if is_meant or nodes.is_well(node):
                    own = failures if is_meant else []
                    removed += yield from _search_node(
                        deletion, nodes.env_at(node, env), blocked, own, held
                    )
            is_moving = yield from do(ReadTopology())
            if not was_moving and not is_moving and nodes.slots is slots:
                break
        if held:
            yield from hold({}, held, env)
    except BackendError as error:
        failures.append(error.with_traceback(None))
    return removed


def _search_node(
    deletion: PendingDeletion,
    env: Env,
    blocked: Mapping[str, BackendError],
    failures: list[BackendError],
    held: set[str],
) -> Flow[int]:
    """Delete what has to be searched for at one node."""
    failure = blocked.get(env.node)
    if failure is None:
        try:
            return (yield from _search(deletion, env, held))
        except BackendError as error:
            failure = error.with_traceback(None)
    failures.append(failure)
    return 0
