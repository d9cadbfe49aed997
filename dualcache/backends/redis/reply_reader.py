"""Readers of replies that are fed bytes, on a connection that redis-py has made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.backends.redis.wire.parser import INCOMPLETE, Push, ReplyParser

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeError = Callable[[str], Exception]

__all__ = ["INCOMPLETE", "ReplyReader", "make_hiredis_reader", "make_reply_reader"]


class ReplyReader(NamedTuple):
    """Makes replies of the bytes that it is fed; an error reply is an exception among them."""

    feed: Callable[[bytes], None]
    gets: Callable[[], Any]
    push: type[Any]
    """The type of what a server sends unasked."""


def make_reply_reader(parser: Any) -> ReplyReader | None:
    """Return a reader for the replies after the handshake, which redis-py's `parser` has read.

    `None` where the parser has to go on: it may hold bytes beyond the handshake, or is not known.
    """
    make_error, kept = _parts_of(parser)
    if make_error is None or (kept is not None and _may_hold_bytes(kept)):
        return None
    own = ReplyParser(make_error)
    return _of_hiredis(make_error) or ReplyReader(own.feed, own.gets, Push)


def make_hiredis_reader(parser: Any) -> ReplyReader | None:
    """Return a reader as `make_reply_reader` does, but `None` without hiredis.

    redis-py's own sync parser buffers what it receives, and shows nobody what it has left.
    """
    make_error, kept = _parts_of(parser)
    if make_error is None or kept is None or _may_hold_bytes(kept):
        return None
    return _of_hiredis(make_error)


def _parts_of(parser: Any) -> tuple[MakeError | None, Any]:
    """Return redis-py's constructor of exceptions for error replies, and its hiredis reader."""
    return getattr(parser, "parse_error", None), getattr(parser, "_reader", None)


def _may_hold_bytes(reader: Any) -> bool:
    return not hasattr(reader, "has_data") or bool(reader.has_data())


def _of_hiredis(make_error: MakeError) -> ReplyReader | None:
    """Return a new reader of hiredis; `None` without it.

    hiredis before 3.2 gives a push as a list like any other: it would be taken for a reply.
    """
    try:
        from hiredis import PushNotification, Reader
    except ImportError:
        return None
    # What is no RESP raises a ValueError, as in our own parser: an error of redis-py's might pass
    # for a reply of the server.
    made = Reader(ValueError, make_error, notEnoughData=INCOMPLETE)
    return ReplyReader(made.feed, made.gets, PushNotification)
