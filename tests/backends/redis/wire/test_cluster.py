"""The wire of a cluster: its topology, and what is sent on to other nodes."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.backends.redis.wire import ops as wire
from dualcache.backends.redis.wire.cluster import (
    Exchange,
    Hop,
    ReadSlots,
    ReadView,
    commands_of,
    hops,
    merged,
    place_of,
)
from dualcache.backends.redis.wire.resp import pack
from dualcache.core.ops import LookAndLease, MakeTag, NewTag
from dualcache.errors import BackendRefused, BackendUnavailable

ASKING = pack(("ASKING",))


def redirection(prefix: str, moved_to: str = "7 10.0.0.2:7001") -> BackendRefused:
    error = BackendRefused(f"the server refused with {prefix}", code="DC203")
    error.prefix, error.moved_to = prefix, moved_to
    return error


def packed(*commands: tuple[Any, ...]) -> bytes:
    return b"".join(map(pack, commands))


def test_packed_commands_are_told_apart_whatever_they_hold() -> None:
    commands = [("SET", "k", b"*1\r\n$4\r\nPING\r\n"), ("GET", ""), ("PING",)]
    assert commands_of(packed(*commands)) == [pack(each) for each in commands]


def test_what_was_carried_out_is_not_sent_on() -> None:
    data = packed(("SET", "a", "1"), ("GET", "b"), ("GET", "c"))
    assert hops(data, [b"OK", b"2", None], "10.0.0.1:7000") == []
    found = hops(data, [b"OK", redirection("MOVED"), b"3"], "10.0.0.1:7000")
    assert found == [Hop("10.0.0.2:7001", pack(("GET", "b")), 1, (1,), (0,), (7,))]
    assert not found[0].is_asking


def test_a_command_for_a_key_on_its_way_is_announced() -> None:
    data = packed(("SET", "a", "1"), ("GET", "a"))
    replies = [redirection("ASK"), redirection("MOVED")]
    (hop,) = hops(data, replies, "10.0.0.1:7000")
    assert hop.data == ASKING + data
    assert (hop.awaits, hop.places, hop.kept) == (3, (0, 1), (1, 2))
    assert hop.is_asking
    assert merged(replies, hop, [b"OK", b"OK", b"1"]) == [b"OK", b"1"]


def test_a_script_goes_along_with_its_commits() -> None:
    script, commit = pack(("SCRIPT", "LOAD", "return 1")), pack(("EVALSHA", "sha", 1, "k"))
    (hop,) = hops(script + commit, [b"sha", redirection("MOVED")], "10.0.0.1:7000")
    assert (hop.data, hop.awaits, hop.places, hop.kept) == (script + commit, 2, (1,), (1,))


DELETION = packed(("MULTI",), ("DEL", "a"), ("PUBLISH", "~c", "a"), ("EXEC",))
QUEUED = (b"OK", b"QUEUED", b"QUEUED")


@pytest.mark.parametrize("place", [1, 3], ids=["queued", "carried out"])
def test_a_redirected_transaction_goes_on_as_a_whole(place: int) -> None:
    replies: list[Any] = [b"1", *QUEUED, redirection("EXECABORT", "")]
    replies[1 + place] = redirection("MOVED")
    (hop,) = hops(pack(("GET", "b")) + DELETION, replies, "10.0.0.1:7000")
    assert (hop.data, hop.places, hop.moved_slots) == (DELETION, (1, 2, 3, 4), (7,))
    assert merged(replies, hop, [*QUEUED, [1, 0]]) == [b"1", *QUEUED, [1, 0]]


def test_a_transaction_for_a_key_on_its_way_is_announced_once() -> None:
    replies = [b"OK", redirection("ASK"), b"QUEUED", redirection("EXECABORT", "")]
    (hop,) = hops(DELETION, replies, "10.0.0.1:7000")
    assert (hop.data, hop.awaits, hop.kept) == (ASKING + DELETION, 5, (1, 2, 3, 4))
    assert (hop.is_asking, hop.moved_slots) == (True, ())


def test_a_transaction_that_was_carried_out_stays_where_it_is() -> None:
    moved = redirection("MOVED")
    found = hops(DELETION + pack(("GET", "b")), [*QUEUED, [1, 0], moved], "10.0.0.1:7000")
    assert [hop.places for hop in found] == [(4,)]


def test_without_transactions_the_notice_goes_out_again_behind_what_it_tells() -> None:
    unknown = redirection("ERR", "")
    replies = [unknown, redirection("ASK"), 0, unknown]
    (hop,) = hops(DELETION, replies, "10.0.0.1:7000")
    deletion, notice = pack(("DEL", "a")), pack(("PUBLISH", "~c", "a"))
    assert hop.data == ASKING + deletion + ASKING + notice
    assert (hop.places, hop.kept) == ((1, 2), (1, 3))


def test_each_node_gets_what_is_its_own_in_order() -> None:
    data = packed(("GET", "a"), ("GET", "b"), ("GET", "c"))
    there = redirection("MOVED", "9 10.0.0.3:7002")
    found = hops(data, [there, redirection("MOVED"), there], "10.0.0.1:7000")
    assert [(hop.node, hop.places, hop.moved_slots) for hop in found] == [
        ("10.0.0.3:7002", (0, 2), (9,)),
        ("10.0.0.2:7001", (1,), (7,)),
    ]


@pytest.mark.parametrize("host", ["", "?"])
def test_a_node_that_does_not_tell_its_host_has_that_of_the_node_asked(host: str) -> None:
    assert place_of(redirection("MOVED", f"7 {host}:7001"), "::1:7000") == (7, "::1:7001")
    node = None if not host else host.encode()
    reply = wire.decode(ReadSlots("::1"), [[[0, 9, [node, 7001, b"id"]]]])
    assert reply[9] == "::1:7001"


def test_other_errors_are_replies() -> None:
    assert hops(packed(("GET", "a")), [redirection("CLUSTERDOWN", "")], "h:1") == []
    assert hops(packed(("GET", "a")), [redirection("MOVED", "")], "h:1") == []
    assert hops(packed(("GET", "a"), ("GET", "b")), [redirection("MOVED")], "h:1") == []


def test_the_topology_names_the_primary_of_each_slot() -> None:
    op = ReadSlots("h")
    assert wire.encode(op) == (pack(("CLUSTER", "SLOTS")), 1)
    ranges = [
        [0, 1, [b"a", 7000, b"id", []], [b"replica", 7003, b"id"]],
        [3, 16383, [b"b", 7001, b"id"]],
    ]
    slots = wire.decode(op, [ranges])
    assert len(slots) == 16_384
    assert slots[:4] == ("a:7000", "a:7000", None, "b:7001")
    with pytest.raises(BackendUnavailable):
        wire.decode(op, [b"OK"])
    with pytest.raises(BackendRefused):
        wire.decode(op, [redirection("NOPERM", "")])


@pytest.mark.parametrize(
    ("line", "is_moving"),
    [
        (b"id h:1@2 myself,master - 0 0 1 connected 0-99 [93-<-id]", True),
        (b"id h:1@2 myself,master - 0 0 1 connected 0-99 [93->-id]", True),
        (b"id h:1@2 myself,master - 0 0 1 connected 0-99", False),
        (b"id h:1@2 master - 0 0 1 connected 0-99 [93->-id]", False),
    ],
)
def test_a_node_tells_of_its_slots_on_their_way(line: bytes, *, is_moving: bool) -> None:
    op, ranges = ReadView("h"), [[0, 16383, [b"", 7000, b"id"]]]
    assert wire.encode(op) == (pack(("CLUSTER", "SLOTS")) + pack(("CLUSTER", "NODES")), 2)
    view = wire.decode(op, [ranges, b"other line\n" + line + b"\n"])
    assert view == (("h:7000",) * 16_384, is_moving)
    with pytest.raises(BackendUnavailable):
        wire.decode(op, [ranges, 1])
    assert not wire.decode(op, [ranges, redirection("NOPERM", "")]).is_moving


def test_an_exchange_replies_what_came() -> None:
    op = Exchange(LookAndLease("k", b"m", 5), b"data", 3)
    assert wire.encode(op) == (b"data", 3)
    assert wire.decode(op, [1, redirection("MOVED")])[0] == 1


def test_a_tag_is_read_or_made_with_its_time() -> None:
    op = MakeTag(NewTag("t", b"id", 500))
    data, count = wire.encode(op)
    assert commands_of(data) == [
        pack(("SET", "t", b"id", "NX", "PX", 500)),
        pack(("GET", "t")),
        pack(("PTTL", "t")),
    ]
    assert count == 3
    assert wire.decode(op, [None, b"other", 17]) == (b"other", 17)
