"""Flask: the extension `DualCache`, signals, commands, and a backend for Flask-Caching."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.integrations.flask.extension import DualCache
from dualcache.integrations.flask.signals import (
    backend_down,
    backend_up,
    invalidated,
    load_failed,
    loaded,
    not_stored,
)

if TYPE_CHECKING:
    from dualcache.integrations.flask.backend import Backend

__all__ = [
    "Backend",
    "DualCache",
    "backend_down",
    "backend_up",
    "invalidated",
    "load_failed",
    "loaded",
    "not_stored",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import the backend when Flask-Caching asks for it; most programs do not have that."""
        if name != "Backend":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from dualcache.integrations.flask.backend import Backend

        return Backend
