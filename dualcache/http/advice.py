"""Advice on endpoints whose responses are not stored: a line in the log, or a warning."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from dualcache.observability.logs import HTTP, log

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["log_unstored", "warn_of_tasks"]

# A response may also say itself that it is for nobody else (`no-store`, `private`, events, an error
# status): that is what its author wants. Background tasks have a warning.
_UNWANTED: Final[Mapping[str, str]] = {
    "extension": "the server is to send a file or trailers",
    "set-cookie": "they set a cookie",
    "size": "they are larger than the cache takes",
    "stream": "they are streams",
    "vary": "their Vary names a header that vary= leaves out",
}


def log_unstored(label: str, reason: str) -> None:
    """Log why responses of a route are not stored, where its author may not expect it."""
    why = _UNWANTED.get(reason)
    if why is not None:
        fields = {"template": label, "reason": reason}
        log("WARNING", "responses of %s are not stored: %s", label, why, logger=HTTP, fields=fields)


def warn_of_tasks(function: Any) -> None:
    code = function.__code__
    warnings.warn_explicit(
        f"[DC436] responses of {function.__qualname__} have background tasks and are not stored, "
        "because a hit would not run them; leave cache.http out, or start the work elsewhere",
        UserWarning,
        code.co_filename,
        code.co_firstlineno,
    )
