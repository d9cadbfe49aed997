"""Importing redis-py, and the features of the installed one: found by looking, never by version."""

from __future__ import annotations

import os
from functools import cache, partial
from importlib import import_module
from inspect import Parameter, signature
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["accepted", "import_redis", "reader_of_pushes", "without_extras"]


class _Importing:
    """The import of redis-py as a whole, by one thread at a time."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin anew, as in a forked child, where the thread that imports is not."""
        self._lock = Lock()
        self.is_done = False

    def now(self) -> None:
        with self._lock:
            import_module("redis")
            self.is_done = True


_importing = _Importing()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_importing.begin)


def import_redis() -> None:
    """Import redis-py as a whole, before any part of it.

    Its parts import one another in circles. Threads that begin with different parts (a sync call
    beside the first one of an event loop) each hold a module that the other waits for; Python
    finds that out and raises, in the user's call.
    """
    if not _importing.is_done:
        _importing.now()


@cache
def accepted(kind: Any) -> frozenset[str]:
    """Return the names of all arguments that a connection class and those below it take."""
    return frozenset(
        name
        for each in kind.__mro__
        if "__init__" in vars(each) and each is not object
        for name, parameter in signature(vars(each)["__init__"]).parameters.items()
        if parameter.kind is not Parameter.VAR_KEYWORD
    )


def without_extras(kind: Any) -> dict[str, Any]:
    """Return the arguments by which connecting costs one trip: HELLO, with all that belongs to it.

    redis-py tells the server its name and asks for notices of maintenance, which takes up to three
    trips more; with notices on, it also stops noticing a reply that was left unread.
    """
    known = accepted(kind)
    # CLIENT SETINFO is of Redis 7.2: before it, no ACL can allow it. redis-py 8.1 warns of the two
    # older arguments where it knows `driver_info`.
    told = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    arguments: dict[str, Any] = dict.fromkeys(told)
    if "maint_notifications_config" in known:
        from redis.maint_notifications import MaintNotificationsConfig

        arguments["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    return arguments


def reader_of_pushes(connection: Any) -> Callable[[], Any]:
    """Return the function that reads one reply or push, on a connection that is not open yet.

    redis-py 5 takes a push for a reply where hiredis is installed; its own parser tells them apart,
    but is asked to only where hiredis is not.
    """
    # Without `push_request` redis-py reads on by recursion: about a thousand pushes in a row before
    # a reply end in a RecursionError, with each of its parsers.
    if hasattr(connection._parser, "set_invalidation_push_handler"):  # noqa: SLF001
        return partial(connection.read_response, disable_decoding=True, push_request=True)
    from redis._parsers import _RESP3Parser

    connection.set_parser(_RESP3Parser)
    parser = connection._parser  # noqa: SLF001

    def read() -> Any:
        reply = parser.read_response(disable_decoding=True, push_request=True)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return read
