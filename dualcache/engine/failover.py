"""Deletions on a service that may get another master: each has reached the one of now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.events import MasterChanged, PendingOverflowed
from dualcache.engine.acknowledged import merged, other_master
from dualcache.engine.delivery import deliver

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.acknowledged import Acknowledged
    from dualcache.engine.env import Env
    from dualcache.engine.health import PendingDeletion

__all__ = ["deliver_to_master", "master_changed"]


def deliver_to_master(deletion: PendingDeletion, env: Env) -> Flow[int]:
    """Deliver a deletion, once more if another server became the master meanwhile.

    Raises `BackendUnavailable` if that happens again.
    """
    acknowledged = env.acknowledged
    if acknowledged is None:
        return deliver(deletion, env)
    return _deliver_acknowledged(deletion, acknowledged, env)


def _deliver_acknowledged(
    deletion: PendingDeletion, acknowledged: Acknowledged, env: Env
) -> Flow[int]:
    for _ in range(2):
        master = acknowledged.master
        removed = yield from deliver(deletion, env)
        if acknowledged.note(deletion, master, env.elapsed_ms()):
            return removed
    failure = other_master()
    failure.was_connected = False  # it was tried twice: enough
    raise failure


def master_changed(env: Env) -> None:
    """Have repeated what the old master acknowledged lately, before the new one is read."""
    acknowledged = env.acknowledged
    assert acknowledged is not None, "only a service of Sentinels has another master"
    repeated = acknowledged.changed(env.elapsed_ms())
    dropped = env.health.keep(merged(repeated)) if repeated else 0
    # Kept first, then counted: a flow that begins with the new number finds them pending, and one
    # that began with the old number does not trust what it reads.
    env.health.masters += 1
    if dropped:
        env.emit(PendingOverflowed(dropped=dropped))
    env.emit(MasterChanged(repeated=len(repeated)))
