"""What the installed redis-py has: found by looking, never by its version."""

from __future__ import annotations

from functools import cache, partial
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["accepted", "reader_of_pushes", "without_extras"]


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
    told = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    arguments: dict[str, Any] = dict.fromkeys(told)
    if "maint_notifications_config" in known:
        from redis.maint_notifications import MaintNotificationsConfig

        arguments["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    return arguments


def reader_of_pushes(connection: Any) -> Callable[[], Any]:
    """Return what reads one reply or one push, on a connection that is not open yet.

    redis-py 5 takes a push for a reply where hiredis is installed; its own parser tells them apart,
    but is asked to only where hiredis is not.
    """
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
