"""A notice and what it goes with: one transaction on the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import NoScriptError, ResponseError

from dualcache.backends.memory import MemoryStore
from dualcache.backends.null import NullStore
from dualcache.backends.redis.async_connection import MultiplexedConnection
from dualcache.backends.redis.async_per_loop import LoopConnection
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire import watch as wire_watch
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    NewTag,
    Publish,
    RawRead,
)
from dualcache.core.revocation import Revocation, to_message
from dualcache.errors import BackendRefused, BackendUnavailable
from dualcache.options.target import parse_url
from tests.backends.redis.wire.test_ops import EXPECTED, error, spelled
from tests.patience import patient

if TYPE_CHECKING:
    from tests.servers import Server

NOTICE = Revocation("c", ("k",))
PUBLISHED = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (
    len(to_message(NOTICE)),
    to_message(NOTICE),
)
DELETE = Delete(("k", "t"), NOTICE)
CLAIM = Claim("k", b"f", 9, (NewTag("t", b"id", None),), NOTICE)


def commit(way: CommitWay) -> Commit:
    return Commit("k", EXPECTED, b"new", 100, way, NOTICE)


def test_both_go_in_one_transaction() -> None:
    expected = spelled("MULTI", "DEL k t") + PUBLISHED + spelled("EXEC")
    assert wire.encode(DELETE) == (expected, 4)
    assert wire.decode(DELETE, [b"OK", b"QUEUED", b"QUEUED", [2, 7]]) == 2


def test_an_op_of_several_commands_goes_whole() -> None:
    data, count = wire.encode(CLAIM)
    commands = spelled("MULTI", "SET k f PX 9", "SET t id NX", "GET t", "PTTL t")
    assert (data, count) == (commands + PUBLISHED + spelled("EXEC"), 7)
    queued = [b"QUEUED"] * 5
    found = wire.decode(CLAIM, [b"OK", *queued, [b"OK", None, b"id", -1, 0]])
    assert found == RawRead(b"f", (b"id",), None, (-1,))


def test_without_a_notice_an_op_is_spelled_as_ever() -> None:
    assert wire.encode(Delete(("k",))) == (spelled("DEL k"), 1)
    assert wire.decode(Delete(("k",)), [1]) == 1


def test_in_a_batch_each_is_a_transaction_of_its_own() -> None:
    op = Batch((DELETE, Publish(NOTICE), Delete(("a",))))
    data, count = wire.encode(op)
    assert (data, count) == (wire.encode(DELETE)[0] + PUBLISHED + spelled("DEL a"), 6)
    replies = [b"OK", b"QUEUED", b"QUEUED", [2, 0], 3, 1]
    assert wire.decode(op, replies) == (2, None, 1)


@pytest.mark.parametrize(
    "replies",
    [
        [b"OK", b"QUEUED", error("NOPERM"), error("EXECABORT")],
        [b"OK", error("NOPERM"), b"QUEUED", error("EXECABORT")],
        [error("NOPERM"), 1, error("NOPERM"), error("NOPERM")],
        [b"OK", b"QUEUED", b"QUEUED", [1, ResponseError("NOPERM no channel")]],
    ],
)
def test_where_either_is_refused_the_op_has_failed(replies: list[Any]) -> None:
    with pytest.raises(BackendRefused) as caught:
        wire.decode(DELETE, replies)
    assert caught.value.prefix == "NOPERM"


def test_a_transaction_that_is_turned_down_as_a_whole_is_raised() -> None:
    with pytest.raises(BackendRefused) as caught:
        wire.decode(DELETE, [b"OK", b"QUEUED", b"QUEUED", error("EXECABORT")])
    assert caught.value.prefix == "EXECABORT"


def test_a_server_without_transactions_carries_out_one_by_one() -> None:
    assert wire.decode(DELETE, [error("ERR"), 2, 0, error("ERR")]) == 2


@pytest.mark.parametrize("done", [None, b"OK", [1], [1, 2, 3]])
def test_what_is_no_answer_to_a_transaction_is_told_from_one(done: Any) -> None:
    with pytest.raises(BackendUnavailable):
        wire.decode(DELETE, [b"OK", b"QUEUED", b"QUEUED", done])


@pytest.mark.parametrize(
    ("way", "reply", "expected"),
    [
        (CommitWay.IFEQ, b"OK", CommitReply.STORED),
        (CommitWay.IFEQ, None, CommitReply.REFUSED),
        (CommitWay.IFEQ, ResponseError("syntax error"), CommitReply.UNSUPPORTED),
        (CommitWay.SCRIPT, 1, CommitReply.STORED),
        (CommitWay.SCRIPT, NoScriptError("NOSCRIPT No matching script"), CommitReply.NO_SCRIPT),
    ],
)
def test_a_commit_inside_is_read_as_outside(
    way: CommitWay, reply: Any, expected: CommitReply
) -> None:
    op = commit(way)
    assert wire.encode(op)[1] == 4
    assert wire.decode(op, [b"OK", b"QUEUED", b"QUEUED", [reply, 0]]) is expected


def test_a_commit_by_watch_tells_in_its_own_transaction() -> None:
    data, count = wire_watch.exec_commands(commit(CommitWay.WATCH))
    assert (data, count) == (spelled("MULTI", "SET k new PX 100") + PUBLISHED + spelled("EXEC"), 4)
    assert wire_watch.exec_reply([b"OK", b"QUEUED", b"QUEUED", [b"OK", 0]]) is CommitReply.STORED
    assert wire_watch.exec_reply([b"OK", b"QUEUED", b"QUEUED", None]) is CommitReply.REFUSED
    with pytest.raises(BackendRefused) as caught:
        wire_watch.exec_reply([b"OK", b"QUEUED", error("NOPERM"), error("EXECABORT")])
    assert caught.value.prefix == "NOPERM"


def test_where_there_is_nobody_to_tell_a_notice_changes_nothing() -> None:
    store = MemoryStore(lambda: 0.0)
    assert store.perform(CLAIM).raw == b"f"
    assert store.perform(DELETE) == 2
    assert store.perform(Publish(NOTICE)) is None
    assert NullStore().perform(Batch((DELETE, Publish(NOTICE)))) == (0, None)


def test_on_a_shared_connection_no_transaction_ends_the_watch_of_another(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bytes] = []
    exchange = MultiplexedConnection.exchange

    def noted(connection: MultiplexedConnection, data: bytes, *rest: Any) -> Any:
        sent.append(data)
        return exchange(connection, data, *rest)

    watched = Commit("k", b"", b"new", 60_000, CommitWay.WATCH)

    async def commit_while_another_tells() -> tuple[Any, Any]:
        connection = LoopConnection(parse_url(patient(redis_server.url)))
        await connection.perform(Delete(("k",)))
        monkeypatch.setattr(MultiplexedConnection, "exchange", noted)
        found = await asyncio.gather(connection.perform(watched), connection.perform(DELETE))
        await connection.aclose()
        return found[0], found[1]

    assert asyncio.run(commit_while_another_tells()) == (CommitReply.STORED, 1)
    assert [b"WATCH" in data for data in sent] == [True, False, False]
    assert b"PUBLISH" in sent[-1]
