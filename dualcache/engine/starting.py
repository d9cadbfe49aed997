"""The start of a load: our own marker, or a stale entry under an efficiency lease.

Nothing here waits. Whatever a load starts from carries the mark of its function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from dualcache.core.entry import Kind
from dualcache.core.envelope import seal
from dualcache.engine.commit import Change, commit_one
from dualcache.engine.deletion import notice_of
from dualcache.engine.freshness import ABSENT, LOST, REPLACED, SERVED, ReadResult
from dualcache.engine.health import PendingDeletion
from dualcache.engine.leases import RELEASED_MS, new_filling, release_all
from dualcache.engine.recovery import keep_pending
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from dualcache.core.entry import Stored
    from dualcache.core.ops import Flow
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

__all__ = [
    "NOTHING",
    "UNREACHED",
    "Start",
    "give_up",
    "held_by",
    "keep_entry_pending",
    "leave_unstored",
    "refresh_key",
    "resealed",
]


class Start(Struct, frozen=True):
    """The start of a load: the reading of its key, and the bytes that its commit expects to find.

    `token` is that of the efficiency lease of a stale entry, where one was taken. `is_refresh`: the
    caller asked for a new result, so the old one is not to be served after it. `is_beside`: the
    load runs in the background, and nobody is served by it. `failures`: how many loads over this
    entry have failed in a row.
    """

    read: ReadResult
    expected: bytes
    token: bytes | None = None
    is_refresh: bool = False
    is_beside: bool = False
    failures: int = 0

    @property
    def is_over_entry(self) -> bool:
        """Whether an entry is there that stays until the load replaces it."""
        return self.read.state in SERVED or self.read.state in REPLACED


NOTHING: Final = ReadResult(ABSENT, -1)
"""The start of a caller that may not store: it loads for itself alone."""
UNREACHED: Final = ReadResult(LOST, -1)
"""The start of a caller for whom the backend failed: it loads for itself alone, too."""


def resealed(call: Call, stored: Stored, env: Env) -> bytes:
    """Spell the same entry under a new version, as one of the function that loads it anew."""
    return seal(
        call.key,
        stored.packed,
        version=env.draw_token(),
        created_ms=stored.created_ms,
        fresh_ms=stored.fresh_ms,
        load_ms=stored.load_ms,
        tags=stored.tags,
        owner=call.policy.owner,
        is_expired=stored.kind is Kind.EXPIRED,
    )


def refresh_key(key: str, env: Env) -> str:
    """Return the key of the efficiency lease under which a stale entry is loaded anew."""
    return f"{env.prefix}~r:{key.removeprefix(env.prefix)}"


def leave_unstored(call: Call, start: Start, env: Env) -> Flow[None]:
    """End a load whose result is not stored; a refresh takes the old entry away."""
    if start.is_refresh:
        yield from _withdraw(call, start, env)
    else:
        yield from give_up(call, start, env)


def _withdraw(call: Call, start: Start, env: Env) -> Flow[None]:
    """Take away the entry that a load started from, and nothing that came after it."""
    # A deletion would take along what another caller has stored meanwhile, so a marker that expires
    # at once is put over that very entry. Where that may not have arrived, the deletion is pending.
    marker = new_filling(call, env)
    notice = notice_of((call.key,), env)
    try:
        change = Change(call.key, start.expected, marker, RELEASED_MS, notice)
        yield from commit_one(change, env)
    except BackendError:
        keep_entry_pending(call, env)
    except BaseException:
        keep_entry_pending(call, env)
        raise
    env.front.drop((call.key,))


def keep_entry_pending(call: Call, env: Env) -> None:
    """Keep the deletion of an entry that is not to be served any more."""
    keep_pending(PendingDeletion((call.key,)), env)
    env.front.drop((call.key,))


def held_by(call: Call, start: Start, env: Env) -> dict[bytes, str]:
    """Return the tokens that a load holds, with their keys: a marker, or a stale entry's lease."""
    if not start.is_over_entry:
        return {start.expected: call.key}
    return {} if start.token is None else {start.token: refresh_key(call.key, env)}


def give_up(call: Call, start: Start, env: Env) -> Flow[None]:
    """Give back what the load had taken: the marker, or the lease of a stale entry."""
    yield from release_all(held_by(call, start, env), env)
