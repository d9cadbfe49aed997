"""The options that a URL or its keywords may carry, which scheme takes which, and their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.errors import UsageError
from dualcache.options.checks import revealed, to_bool, to_int
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["CHECKS", "OWNER", "TLS_SCHEMES", "checked_text", "options_of", "refuse_tls_option"]

OWNER = "the URL"
TLS_SCHEMES = frozenset({"rediss", "valkeys"})
_TLS_OF = {"redis": "rediss", "valkey": "valkeys"}
_TLS_SWITCHES = frozenset({"ssl", "tls", "use_ssl", "use_tls"})
"""What other clients take to switch TLS on; here the scheme does."""


def _seconds(value: object, name: str) -> float:
    seconds = to_ms(value, option=name, owner=OWNER) / 1_000
    if seconds == 0:
        raise UsageError(
            f"{name} of {OWNER} is 0", code="DC162", help="write a time above 0, such as 0.25"
        )
    return seconds


def _interval(value: object, name: str) -> float:
    return to_ms(value, option=name, owner=OWNER) / 1_000


def _whole(value: object, name: str) -> int:
    return to_int(value, name, owner=OWNER)


def _count(value: object, name: str) -> int:
    return to_int(value, name, owner=OWNER, minimum=1)


def _flag(value: object, name: str) -> bool:
    return to_bool(value, name, owner=OWNER)


def _text(value: object, name: str) -> str:
    value = revealed(value)
    if not isinstance(value, str) or not value:
        raise UsageError(
            f"{name} of {OWNER} is not text, or empty", code="DC162", help="write text"
        )
    return checked_text(value)


def checked_text(text: str) -> str:
    """Refuse what cannot be sent as UTF-8, and the U+FFFD that unquoting leaves of such octets."""
    if any(character == "\ufffd" or "\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(
            f"{OWNER} holds text that is no UTF-8",
            code="DC161",
            help="percent-encode its octets as UTF-8",
        )
    return text


def _client_name(value: object, name: str) -> str:
    text = _text(value, name)
    if not all("!" <= character <= "~" for character in text):
        raise UsageError(
            f"{name} of {OWNER} holds a blank, or another character that servers refuse",
            code="DC162",
            help="write it as my-app",
        )
    return text


def _one_of(*choices: str) -> Callable[[object, str], str]:
    by_folded = {choice.casefold(): choice for choice in choices}

    def check(value: object, name: str) -> str:
        found = by_folded.get(str(value).casefold())
        if found is None:
            raise UsageError(
                f"{name} of {OWNER} has a value that is not known",
                code="DC162",
                help=f"write one of: {', '.join(choices)}",
            )
        return found

    return check


def _resp(value: object, name: str) -> int:
    return to_int(value, name, owner=OWNER, minimum=2, maximum=3)


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "db": _whole,
    "username": _text,
    "password": _text,
    "max_connections": _count,
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "call_timeout": _seconds,
    "health_check_interval": _interval,
    "retry_on_timeout": _flag,
    "socket_keepalive": _flag,
    "protocol": _resp,
    "client_name": _client_name,
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_ca_data": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_cert_reqs": _one_of("none", "optional", "required"),
    "ssl_check_hostname": _flag,
    "ssl_min_version": _one_of("TLSv1.2", "TLSv1.3"),
    "max_entries": _count,
    "max_bytes": _count,
}
_MEMORY_OPTIONS = frozenset({"max_entries", "max_bytes"})
_TLS_OPTIONS = frozenset(name for name in CHECKS if name.startswith("ssl_"))
_PLAIN_OPTIONS = frozenset(CHECKS) - _MEMORY_OPTIONS - _TLS_OPTIONS


def options_of(scheme: str) -> frozenset[str]:
    if scheme == "memory":
        return _MEMORY_OPTIONS
    if scheme == "null":
        return frozenset()
    return _PLAIN_OPTIONS | _TLS_OPTIONS if scheme in TLS_SCHEMES else _PLAIN_OPTIONS


def refuse_tls_option(names: Iterable[str], scheme: str, *, owner: str) -> None:
    """Raise for an option of TLS where the scheme says all there is to say of it."""
    for name in names:
        is_switch = name in _TLS_SWITCHES
        if scheme in _TLS_OF and (is_switch or name.startswith("ssl_")):
            mend = f"write {_TLS_OF[scheme]}://, which means TLS"
        elif scheme in TLS_SCHEMES and is_switch:
            mend = f"leave it out: {scheme}:// means TLS"
        else:
            continue
        raise UsageError(f"{owner} has no option {name}", code="DC151", help=mend)
