"""What a failure of the listener's connection says about the server; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.backends.redis.push.connection import PushLink

__all__ = ["is_about_role", "is_passing"]

PASSING: Final = frozenset(
    (
        *("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "TRYAGAIN"),
        *("MISCONF", "NOREPLICAS", "OOM", "READONLY"),
    )
)
"""Refusals that say nothing about the transport: the same one is tried again."""


def is_about_role(error: BackendError) -> bool:
    """Tell whether the server that answers is not the master, or not any more."""
    return error.code == "DC220" or (
        isinstance(error, BackendRefused) and error.prefix in {"MASTERDOWN", "READONLY"}
    )


def is_passing(error: BackendError, link: PushLink) -> bool:
    """Tell whether the server is away or busy, rather than one that does not push."""
    if isinstance(error, BackendRefused):
        return error.prefix in PASSING
    return isinstance(error, BackendUnavailable | BackendTimeout) and not link.is_open
