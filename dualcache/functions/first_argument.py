"""Errors for a first argument that was written without a name and meant otherwise."""

from __future__ import annotations

import re
from typing import Final

from dualcache.errors import UsageError

__all__ = ["Unnamed", "refuse_duration", "refuse_no_function", "whole_key"]

DURATION: Final = re.compile(
    r"\s*(?:\d+(?:\.\d+)?\s*(?:ms|w|weeks?|d|days?|h|hrs?|hours?|m|mins?|minutes?"
    r"|s|secs?|seconds?)?\s*)+",
    re.IGNORECASE,
)
MEANT: Final = {
    "int": "ttl=…", "float": "ttl=…", "timedelta": "ttl=…", "list": "tags=[…]", "tuple": "tags=[…]",
    "set": "tags=[…]", "FrontTier": "front=…",
}  # fmt: skip


class Unnamed(str):
    """A `key_prefix` that was written without its name."""

    __slots__ = ()


def refuse_no_function(value: object) -> None:
    """Raise `UsageError` for what is neither a function nor a text that may be a prefix."""
    if callable(value) or hasattr(value, "__get__"):  # a property is told elsewhere
        return
    kind = type(value).__name__
    meant = MEANT.get(kind)
    raise UsageError(
        f"cache() got a value of type {kind} instead of a function",
        code="DC126",
        help=f"did you mean {meant}?" if meant else "write the option's name before it",
    )


def refuse_duration(text: str) -> None:
    """Raise `UsageError` for a text that reads as a duration: as a prefix it makes no sense."""
    if DURATION.fullmatch(text):
        raise UsageError(
            "cache() got a duration without a name, so it would be a key_prefix",
            code="DC126",
            details=[("given", f'"{text}"')],
            help=f'did you mean ttl="{text}"?',
        )


def whole_key(prefix: str, owner: str) -> UsageError:
    """Make the error of a prefix that already holds the id."""
    return UsageError(
        f"the text given to cache() for {owner} already holds its id",
        code="DC126",
        details=[
            ("given", f'"{prefix}"'),
            ("why", "it is a key_prefix, and the id follows it in the key"),
        ],
        help=f'did you mean key="{prefix}"? As a prefix, write it by its name: key_prefix="…"',
    )
