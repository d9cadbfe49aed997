"""Checks of the options that a URL or its keywords may carry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from dualcache.errors import UsageError
from dualcache.options.checks import revealed, to_int
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "to_client_name",
    "to_count",
    "to_interval",
    "to_resp",
    "to_text",
    "to_tls_version",
    "to_verification",
    "to_wait",
    "without_surrogates",
]


def to_wait(value: object, option: str, *, owner: str) -> float:
    """Check how long something may take, in seconds: above 0."""
    seconds = to_interval(value, option, owner=owner)
    if seconds == 0:
        raise UsageError(
            f"{option} of {owner} is 0", code="DC162", help="write a time above 0, such as 0.25"
        )
    return seconds


def to_interval(value: object, option: str, *, owner: str) -> float:
    """Check a duration, in seconds."""
    return to_ms(value, option, owner=owner) / 1_000


to_count: Final = partial(to_int, minimum=1)
to_resp: Final = partial(to_int, minimum=2, maximum=3)


def to_text(value: object, option: str, *, owner: str) -> str:
    """Check text that is not empty; a pydantic secret is revealed."""
    value = revealed(value)
    if not isinstance(value, str) or not value:
        raise UsageError(
            f"{option} of {owner} is not text, or empty", code="DC162", help="write text"
        )
    return without_surrogates(value, owner=owner)


def without_surrogates(text: str, *, owner: str) -> str:
    """Refuse what cannot be sent as UTF-8, and the U+FFFD that unquoting leaves of such octets."""
    if any(character == "\ufffd" or "\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(
            f"{owner} holds text that is not UTF-8",
            code="DC161",
            help="percent-encode its octets as UTF-8",
        )
    return text


def to_client_name(value: object, option: str, *, owner: str) -> str:
    """Check the name of a connection as `CLIENT SETNAME` takes it."""
    text = to_text(value, option, owner=owner)
    if not all("!" <= character <= "~" for character in text):
        raise UsageError(
            f"{option} of {owner} holds a blank, or another character that servers refuse",
            code="DC162",
            help="write it as my-app",
        )
    return text


def _one_of(*choices: str) -> Callable[..., str]:
    by_folded = {choice.casefold(): choice for choice in choices}

    def check(value: object, option: str, *, owner: str) -> str:
        found = by_folded.get(str(value).casefold())
        if found is None:
            raise UsageError(
                f"{option} of {owner} has a value that is not known",
                code="DC162",
                help=f"write one of: {', '.join(choices)}",
            )
        return found

    return check


to_verification: Final = _one_of("none", "optional", "required")
to_tls_version: Final = _one_of("TLSv1.2", "TLSv1.3")
