"""The meaning of an answer or a failure of the backend, for the breaker and for observers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.events import BackendDown, BackendUp, StoresStopped
from dualcache.core.ops import (
    WRITE_REFUSALS,
    Batch,
    CommitWay,
    Delete,
    Look,
    LookAndLease,
    Ping,
    Publish,
    ReadTags,
)
from dualcache.core.scans import ReadHeads, Scan, Unlink
from dualcache.engine.commit_ways import note_lacking, try_all_again
from dualcache.engine.nodes import UNKNOWN_NODE
from dualcache.engine.split import split
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.core.ops import Op
    from dualcache.engine.env import Env

__all__ = [
    "LEAVE_PAUSE_MS",
    "cause_of",
    "is_cut",
    "note_answer",
    "note_answers",
    "note_failure",
    "note_refusal",
]

_OUTAGE_REFUSALS: Final = frozenset(
    {"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "NOAUTH", "WRONGPASS", "NOPERM"}
)
_CONFIGURATION_REFUSALS: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})

_DEMOTED: Final = frozenset({"READONLY", "LOADING", "MASTERDOWN"})
"""The errors of a server that was the master, or is about to be one."""
LEAVE_PAUSE_MS: Final = 1_000


def is_cut(error: BackendError) -> bool:
    """Tell whether a connection that had worked was cut: a fresh one may do."""
    return isinstance(error, BackendUnavailable) and error.was_connected


def note_answer(env: Env) -> None:
    """Close the breaker after an answer."""
    env.health.cut_keys.suspect = None
    has_recovered = env.health.breaker.succeeded()
    env.health.note_failures()
    if has_recovered:
        try_all_again(env)
        env.health.settle()
        env.emit(BackendUp(node=_node_of(env)))


def note_answers(op: Op[Any], env: Env) -> None:
    """Close the breaker of each node that has answered a part of an op."""
    if env.nodes is None:
        note_answer(env)
        return
    for part in split(op, env.nodes.node_of).parts:
        note_answer(env.nodes.env_at(part.node, env))


def note_failure(error: BackendError, env: Env, since: int, op: Op[Any]) -> None:
    """Count a failure; tell observers once per change of state.

    `since` is what the breaker's `events` was when the op began.
    """
    if env.nodes is not None and not env.node:
        env = env.nodes.env_at(error.node, env)
    if not error.is_outage:
        return  # of one key or one value, and no news of the server
    if error.was_connected:  # the next connection may lead to another server, or have other rights
        try_all_again(env)
    was_read = error.was_connected and isinstance(op, Look | LookAndLease)
    if was_read and env.health.cut_keys.is_cut_again(op.key, env.elapsed_ms()):  # type: ignore[attr-defined]
        env.health.not_clear()  # so that each read asks whether its key is one of those
        return
    prefix = error.prefix if isinstance(error, BackendRefused) else ""
    _leave_demoted(prefix, env)
    # A server that turns down one kind of op is up. If the breaker opened for it, a user without
    # the right to scan would lose its reads, and a full server the deletions that it still takes.
    if prefix == "NOPERM" and not _is_needed(op):
        note_answer(env)
        if not isinstance(op, Ping | ReadHeads | Scan | Unlink):
            note_refusal(prefix, env)
        return
    is_unknown = isinstance(error, BackendRefused) and error.is_lacking and _is_needed(op)
    if prefix and prefix not in _OUTAGE_REFUSALS and not (error.is_configuration or is_unknown):
        note_answer(env)
        if prefix in WRITE_REFUSALS:
            note_refusal(prefix, env)
        return
    is_configuration = error.is_configuration or is_unknown or prefix in _CONFIGURATION_REFUSALS
    _count_failure(error, prefix, since, env, is_configuration=is_configuration)


def _count_failure(
    error: BackendError, prefix: str, since: int, env: Env, *, is_configuration: bool
) -> None:
    """Let the breaker count a failure; tell observers if it opens."""
    # A time-out or a cut may be a hiccup; a connection that is refused, or an error that says so,
    # is certain.
    pause_ms = env.health.breaker.failed(
        env.elapsed_ms(),
        since=since,
        is_certain=not isinstance(error, BackendTimeout) and not error.was_connected,
        is_configuration=is_configuration,
    )
    env.health.note_failures()
    if pause_ms:
        env.health.not_clear()
        reason = error.code if prefix in {"", "ERR"} else prefix
        env.emit(
            BackendDown(
                reason=reason,
                cause=cause_of(error, env),
                retry_ms=pause_ms,
                is_configuration=is_configuration,
                node=_node_of(env),
            )
        )


def _node_of(env: Env) -> str:
    """Return the node that an event is about; nothing where it is about all of them."""
    return "" if env.node == UNKNOWN_NODE else env.node


def _is_needed(op: Op[Any]) -> bool:
    """Tell whether there is no cache without the right to this op: it reads, deletes or tells."""
    parts = op.ops if isinstance(op, Batch) else (op,)
    needed = Look | LookAndLease | ReadTags | Delete | Publish
    return any(isinstance(part, needed) for part in parts)


def cause_of(error: BackendError, env: Env) -> str:
    """Say in a few words why the backend failed: the system's own where it has some."""
    if isinstance(error, BackendTimeout) and error.code == "DC201" and env.timeout_ms:
        return f"timed out after {env.timeout_ms} ms"
    cause = dict(error.details).get("cause")
    if cause:
        return cause
    has_word = isinstance(error, BackendRefused) and error.prefix != "ERR"
    what = error.prefix if has_word else error.what  # type: ignore[attr-defined]
    return f"{what}: {error.help}" if error.help else what


def _leave_demoted(prefix: str, env: Env) -> None:
    """Leave a server that says that it is a replica, or no master yet."""
    # Behind a load balancer the address leads to the new master, but old connections stay where
    # they are. Where it leads to the same server again, that is found out once a second.
    # In a cluster the other nodes tell which of them has its slots by now.
    now_ms = env.elapsed_ms()
    if env.nodes is None and prefix in _DEMOTED and now_ms >= env.health.leave_at_ms:
        env.health.leave_at_ms = now_ms + LEAVE_PAUSE_MS
        env.leave_server()


def note_refusal(prefix: str, env: Env) -> None:
    """Note that the server takes no writes; tell observers once until it does again."""
    _leave_demoted(prefix, env)
    if not env.health.are_stores_stopped:
        env.health.are_stores_stopped = True
        env.emit(StoresStopped(reason=prefix))
    if prefix == "NOPERM":
        # Waiting does not fix it: without leases, nothing is sent that would be turned down again.
        env.health.whole.lacking.is_told = True
        note_lacking(tuple(CommitWay), env)
