"""Exceptions of redis-py, the socket and TLS as the errors that the engine knows.

redis is imported inside the functions: `memory://` never needs it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from dualcache.backends.redis.tls import tls_fix
from dualcache.backends.redis.wire.rights import Loss, missing_right, right_of
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable
from dualcache.options.patience import LARGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    OnRefused: TypeAlias = Callable[[BackendRefused], None]

    class OnMissingRight(Protocol):
        """Called with the rule of a missing right, and what is lost without it."""

        def __call__(self, right: str, without: str, *, is_replaced: bool) -> None: ...


__all__ = ["OnMissingRight", "OnRefused", "classify", "reason_of", "telling_rights", "too_slow"]

E = TypeVar("E", bound=BackendError)

_ABOUT_CONFIGURATION = {
    "NOAUTH": "give the password in the URL: redis://:password@host",
    "WRONGPASS": "check user name and password in the URL",
    "NOPERM": "grant the user the rights that the documentation lists",
    "DENIED": "the server is in protected mode: set a password there, or bind it to an address",
    "MOVED": "this is a node of a Redis Cluster, which only a redis+cluster:// URL can use",
    "CROSSSLOT": "this is a node of a Redis Cluster, which only a redis+cluster:// URL can use",
    "NOPROTO": "add protocol=2 to the URL: the server does not speak RESP3",
}
_PREFIXES = frozenset(
    (
        *("ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "EXECABORT", "LOADING", "MASTERDOWN"),
        *("MISCONF", "MOVED", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY", "TRYAGAIN"),
        *("UNBLOCKED", "UNKILLABLE", "WRONGTYPE", *_ABOUT_CONFIGURATION),
    )
)
_WORD_OF_CLASS = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""redis-py before 8 drops the word of an error that it has a class for."""
_RIGHT_IN_SCRIPT = re.compile(r"ACL failure in script|The user executing the script can't ")
"""How an error begins that a script met because its caller may not do what it does."""
_IN_SCRIPT = re.compile(r"^(?:ERR )?Error (?:running|compiling) script.*?: -?([A-Z]{3,})\b")
_WITHOUT_RESP3 = re.compile(r"^(?:ERR )?unknown command [`']?HELLO\b", re.IGNORECASE)
_NO_SUCH_DB = re.compile(r"^(?:ERR )?(?:DB index is out of range|invalid DB index)")
_LACKING = re.compile(
    r"\b(?:unknown|unsupported) (?:sub)?command|syntax error|unknown option"
    r"|\b(?:command|not)\b.*\b(?:unsupported|supported|allowed|available|implemented|disabled)\b",
    re.IGNORECASE,
)
"""How servers, services and proxies say that they do not have a command or one of its options."""
NO_SUCH_COMMAND = "it lacks a command that the cache needs: is it a Sentinel or a proxy?"
_HANGS_UP = re.compile(r"^(?:ERR )?Protocol error\b")
"""The last words before the server closes the connection: a value is over its limit."""
_REDIRECTION = re.compile(r"(\d+ \S*:\d+)$")
_LONGEST_CHAIN = 8


def classify(error: BaseException) -> BackendError:
    """Turn an exception of redis-py, the socket or TLS into the error that the engine knows.

    `is_configuration` is true on errors that waiting does not fix, `is_garbled` where the bytes on
    the wire made no sense. The server's own words are left out: they may hold arguments. What is no
    `Exception` (cancellation, KeyboardInterrupt) is raised again.
    """
    from redis import exceptions as known

    if not isinstance(error, Exception):
        raise error
    if isinstance(error, BackendError):
        return error
    if isinstance(error, TimeoutError | known.TimeoutError):
        return _marked(BackendTimeout("the server gave no answer in time", code="DC201"))
    # Before connection errors: redis-py makes AuthenticationError and BusyLoadingError kinds of
    # those, though the server has answered and the connection is whole.
    is_auth = isinstance(error, _auth_errors())
    if is_auth or isinstance(error, known.ResponseError | known.BusyLoadingError):
        return _refused(error, is_auth=is_auth)
    if isinstance(error, OSError | EOFError | known.ConnectionError):
        return _unavailable(error)
    # On bytes that are no RESP, redis-py's parsers raise TypeError, ValueError or RecursionError.
    made = BackendUnavailable(
        "the server's answer made no sense",
        code="DC204",
        details=(("class", type(error).__name__),),
        help="check that the URL leads to a Redis or Valkey server, and that nothing changes the "
        "traffic",
    )
    return _marked(made, is_garbled=True)


def telling_rights(tell: OnMissingRight | None) -> OnRefused:
    """Return a callback for refusals that tells of the rights which no other event tells of."""

    def refused(error: BackendRefused) -> None:
        right = right_of(error.right)
        if tell is not None and right is not None and right.loss in {Loss.PARTIAL, Loss.REPLACED}:
            tell(right.rule, right.without, is_replaced=right.loss is Loss.REPLACED)

    return refused


def reason_of(error: BackendError) -> str:
    """Return the code of an error, and the right to grant where one is missing."""
    right = error.right if isinstance(error, BackendRefused) else ""
    return f"{error.code}, grant {right}" if right else error.code


def too_slow(moved_bytes: int) -> BackendTimeout:
    """Return the error of a call that took its whole budget, though something came or went.

    It tells against the server if that was next to nothing, not if a value is large or a link slow.
    """
    made = BackendTimeout(
        "the call took longer than call_timeout",
        code="DC215",
        help="store smaller values, or raise call_timeout in the URL or the options",
    )
    made.is_outage = moved_bytes < LARGE_BYTES
    return made


def _auth_errors() -> tuple[type[Exception], ...]:
    from redis import exceptions as known

    names = (
        "AuthenticationError",
        "AuthorizationError",
        "AuthenticationWrongNumberOfArgsError",
        "ExternalAuthProviderError",  # since redis-py 7
    )
    return tuple(getattr(known, name) for name in names if hasattr(known, name))


def _refused(error: Exception, *, is_auth: bool) -> BackendError:
    # In a pipeline redis-py puts the command, with its arguments, before the server's words.
    text = str(error).rpartition(" of pipeline caused error: ")[2]
    if _HANGS_UP.match(text):
        return _unavailable(error)
    prefix = _prefix_of(error, text)
    if is_auth and prefix not in _ABOUT_CONFIGURATION:
        prefix = "WRONGPASS"
    fix = _ABOUT_CONFIGURATION.get(prefix, "")
    right = missing_right(text) if prefix == "NOPERM" else ""
    if right:
        fix = f"grant it with ACL SETUSER <user> {right}"
    elif _WITHOUT_RESP3.search(text):
        fix = _ABOUT_CONFIGURATION["NOPROTO"]
    elif _NO_SUCH_DB.search(text):
        fix = "choose a db that the server has: redis://host/0"
    made_help = fix or (NO_SUCH_COMMAND if prefix == "ERR" and _LACKING.search(text) else "")
    made = BackendRefused(
        f"the server refused with {prefix}",
        code="DC203" if fix else "DC202",
        details=(("class", type(error).__name__),),
        help=made_help,
    )
    made.prefix = prefix
    made.right = right
    made.moved_to = _moved_to(prefix, text)
    made.is_lacking = prefix == "NOPERM" or (prefix == "ERR" and bool(_LACKING.search(text)))
    return _marked(made, is_configuration=bool(fix))


def _prefix_of(error: Exception, text: str) -> str:
    """Find the error's first word, which redis-py moves to `status_code` where it knows it.

    Redis before 7.0 hides the word of an error that a script ran into. A word that is not in the
    list may be a script's own text, and is not repeated.
    """
    if _RIGHT_IN_SCRIPT.search(text):
        return "NOPERM"
    in_script = _IN_SCRIPT.search(text)
    hidden = in_script[1] if in_script else ""
    named = _WORD_OF_CLASS.get(type(error).__name__)
    if text.startswith("Authentication required"):
        named = "NOAUTH"
    found = (getattr(error, "status_code", None), named, text.partition(" ")[0], hidden)
    return next((word for word in found if word in _PREFIXES), "ERR")


def _unavailable(error: Exception) -> BackendUnavailable:
    tls = next(filter(None, map(tls_fix, _chain(error))), "")
    if tls:
        made = BackendUnavailable(
            "the TLS handshake failed",
            code="DC203",
            details=(("class", type(error).__name__),),
            help=tls,
        )
        return _marked(made, is_configuration=True)
    made = BackendUnavailable(
        "the server cannot be reached",
        code="DC200",
        details=(("class", type(error).__name__), *_cause_of(error)),
    )
    return _marked(made)


def _moved_to(prefix: str, text: str) -> str:
    """Return the slot and the node that a redirection names, as in `3999 127.0.0.1:6381`."""
    found = _REDIRECTION.search(text) if prefix in {"MOVED", "ASK"} else None
    return found[1] if found else ""


def _cause_of(error: Exception) -> tuple[tuple[str, str], ...]:
    """Return the system's own words for the failure, which hold no argument of anybody's."""
    for cause in _chain(error):
        if isinstance(cause, OSError) and isinstance(cause.errno, int):
            # asyncio puts a text of its own, with the address, in the place of the system's; the
            # numbers of the resolver are below zero, and only its own text explains them.
            told = os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
            return (("cause", told[:1].lower() + told[1:]),)
    return ()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_LONGEST_CHAIN):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _marked(error: E, *, is_configuration: bool = False, is_garbled: bool = False) -> E:
    vars(error).update(is_configuration=is_configuration, is_garbled=is_garbled)
    return error
