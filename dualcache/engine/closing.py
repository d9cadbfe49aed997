"""Commands at which a proxy closes the connection: it does not know them, and says nothing.

That looks like an outage. The difference: on a fresh connection a read is answered, and the command
is cut again. It is then lacking, as if the server had said so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.ops import Batch, Commit, CommitReply, CommitWay, LoadScript, Look
from dualcache.core.scans import ReadHeads, Scan, Unlink
from dualcache.errors import BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Hashable

    from dualcache.core.ops import Op
    from dualcache.engine.env import Env

__all__ = [
    "CLOSED_MS",
    "SEARCHES_TO_BE_SURE",
    "closed_ways",
    "is_closed",
    "kinds_of",
    "not_sure_yet",
    "note_closed",
    "note_searched",
    "read_to_compare",
    "reply_to_closed",
    "smallest_search",
]

CLOSED_MS: Final = 600_000
"""For how long such a command is not sent: each attempt costs all callers their connection."""

SEARCHES_TO_BE_SURE: Final = 3
"""So often in a row a search has to be cut, and a read answered, until it counts as lacking."""

_SEARCHES: Final = frozenset[Any]((Scan, ReadHeads))
_READ_SO_OFTEN: Final = 63
"""Makes the reply of `read_to_compare`, of 200 bytes, longer than that of any `smallest_search` or
way to commit: the marker that `WATCH` reads before it stores is the longest, with 120.
"""


def kinds_of(op: Op[Any]) -> frozenset[Hashable]:
    """Return which commands of an op a service may lack; none where it cannot do without one."""
    if isinstance(op, Commit):
        return frozenset((op.way,))
    if isinstance(op, LoadScript):
        return frozenset((CommitWay.SCRIPT,))
    if isinstance(op, Scan | ReadHeads) or (isinstance(op, Unlink) and not op.is_blocking):
        return frozenset((type(op),))
    if isinstance(op, Batch):
        parts = [kinds_of(part) for part in op.ops]
        return frozenset[Any]().union(*parts) if all(parts) else frozenset()
    return frozenset()


def note_closed(op: Op[Any], env: Env) -> bool:
    """Note that the connection was closed at this op; tell whether the op counts as lacking now.

    There is another way to commit, and a deletion without UNLINK. Without a search a deletion is
    set aside, and this process reads again what it has invalidated. So two connections that were
    cut by chance must not look like that: until it is sure, a search that is cut is an outage,
    whose deletions come before the next read.
    """
    health, kinds = env.health.whole, kinds_of(op)
    if kinds & _SEARCHES:
        health.cut_searches += 1
        if health.cut_searches < SEARCHES_TO_BE_SURE:
            return False
    until_ms = env.elapsed_ms() + CLOSED_MS
    health.closed.update(dict.fromkeys(kinds, until_ms))
    return True


def read_to_compare(env: Env) -> Look:
    """Return the read that shows whether the server answers where an op was cut.

    One key, several times: the keys of a read on a cluster have to be of one slot.
    """
    name = f"{env.prefix}~p"
    return Look(name, (name,) * _READ_SO_OFTEN)


def smallest_search(op: Op[Any], env: Env) -> Op[Any] | None:
    """Return a search of the same kind that finds nothing, or None if the op is no search.

    A link that breaks in the middle of a long reply cuts every search and no read. It lets this one
    through, since its reply is shorter than that of `read_to_compare`. A proxy that does not know
    the command does not.
    """
    kinds = kinds_of(op)
    if Scan in kinds:
        return Scan(0, f"{env.prefix}~p", 1)
    return ReadHeads((f"{env.prefix}~p".encode(),)) if ReadHeads in kinds else None


def not_sure_yet() -> BackendUnavailable:
    """Return the failure of a search that was cut, and is not known to be lacking."""
    return BackendUnavailable("the connection is closed at a search of the keys", code="DC318")


def note_searched(op: Op[Any], env: Env) -> None:
    """Note that the server has answered this op."""
    health = env.health.whole
    if health.cut_searches and kinds_of(op) & _SEARCHES:
        health.cut_searches = 0


def is_closed(op: Op[Any], env: Env) -> bool:
    """Tell whether the connection would be closed at this op, as far as is known."""
    closed = env.health.whole.closed
    return bool(closed) and any(closed.get(kind, 0) > env.elapsed_ms() for kind in kinds_of(op))


def closed_ways(env: Env) -> frozenset[Hashable]:
    """Return the ways to commit at which the connection would be closed."""
    now_ms = env.elapsed_ms()
    return frozenset(
        kind for kind, until_ms in env.health.whole.closed.items() if until_ms > now_ms
    )


def reply_to_closed(op: Op[Any]) -> Any:
    """Return the reply that says that a commit has no such way; raise for any other op."""
    if isinstance(op, Batch):
        return tuple([reply_to_closed(part) for part in op.ops])
    if isinstance(op, Commit):
        return CommitReply.UNSUPPORTED
    if isinstance(op, LoadScript):
        return None
    error = BackendRefused(
        "the connection is closed at a command that the service does not know",
        code="DC318",
        help="is it a proxy? Features that need that command do not work there",
    )
    error.is_lacking = True
    raise error
