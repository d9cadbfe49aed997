"""Keeping a lease while its load lives: what is renewed and when, and which commits came too late.

So the length of a lease says how soon others notice that its holder has died, and not how long a
load may take.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from dualcache.core.ops import CommitReply, Keeping
from dualcache.engine.commit import Change, commit_each
from dualcache.engine.leases import job_ms, lease_ms

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Counters
    from dualcache.engine.env import Env

__all__ = ["RENEWALS", "Lease", "begin_lease", "keeping", "renew"]

RENEWALS: Final = 3
"""How often a lease is renewed before it would end: two in a row may fail."""


class Lease(Struct):
    """The tokens that a load holds, each with its key, and until when.

    `ends_ms` is of the clock that never goes back; `None`: it does not end by itself. `filled` is
    what a commit of this load, or of one beside it, has replaced.
    """

    held: dict[bytes, str]
    length_ms: int
    ends_ms: int | None
    filled: set[bytes] = set()

    def is_late(self, expected: bytes, now_ms: int) -> bool:
        """Tell whether a commit that was refused came too late, and was not revoked."""
        return expected in self.filled or (self.ends_ms is not None and now_ms >= self.ends_ms)

    def fill(self, expected: bytes) -> None:
        """Note that a commit has replaced this."""
        self.filled.add(expected)
        self.held.pop(expected, None)


def begin_lease(held: dict[bytes, str], counters: Counters, env: Env) -> Lease:
    """Return the lease of a load that has just taken it; `held` is the lease's from now on."""
    length_ms = lease_ms(counters) + job_ms(len(held))
    return Lease(held, length_ms, env.elapsed_ms() + length_ms if held else None)


def keeping(lease: Lease, env: Env) -> Keeping | None:
    """Return the renewal that runs beside a load; `None` where it holds no lease."""
    if not lease.held or not env.health.ways:
        return None
    return Keeping(partial(renew, lease, env), lease.length_ms / RENEWALS)


def renew(lease: Lease, env: Env) -> Flow[float | None]:
    """Let each token that is still there live on; return when to do so again."""
    # By a compare, as everything that is stored: a lease that was revoked, or has ended and was
    # taken by another, must not come back. With a plain SET the load would store after all.
    began_ms = env.elapsed_ms()
    changes = [
        Change(key, token, token, lease.length_ms) for token, key in list(lease.held.items())
    ]
    replies = yield from commit_each(changes, env)
    for change, reply in zip(changes, replies, strict=True):
        if reply not in {CommitReply.STORED, None}:
            lease.held.pop(change.expected, None)
    # Counted from before the trip: the server may have carried it out at any moment since.
    if CommitReply.STORED in replies:
        lease.ends_ms = began_ms + lease.length_ms
    is_over = lease.ends_ms is not None and env.elapsed_ms() >= lease.ends_ms
    return None if is_over or not lease.held else lease.length_ms / RENEWALS
