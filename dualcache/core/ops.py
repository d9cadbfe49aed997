"""The ops a flow may yield, and the replies it is sent: small values, no behaviour.

Backend ops are performed by every driver alike; local ops concern this process only. Ops are
dispatched by their exact type. A failure is an exception raised at the yield.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dualcache.core.revocation import Revocation

__all__ = [
    "FOR_EVER",
    "WRITE_REFUSALS",
    "WRONG_TYPE",
    "AwaitChange",
    "Batch",
    "Claim",
    "Commit",
    "CommitReply",
    "CommitWay",
    "Delete",
    "DropConnections",
    "Fence",
    "Flow",
    "GiveWay",
    "Keeping",
    "LoadScript",
    "Loaded",
    "Look",
    "LookAndLease",
    "MakeTag",
    "MakeTags",
    "NewTag",
    "Op",
    "Pause",
    "Ping",
    "ProlongTag",
    "Publish",
    "Raised",
    "RawRead",
    "ReadTags",
    "TryLease",
    "do",
]

T = TypeVar("T")


class Op(Struct, Generic[T]):
    """One thing to do, whose reply is a `T`."""


Flow: TypeAlias = "Generator[Op[Any], Any, T]"


def do(op: Op[T]) -> Flow[T]:
    """Yield one op and return its reply, so that type checkers see its type."""
    reply: T = yield op
    return reply


# Backend ops ask Redis, Valkey or the memory store, in one trip each. Those that revoke what a
# front tier may hold can carry a notice: it is published with them, or neither happens.

WRITE_REFUSALS: Final = frozenset({"OOM", "READONLY", "MISCONF", "NOREPLICAS"})
"""First words of errors by which a server that reads well turns writes down."""
WRONG_TYPE = b""
"""The reply to a read of a key that holds no string: as unusable as an empty one."""


FOR_EVER: Final = -1
"""The time left to a key that has no end, as PTTL replies; -2 says that there is no key."""


class RawRead(Struct, frozen=True):
    """The reply to one read: the key's bytes, and each tag's id in the order asked.

    `left_ms` is the key's time to live if it was asked for; `None`: not asked, or for ever. Beside
    a lease it is `FOR_EVER` for a key that never ends, as that is no lease. `tag_left_ms` is the
    same for tags that were to be made. `refusal` is the first word of the error by which a server
    refused the write of this op while it answered the read. `push_epoch` is the stream of pushes
    for which the server tracks this read, or the streams of the nodes that were read; `None`:
    pushes do not depend on the connection.
    """

    raw: bytes | None
    tag_ids: tuple[bytes | None, ...] = ()
    left_ms: int | None = None
    tag_left_ms: tuple[int, ...] = ()
    refusal: str = ""
    push_epoch: int | tuple[int, ...] | None = None


class NewTag(NamedTuple):
    """A tag to read, or to make with this id and lifetime (`None`: for ever) where it is absent.

    The id is drawn anew for each send: one that was sent twice could revive a dead tag.
    """

    key: str
    id: bytes
    life_ms: int | None


class Look(Op[RawRead]):
    """Read the key and its tags."""

    key: str
    tags: tuple[str, ...] = ()
    with_ttl: bool = False


class LookAndLease(Op[RawRead]):
    """Put the `filling` marker where the key is absent, then read the key; make or read its tags.

    The read alone decides: our own marker is the lease, another's means wait.
    """

    key: str
    filling: bytes
    lease_ms: int
    tags: tuple[NewTag, ...] = ()


class Claim(Op[RawRead]):
    """Put the `filling` marker whatever the key holds, so that every load under way is revoked."""

    key: str
    filling: bytes
    lease_ms: int
    tags: tuple[NewTag, ...] = ()
    notice: Revocation | None = None


class ReadTags(Op["tuple[bytes | None, ...]"]):
    """Read the ids of tags."""

    tags: tuple[str, ...]


class MakeTags(Op["tuple[bytes | None, ...]"]):
    """Read the ids of tags, making the absent ones."""

    tags: tuple[NewTag, ...]


class MakeTag(Op["tuple[bytes | None, int]"]):
    """Read the id of a tag, making it where it is absent, and the time that it has left in ms."""

    tag: NewTag


class ProlongTag(Op[None]):
    """Let a tag live for `life_ms` from now; `None`: for ever."""

    key: str
    life_ms: int | None


class TryLease(Op["bool | None"]):
    """Take an efficiency lease: True where no other caller holds it.

    `None` where the key holds no lease, or one that never ends: it will not be given back.
    """

    key: str
    token: bytes
    lease_ms: int


class CommitReply(Enum):
    STORED = "stored"
    REFUSED = "refused"
    """The key no longer holds what the load started from."""
    UNSUPPORTED = "unsupported"
    """The server cannot compare in this way, or may not."""
    TOO_LARGE = "too_large"
    """A value of this size cuts the connection, or is too slow for the link."""
    NO_SCRIPT = "no_script"
    """The server does not know the script: give it, and ask again."""


class CommitWay(Enum):
    """Ways to compare and set; a server's ways are found by trying, never by version."""

    IFEQ = "ifeq"
    SCRIPT = "script"
    EVAL = "eval"
    """The same script, sent along each time: where it may not be loaded."""
    WATCH = "watch"


class Commit(Op[CommitReply]):
    """Put `blob` where the key still holds `expected`; `ttl_ms=None` stores for ever.

    The headers of two entries differ, so comparing their bytes is enough. May be repeated.
    """

    key: str
    expected: bytes
    blob: bytes
    ttl_ms: int | None
    way: CommitWay
    notice: Revocation | None = None


class LoadScript(Op[None]):
    """Give the server the script of commits. If refused, the next `Commit` replies UNSUPPORTED."""


class Delete(Op[int]):
    """Delete keys and tags; replies how many were there."""

    keys: tuple[str, ...]
    notice: Revocation | None = None


class Publish(Op[None]):
    """Publish a revocation to the other processes."""

    notice: Revocation


class Ping(Op[None]):
    """Ask for a sign of life."""


class DropConnections(Op[None]):
    """Drop the connections in use: a reply of one of them was that of another command."""


class Batch(Op["tuple[Any, ...]"]):
    """Perform several backend ops in one trip; a failure of one fails the batch."""

    ops: tuple[Op[Any], ...]


# Local ops: nothing of these leaves the process.


class Loaded(Struct, frozen=True):
    """The result of the user's function, after `load_ms`."""

    value: Any
    load_ms: float


class Raised(Struct, frozen=True):
    """The exception that the user's function raised, after `load_ms`."""

    error: Exception
    load_ms: float


class Keeping(Struct):
    """The renewal of a lease while its load runs.

    `renew` makes a flow that renews it once; the flow returns after how many ms the next renewal
    is due, `None` where there is nothing left to renew. `every_ms` is when the first one is due.
    """

    renew: Callable[[], Flow[float | None]]
    every_ms: float


class GiveWay(Op[None]):
    """Let other tasks of this loop run: a big job goes on afterwards. Threads need nothing."""


class AwaitChange(Op[None]):
    """Wait until the key may have changed since `mark`, at most `wait_ms`; without one, pause.

    How long this caller has waited before is `waited_ms`.
    """

    key: str
    wait_ms: float
    mark: int | None = None
    waited_ms: float = 0.0


class Pause(Op[None]):
    """Let `wait_ms` pass, whatever happens meanwhile."""

    wait_ms: float


class Fence(Op[bool]):
    """Wait until every push of a write acknowledged by now has been fed; False: unproved."""
