"""Which exceptions of a load a stale value may stand in for (RFC 5861, 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dualcache.core.policy import Policy

__all__ = ["is_outage"]

SERVER_ERROR: Final = 500
"""The least status of an answer that says that the source failed; those below are answers."""
ANSWERS_OF_DJANGO: Final = frozenset(
    {"Http404", "PermissionDenied", "SuspiciousOperation", "BadRequest"}
)
"""Exceptions that become a status below 500 and do not carry it."""


def is_outage(policy: Policy, error: Exception) -> bool:
    """Tell whether an exception says that the source failed, rather than what it found.

    A 404 is an answer: the row is gone, and the stale value with it.
    """
    rule = policy.stale_on
    if rule is None:
        status = _status_of(error)
        return status is None or status >= SERVER_ERROR
    return isinstance(error, rule) if isinstance(rule, tuple) else bool(rule(error))


def _status_of(error: Exception) -> int | None:
    """Return the status that an exception becomes in a web framework, if it says so."""
    status = getattr(error, "status_code", None)
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        if package == "werkzeug":  # Flask's and Quart's
            status = getattr(error, "code", status)
        elif package == "django" and kind.__name__ in ANSWERS_OF_DJANGO:
            status = SERVER_ERROR - 1
    return status if isinstance(status, int) else None
