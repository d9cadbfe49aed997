"""hiredis's reader on a connection that redis-py has made, for the replies of its calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INCOMPLETE", "ReplyReader", "make_reply_reader"]

INCOMPLETE: Final = object()
"""Stands for a reply of which a part is still to come; `None` is a reply."""


class ReplyReader(NamedTuple):
    """Makes replies of the bytes that it is fed; an error reply is an exception among them."""

    feed: Callable[[bytes], None]
    gets: Callable[[], Any]
    push: type[Any]
    """The type of what a server sends unasked."""


def make_reply_reader(parser: Any) -> ReplyReader | None:
    """Return a reader for what follows the handshake that `parser` has read.

    `None` where redis-py has to go on reading: without hiredis, with one before 3.2, which gives a
    push as a list like any other, and where the parser may hold bytes beyond the handshake.
    """
    try:
        from hiredis import PushNotification, Reader
    except ImportError:
        return None
    kept: Any = getattr(parser, "_reader", None)
    make_error = getattr(parser, "parse_error", None)
    if make_error is None or not hasattr(kept, "has_data") or kept.has_data():
        return None
    # What is no RESP raises a ValueError: not one of redis-py's, which might pass for a reply.
    made = Reader(ValueError, make_error, notEnoughData=INCOMPLETE)
    return ReplyReader(made.feed, made.gets, PushNotification)
