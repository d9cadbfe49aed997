"""A flow as a conversation: the ops it asks for, and the replies it is sent."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn

from msgspec.structs import replace

from dualcache.core.codec_ids import undecodable
from dualcache.core.entry import MISSING, NO_OWNER, Packed, Tag, ValueCodec
from dualcache.core.envelope import seal, seal_filling
from dualcache.core.events import Coalesced, Event, Hit, LoadFailed, StaleHit
from dualcache.core.events import Loaded as LoadedEvent
from dualcache.core.flight import EndFlight, Flight, Join, Load
from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    GiveWay,
    Loaded,
    LookAndLease,
    RawRead,
    ReadTags,
)
from dualcache.core.policy import Call, Counters, Policy
from dualcache.engine.commit import Change
from dualcache.engine.commit import commit_one as commit_change
from dualcache.engine.env import Env
from dualcache.engine.health import Health
from dualcache.errors import BackendTimeout, BackendUnavailable, DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dualcache.core.front_ports import Read
    from dualcache.core.ops import Flow

KEY = "k"
NOW_MS = 1_000_000
LEASE_MS = 10_000
DAY_MS = 86_400_000
MEASURES: Final[dict[type[Event], dict[str, Any]]] = {
    Hit: {"age": None, "size_bytes": 0},
    StaleHit: {"age": None, "reason": ""},
    LoadedEvent: {"size_bytes": 0},
    LoadFailed: {"load_ms": 0.0},
    Coalesced: {"waited_ms": 0.0},
}


class Shelf:
    """A front tier that keeps one value, and notes what it is given."""

    def __init__(self, kept: Any = MISSING) -> None:
        self.kept = kept
        self.installed: list[tuple[Any, Read]] = []

    def find(self, asked: Call) -> Any:
        del asked
        return self.kept

    def holds(self, _: Call) -> bool:
        return self.kept is not MISSING

    def begin_read(self, names: Iterable[str]) -> Any:
        return tuple(names)

    def install(self, _: Call, value: Any, read: Read) -> None:
        self.installed.append((value, read))


class Talk:
    """What a flow was asked for and told, and how it ended."""

    def __init__(self, flow: Flow[Any], exchanges: Sequence[tuple[Any, Any]]) -> None:
        self._flow = flow
        self._exchanges = exchanges

    def returns(self, expected: Any) -> None:
        assert self._end() == expected

    def raises(self, expected: type[BaseException]) -> None:
        try:
            result = self._end()
        except expected:
            return
        raise AssertionError(f"{expected.__name__} was not raised; {result!r} was returned")

    def ends(self) -> Any:
        """Return what the flow returns, for tests that look at more of it."""
        return self._end()

    def _end(self) -> Any:
        flow, reply = self._flow, None
        for expected, answer in (*self._exchanges, (None, None)):
            try:
                op = flow.throw(reply) if isinstance(reply, BaseException) else flow.send(reply)
                asked, op = without_holds(flow, op, expected)
            except StopIteration as end:
                assert expected is None, f"it ended before it asked for {expected!r}"
                return end.value
            is_asked = type(op) is expected if isinstance(expected, type) else op == expected
            assert is_asked, f"it asked for {op!r}, not for {expected!r}"
            reply = answer(op) if callable(answer) else answer
            if asked is not op and not isinstance(reply, BaseException):
                reply = (reply, (None,) * len(asked.ops[1].tags))
        raise AssertionError("unreachable")


def without_holds(flow: Flow[Any], op: Any, expected: Any) -> tuple[Any, Any]:
    """Return the next op that is asked for, and what a conversation tells of it.

    It tells nothing of pauses for other tasks, nor that a deletion reads which keys are held: of
    that trip it tells the deletion, and none is held.
    """
    while type(op) is GiveWay:
        op = flow.send(None)
    is_deletion = type(op) is Batch and [*map(type, op.ops)] == [Delete, ReadTags]
    if is_deletion and expected is not Batch and type(expected) is not Batch:
        return op, op.ops[0]
    return op, op


def script(flow: Flow[Any], *exchanges: tuple[Any, Any]) -> Talk:
    """Hold a conversation: each exchange is an op, or only its type, and the reply to it.

    A reply that is an exception is raised in the flow; a function is called with the op.
    """
    return Talk(flow, exchanges)


def lead(op: Join) -> Flight:
    """Reply to a caller that it leads."""
    return Flight(op.key, op, 0, op.tags)


def token(number: int) -> bytes:
    """Return the token that is drawn as the `number`-th."""
    return b"token-%02d" % number


def surroundings(
    first_token: int = 1, *, ways: tuple[CommitWay, ...] = (CommitWay.IFEQ,), **changes: Any
) -> tuple[Env, list[Event]]:
    """Return an env that draws token 1, 2, 3 …, whose clocks stand, and the list of its events."""
    events: list[Event] = []

    def emit(event: Event) -> None:
        """Note an event without what it measures: `test_telling.py` looks at that."""
        events.append(replace(event, **MEASURES.get(type(event), {})))

    drawn = count(first_token)
    options: dict[str, Any] = {
        "now_ms": lambda: NOW_MS,
        "elapsed_ms": lambda: 0,
        "draw_token": lambda: token(next(drawn)),
        "draw": lambda: 0.0,
        "sequence": count(1).__next__,
        "emit": emit,
        "health": Health(),
    }
    env = Env(**{**options, **changes})
    env.health.ways = ways
    return env, events


def commit_one(
    key: str, expected: bytes, blob: bytes, ttl_ms: int | None, env: Env
) -> Flow[CommitReply]:
    """Commit one value."""
    return commit_change(Change(key, expected, blob, ttl_ms), env)


def pack(value: Any) -> Packed:
    return Packed(6, 0, str(value).encode())


def unpack(_: str, stored: Any) -> Any:
    text = bytes(stored.payload).decode()
    if text == "broken":
        raise DecodeError("broken", code="DC300")
    return text


def copy(packed: Packed) -> Any:
    return unpack("", packed)


RECIPE = ValueCodec(pack, unpack, copy)


def unread_by(reason: str) -> ValueCodec:
    """Return the codec of a reader who has a reason not to read what others stored."""

    def unread(key: str, packed: Any) -> NoReturn:
        raise undecodable(reason, "not for this reader", code="DC314")

    return RECIPE._replace(unpack=unread)


def policy(**options: Any) -> Policy:
    usual: dict[str, Any] = {"label": "k", "value_codec": RECIPE, "ttl_ms": 60_000}
    return Policy(**{**usual, **options})


def call(*tags: str, **options: Any) -> Call:
    return Call(KEY, policy(**options), tags)


def cold(*tags: str, **options: Any) -> Call:
    """Return a call of a function that seldom hits: it leases at once."""
    counters = Counters()
    counters.recent_hits = 0.0
    return call(*tags, counters=counters, **options)


def filling(number: int, key: str = KEY, load_ms: int = 0, owner: bytes = NO_OWNER) -> bytes:
    return seal_filling(key, token=token(number), created_ms=NOW_MS, load_ms=load_ms, owner=owner)


def stored(
    value: str,
    number: int = 99,
    *,
    tags: Sequence[Tag] = (),
    fresh_ms: int | None = None,
    created_ms: int = NOW_MS,
    load_ms: int = 0,
    key: str = KEY,
    owner: bytes = NO_OWNER,
) -> bytes:
    return seal(
        key,
        pack(value),
        version=token(number),
        created_ms=created_ms,
        fresh_ms=fresh_ms,
        load_ms=load_ms,
        tags=tags,
        owner=owner,
    )


def refused() -> BackendUnavailable:
    """Nothing listens there."""
    return BackendUnavailable("refused", code="DC201")


def cut() -> BackendUnavailable:
    """A connection that had worked broke."""
    error = BackendUnavailable("cut", code="DC202")
    error.was_connected = True
    return error


def slow() -> BackendTimeout:
    return BackendTimeout("no reply in time", code="DC203")


LED = (Join, lead)
"""The caller leads the flight that it asked for."""
LANDED = (EndFlight, None)
LEASED = (LED, (LookAndLease, RawRead(filling(1))))
"""A cold caller leads, and gets the lease with the first token."""
NEW = (Load, Loaded("new", 5.0))
STORED_NEW = (NEW, (Commit, CommitReply.STORED), LANDED)
"""It loads, its commit finds its marker, and it serves its followers."""
