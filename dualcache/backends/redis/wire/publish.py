"""Notices on the wire: in one transaction with the command that revokes.

A connection that is cut between the two would leave copies that nobody ever revokes. A server or
proxy without transactions carries the commands out one by one. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.wire.resp import checked, nonsense, pack
from dualcache.core.revocation import to_message
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.backends.redis.wire.resp import Spelling
    from dualcache.core.revocation import Revocation

__all__ = ["is_told", "publish", "telling"]

AROUND: Final = 3
"""Replies beside those of the op itself: of MULTI, PUBLISH and EXEC."""
MULTI: Final = pack(("MULTI",))
EXEC: Final = pack(("EXEC",))


def telling(plain: Spelling) -> Spelling:
    """Return the spelling of an op that may carry a notice."""

    def write(op: Any) -> bytes:
        data = plain.write(op)
        return data if op.notice is None else MULTI + data + publish(op.notice) + EXEC

    def awaits(op: Any) -> int:
        return plain.awaits(op) + (0 if op.notice is None else AROUND)

    def reply(op: Any, replies: Sequence[Any]) -> Any:
        return plain.reply(op, replies if op.notice is None else _without_notice(replies))

    return plain._replace(write=write, awaits=awaits, reply=reply)


def is_told(op: Any) -> bool:
    """Tell whether an op carries a notice, and so is a transaction."""
    return any(getattr(each, "notice", None) for each in getattr(op, "ops", (op,)))


def publish(notice: Revocation) -> bytes:
    """Write the command that tells a notice; how many heard it is its reply."""
    return pack(("PUBLISH", notice.channel, to_message(notice)))


def _without_notice(replies: Sequence[Any]) -> Sequence[Any]:
    """Return the replies of the op itself; raise where it or its notice was turned down."""
    begun, *queued, done = replies
    if isinstance(begun, BackendRefused):  # so each command was carried out as it came
        checked(queued.pop())
        return queued
    if isinstance(done, BackendRefused):  # nothing was carried out
        raise next((each for each in queued if isinstance(each, BackendRefused)), done)
    if not isinstance(done, list) or len(done) != len(queued):
        raise nonsense()
    *found, heard_by = [classify(each) if isinstance(each, Exception) else each for each in done]
    checked(heard_by)
    return found
