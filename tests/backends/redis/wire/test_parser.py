"""Replies out of bytes that come in any pieces, as hiredis makes them."""

from __future__ import annotations

from typing import Any, Final

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.backends.redis.wire.parser import INCOMPLETE, Push, ReplyParser


class Refused(Exception):
    """What an error reply becomes."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Refused) and other.args == self.args

    __hash__ = Exception.__hash__


def read(*pieces: bytes) -> list[Any]:
    """Return all replies in these pieces, pushes as `Push`."""
    parser = ReplyParser(Refused)
    found: list[Any] = []
    for piece in pieces:
        parser.feed(piece)
        while (reply := parser.gets()) is not INCOMPLETE:
            found.append(reply)
    return found


def read_by_hiredis(data: bytes) -> list[Any]:
    reader = hiredis.Reader(ValueError, Refused, notEnoughData=INCOMPLETE)
    reader.feed(data)
    found: list[Any] = []
    while (reply := reader.gets()) is not INCOMPLETE:
        found.append(Push(reply) if type(reply) is hiredis.PushNotification else reply)
    return found


EXAMPLES: Final[dict[bytes, Any]] = {
    b"+OK\r\n": b"OK",
    b"-ERR no\r\n": Refused("ERR no"),
    b":-7\r\n": -7,
    b"$0\r\n\r\n": b"",
    b"$4\r\n\r\n\r\n\r\n": b"\r\n\r\n",
    b"$-1\r\n": None,
    b"*-1\r\n": None,
    b"*0\r\n": [],
    b"*2\r\n*1\r\n:1\r\n*0\r\n": [[1], []],
    b"*3\r\n+OK\r\n-ERR no\r\n_\r\n": [b"OK", Refused("ERR no"), None],
    b"_\r\n": None,
    b"#t\r\n": True,
    b"#f\r\n": False,
    b",1.5\r\n": 1.5,
    b",inf\r\n": float("inf"),
    b"(12345678901234567890\r\n": 12345678901234567890,
    b"=7\r\ntxt:abc\r\n": b"abc",
    b"!6\r\nERR no\r\n": Refused("ERR no"),
    b"~2\r\n:1\r\n:2\r\n": [1, 2],
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n": {b"a": 1, b"b": [2]},
    b"%0\r\n": {},
    b">2\r\n+invalidate\r\n*1\r\n+k\r\n": Push([b"invalidate", [b"k"]]),
}


@pytest.mark.parametrize("data", EXAMPLES, ids=repr)
def test_every_kind_of_reply_is_read_whole_and_at_every_split(data: bytes) -> None:
    expected = EXAMPLES[data]
    assert read(data) == [expected]
    assert type(read(data)[0]) is type(expected)
    for at in range(len(data)):
        assert read(data[:at], data[at:] + b":1\r\n") == [expected, 1]
    assert read(*[data[at : at + 1] for at in range(len(data))]) == [expected]


@pytest.mark.parametrize("data", EXAMPLES, ids=repr)
def test_hiredis_makes_the_same(data: bytes) -> None:
    if data[:1] in b"!(":  # it knows no long errors, and leaves these numbers as bytes
        return
    assert read_by_hiredis(data) == [EXAMPLES[data]]


REPLIES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**63 - 1).map(lambda number: b":%d\r\n" % number),
        st.binary(max_size=40).map(lambda data: b"$%d\r\n%b\r\n" % (len(data), data)),
        st.sampled_from([b"+OK\r\n", b"-ERR no\r\n", b"_\r\n", b"$-1\r\n", b"#t\r\n", b"*-1\r\n"]),
    ),
    lambda inner: st.lists(inner, max_size=4).map(
        lambda parts: b"*%d\r\n%b" % (len(parts), b"".join(parts))
    ),
    max_leaves=12,
)


@given(st.lists(REPLIES, max_size=5), st.data())
def test_any_replies_in_any_pieces_are_those_of_hiredis(replies: list[bytes], data: Any) -> None:
    whole = b"".join(replies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(*pieces) == read_by_hiredis(whole)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b":x\r\n",
        b"$x\r\n",
        b"*x\r\n",
        b"$1\r\nabc",
        b"#x\r\n",
        b"_x\r\n",
        b",x\r\n",
    ],
)
def test_what_is_no_resp_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(data)


def test_a_large_array_is_looked_at_once_however_many_pieces_bring_it() -> None:
    parser = ReplyParser(Refused)
    element = b"$5\r\nvalue\r\n"
    parser.feed(b"*%d\r\n" % 50_000)
    for _ in range(50_000):
        assert parser.gets() is INCOMPLETE
        assert len(parser._buffer) <= 2 * len(element)
        parser.feed(element)
    assert parser.gets() == [b"value"] * 50_000
