from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.scripts import COMMIT_SHA, commit_source
from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire import watch as wire_watch
from dualcache.core.ops import (
    FOR_EVER,
    WRONG_TYPE,
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    LoadScript,
    Look,
    LookAndLease,
    MakeTags,
    NewTag,
    Ping,
    ProlongTag,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.errors import BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.core.ops import Op

TAG = NewTag("t", b"id", 500)
ETERNAL_TAG = NewTag("t", b"id", None)
EXPECTED = b"h" * 32 + b"the rest"
IFEQ = Commit("k", EXPECTED, b"new", 100, CommitWay.IFEQ)
SCRIPT = Commit("k", EXPECTED, b"new", 100, CommitWay.SCRIPT)
EVAL = Commit("k", EXPECTED, b"new", 100, CommitWay.EVAL)
WATCH = Commit("k", EXPECTED, b"new", 100, CommitWay.WATCH)


def error(prefix: str, *, is_lacking: bool = False) -> BackendRefused:
    """Return the error reply that begins with a word; NOPERM is lacking a right."""
    refused = BackendRefused(f"the server answered {prefix}", code="DC208")
    refused.prefix = prefix
    refused.is_lacking = is_lacking or prefix == "NOPERM"
    return refused


UNKNOWN_COMMAND = error("ERR", is_lacking=True)


def spelled(*commands: str) -> bytes:
    """Spell commands, each given as its words, in RESP."""
    parts = []
    for command in commands:
        words = [word.encode() for word in command.split()]
        parts += [b"*%d\r\n" % len(words), *(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("op", "commands"),
    [
        (Look("k"), ["GET k"]),
        (Look("k", ("t", "u")), ["MGET k t u"]),
        (Look("k", (), with_ttl=True), ["GET k", "PTTL k"]),
        (Look("k", ("t",), with_ttl=True), ["MGET k t", "PTTL k"]),
        (Look("é"), ["GET é"]),
        (ReadTags(("t", "u")), ["MGET t u"]),
        (Scan(7, "a*", 10), ["SCAN 7 MATCH a* COUNT 10 TYPE string"]),
        (LookAndLease("k", b"f", 9), ["SET k f NX PX 9", "GET k", "PTTL k"]),
        (LookAndLease("é", b"f", 9), ["SET é f NX PX 9", "GET é", "PTTL é"]),
        (
            LookAndLease("k", b"f", 9, (TAG,)),
            ["SET k f NX PX 9", "GET k", "PTTL k", "SET t id NX PX 500", "GET t", "PTTL t"],
        ),
        (Claim("k", b"f", 9), ["SET k f PX 9"]),
        (MakeTags((ETERNAL_TAG,)), ["SET t id NX", "GET t", "PTTL t"]),
        (ProlongTag("t", 500), ["PEXPIRE t 500"]),
        (ProlongTag("t", None), ["PERSIST t"]),
        (TryLease("k", b"f", 9), ["SET k f NX PX 9", "STRLEN k", "PTTL k"]),
        (Commit("k", b"old", b"new", 9, CommitWay.IFEQ), ["SET k new IFEQ old PX 9"]),
        (Commit("k", b"old", b"new", None, CommitWay.IFEQ), ["SET k new IFEQ old"]),
        (SCRIPT, [f"EVALSHA {COMMIT_SHA.decode()} 1 k {'h' * 32} new 100"]),
        (
            Commit("k", b"old", b"new", None, CommitWay.SCRIPT),
            [f"EVALSHA {COMMIT_SHA.decode()} 1 k old new 0"],
        ),
        (Delete(("k", "t")), ["DEL k t"]),
        (Delete(("é", "t")), ["DEL é t"]),
        (Unlink((b"k",)), ["UNLINK k"]),
        (ReadHeads((b"k", b"l")), ["GETRANGE k 0 39", "GETRANGE l 0 39"]),
        (Ping(), ["PING"]),
        (Batch((Look("k", ("t",), with_ttl=True), Look("l"))), ["MGET k t", "PTTL k", "GET l"]),
    ],
)
def test_an_op_is_spelled_as_these_commands(op: Op[Any], commands: list[str]) -> None:
    assert wire.encode(op) == (spelled(*commands), len(commands))


@pytest.mark.parametrize(
    ("op", "replies", "reply"),
    [
        (Look("k"), [b"v"], RawRead(b"v")),
        (Look("k"), [None], RawRead(None)),
        (Look("k"), [error("WRONGTYPE")], RawRead(WRONG_TYPE)),
        (Look("k", ("t",)), [[b"v", None]], RawRead(b"v", (None,))),
        (Look("k", ("t",)), [[b"v", error("WRONGTYPE")]], RawRead(b"v", (WRONG_TYPE,))),
        (Look("k", (), with_ttl=True), [b"v", 70], RawRead(b"v", (), 70)),
        (Look("k", ("t",), with_ttl=True), [[b"v", b"id"], 70], RawRead(b"v", (b"id",), 70)),
        (Look("k", (), with_ttl=True), [b"v", -1], RawRead(b"v", (), None)),
        (Look("k", (), with_ttl=True), [b"v", -2], RawRead(b"v", (), 0)),
        (ReadTags(("t", "u")), [[b"id", None]], (b"id", None)),
        (Scan(0, "*", 10), [[b"7", [b"a", b"b"]]], ScanPage(7, (b"a", b"b"))),
        (LookAndLease("k", b"f", 9), [b"OK", b"f", 9], RawRead(b"f", (), 9)),
        (LookAndLease("k", b"f", 9), [None, b"g", -1], RawRead(b"g", (), FOR_EVER)),
        (LookAndLease("k", b"f", 9), [None, b"g", error("NOPERM")], RawRead(b"g")),
        (
            LookAndLease("k", b"f", 9),
            [error("OOM"), None, -2],
            RawRead(None, (), -2, refusal="OOM"),
        ),
        (
            LookAndLease("k", b"f", 9, (TAG,)),
            [None, b"v", 9, error("READONLY"), b"other", 400],
            RawRead(b"v", (b"other",), 9, (400,)),
        ),
        (
            Claim("k", b"f", 9, (TAG,)),
            [b"OK", b"OK", b"id", 500],
            RawRead(b"f", (b"id",), None, (500,)),
        ),
        (Claim("k", b"f", 9), [error("MISCONF")], RawRead(None, refusal="MISCONF")),
        (MakeTags((TAG,)), [None, b"other", -1], (b"other",)),
        (ProlongTag("t", 500), [1], None),
        (ProlongTag("t", 500), [error("NOPERM")], None),
        (Look("k", with_ttl=True), [b"v", error("NOPERM")], RawRead(b"v", refusal="NOPERM")),
        (
            LookAndLease("k", b"f", 9),
            [error("NOPERM"), None, -2],
            RawRead(None, (), -2, (), "NOPERM"),
        ),
        (
            LookAndLease("k", b"f", 9, (TAG,)),
            [b"OK", b"f", 9, error("NOPERM"), b"id", error("NOPERM")],
            RawRead(b"f", (b"id",), 9, (-1,)),
        ),
        (Claim("k", b"f", 9), [error("NOPERM")], RawRead(None, refusal="NOPERM")),
        (TryLease("k", b"f", 9), [b"OK", 8, 9], True),
        (TryLease("k", b"f", 9), [None, 8, 9], False),
        (TryLease("k", b"f", 9), [None, 0, -2], False),
        (TryLease("k", b"f", 9), [None, error("NOPERM"), error("NOPERM")], False),
        (TryLease("k", b"f", 9), [None, 8, -1], None),
        (TryLease("k", b"f", 9), [None, 5, 9], None),
        (TryLease("k", b"f", 9), [None, error("WRONGTYPE"), 9], None),
        (Delete(("k",)), [1], 1),
        (Unlink((b"k",)), [0], 0),
        (ReadHeads((b"k", b"l")), [b"head", error("WRONGTYPE")], (b"head", b"")),
        (Ping(), [b"PONG"], None),
        (LoadScript(), [COMMIT_SHA], None),
        (LoadScript(), [error("NOPERM")], None),
        (
            Batch((Look("k", (), with_ttl=True), Look("l"))),
            [b"v", 5, None],
            (RawRead(b"v", (), 5), RawRead(None)),
        ),
    ],
)
def test_replies_are_read_as_the_reply_of_the_op(
    op: Op[Any], replies: list[Any], reply: Any
) -> None:
    assert wire.decode(op, replies) == reply


@pytest.mark.parametrize(
    ("op", "replies"),
    [
        (Look("k"), [3]),
        (Look("k", ("t",)), [b"v"]),
        (Look("k", ("t",)), [[b"v"]]),
        (Look("k", (), with_ttl=True), [b"v", b"70"]),
        (Scan(0, "*", 10), [b"0"]),
        (Scan(0, "*", 10), [[b"0"]]),
        (Delete(("k",)), [None]),
        (IFEQ, [b"QUEUED"]),
    ],
)
def test_a_reply_of_another_command_is_told_from_a_reply(op: Op[Any], replies: list[Any]) -> None:
    with pytest.raises(BackendUnavailable) as raised:
        wire.decode(op, replies)
    assert raised.value.code == "DC204"


@pytest.mark.parametrize(
    ("op", "replies"),
    [
        (Look("k"), [error("LOADING")]),
        (Look("k", ("t",)), [error("LOADING")]),
        (Look("k", with_ttl=True), [b"v", error("ERR")]),
        (LookAndLease("k", b"f", 9), [error("ERR"), None, -2]),
        (LookAndLease("k", b"f", 9), [None, error("NOPERM"), -2]),
        (Claim("k", b"f", 9), [error("ERR")]),
        (MakeTags((TAG,)), [error("ERR"), None, -2]),
        (ProlongTag("t", 500), [error("ERR")]),
        (TryLease("k", b"f", 9), [error("OOM"), 0, -2]),
        (Delete(("k",)), [error("READONLY")]),
        (Ping(), [error("NOAUTH")]),
        (IFEQ, [error("OOM")]),
        (IFEQ, [error("ERR")]),
        (SCRIPT, [error("ERR")]),
    ],
)
def test_an_error_that_fails_an_op_is_raised(op: Op[Any], replies: list[Any]) -> None:
    with pytest.raises(BackendRefused):
        wire.decode(op, replies)


@pytest.mark.parametrize(
    ("op", "reply", "expected"),
    [
        (IFEQ, b"OK", CommitReply.STORED),
        (SCRIPT, 1, CommitReply.STORED),
        (IFEQ, None, CommitReply.REFUSED),
        (SCRIPT, 0, CommitReply.REFUSED),
        (IFEQ, error("WRONGTYPE"), CommitReply.REFUSED),
        (IFEQ, UNKNOWN_COMMAND, CommitReply.UNSUPPORTED),
        (IFEQ, error("NOPERM"), CommitReply.UNSUPPORTED),
        (SCRIPT, error("NOPERM"), CommitReply.UNSUPPORTED),
        (EVAL, UNKNOWN_COMMAND, CommitReply.UNSUPPORTED),
        (EVAL, 1, CommitReply.STORED),
        (SCRIPT, error("NOSCRIPT"), CommitReply.NO_SCRIPT),
    ],
)
def test_the_reply_to_a_commit_tells_whether_it_is_stored(
    op: Commit, reply: Any, expected: CommitReply
) -> None:
    assert wire.decode(op, [reply]) is expected


@pytest.mark.parametrize("refused", [UNKNOWN_COMMAND, error("NOPERM")])
def test_a_watch_that_is_forbidden_is_no_way_to_commit(refused: BackendRefused) -> None:
    assert wire_watch.refused(refused) is CommitReply.UNSUPPORTED


def test_a_passing_refusal_of_a_watch_is_raised() -> None:
    with pytest.raises(BackendRefused):
        wire_watch.refused(error("ERR"))


def test_a_script_that_may_not_be_loaded_is_sent_along() -> None:
    data, count = wire.encode(EVAL)
    assert (data.startswith(b"*7\r\n$4\r\nEVAL\r\n"), count) == (True, 1)


def test_the_script_is_given_as_a_source() -> None:
    data, count = wire.encode(LoadScript())
    assert data.startswith(b"*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n")
    assert (commit_source() in data, count) == (True, 1)


def test_a_batch_is_as_many_commands_and_replies_as_its_ops() -> None:
    ops = (LookAndLease("k", b"f", 9, (TAG,)), Claim("l", b"f", 9, (TAG,)), MakeTags((TAG,)), IFEQ)
    replies = [b"OK", b"f", 9, b"OK", b"id", 5, b"OK", b"OK", b"id", 5, b"OK", b"id", 5, None]
    assert wire.encode(Batch(ops)) == (
        b"".join(wire.encode(op)[0] for op in ops),
        len(replies),
    )
    assert wire.decode(Batch(ops), replies) == (
        RawRead(b"f", (b"id",), 9, (5,)),
        RawRead(b"f", (b"id",), None, (5,)),
        (b"id",),
        CommitReply.REFUSED,
    )


def test_a_commit_by_watch_reads_the_header_first() -> None:
    commands = spelled("MULTI", "EXEC", "WATCH k", "GETRANGE k 0 31")
    assert wire_watch.watch_commands(WATCH) == (commands, 4)
    assert wire_watch.is_expected(WATCH, [b"OK", [], b"OK", b"h" * 32])
    assert not wire_watch.is_expected(WATCH, [b"OK", [], b"OK", b"x" * 32])


@pytest.mark.parametrize(
    "replies",
    [
        [b"OK", [], error("ERR"), b""],
        [b"OK", [], b"OK", error("WRONGTYPE")],
        [error("NOPERM"), error("ERR"), b"OK", b"h" * 32],
    ],
)
def test_a_watch_that_fails_is_raised(replies: list[Any]) -> None:
    with pytest.raises(BackendRefused):
        wire_watch.is_expected(WATCH, replies)


@pytest.mark.parametrize(("ttl_ms", "put"), [(100, "SET k new PX 100"), (None, "SET k new")])
def test_a_commit_by_watch_is_carried_out_if_nothing_changed(ttl_ms: int | None, put: str) -> None:
    op = Commit("k", EXPECTED, b"new", ttl_ms, CommitWay.WATCH)
    assert wire_watch.exec_commands(op) == (spelled("MULTI", put, "EXEC"), 3)
    assert wire_watch.exec_reply([b"OK", b"QUEUED", [b"OK"]]) is CommitReply.STORED
    assert wire_watch.exec_reply([b"OK", b"QUEUED", None]) is CommitReply.REFUSED
    with pytest.raises(BackendRefused):
        wire_watch.exec_reply([b"OK", b"QUEUED", error("EXECABORT")])
