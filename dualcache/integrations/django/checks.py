"""System checks: settings in `CACHES` that cannot be right, or surprise in production.

No server is asked, so `manage.py check` also runs where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import caches
from django.core.checks import Error, Warning  # noqa: A004  Django's names

from dualcache import DualCacheError
from dualcache.integrations.django.backend import DualCache

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_caches"]

_SESSIONS: Final = "django.contrib.sessions.backends.cache"


def check_caches(**_: object) -> list[Any]:
    """Return the errors and warnings of all aliases of `CACHES` that have this backend."""
    return [message for alias in settings.CACHES for message in _messages_for(alias)]


def _messages_for(alias: str) -> Iterator[Any]:
    backend = caches[alias]  # one that cannot be imported has stopped Django's own checks already
    if not isinstance(backend, DualCache):
        return
    try:
        where = backend.dualcache.stats().backend
    except DualCacheError as error:
        yield Error(f"CACHES[{alias!r}]: {error.what}", hint=error.help, id="dualcache.E001")
        return
    if where.startswith("null:") and _has_sessions_in(alias):
        yield Error(
            f"CACHES[{alias!r}] stores nothing, and the sessions are in it",
            hint="Give it another LOCATION, or set SESSION_ENGINE.",
            id="dualcache.E002",
        )
    if where.startswith("memory:") and not settings.DEBUG:
        yield Warning(
            f"CACHES[{alias!r}] lives in the memory of each process",
            hint="Several workers see neither each other's values nor their deletions: name a "
            "server in LOCATION, or in DUALCACHE_URL. With one process, silence this check.",
            id="dualcache.W001",
        )


def _has_sessions_in(alias: str) -> bool:
    used = (settings.SESSION_ENGINE, settings.SESSION_CACHE_ALIAS)
    return used == (_SESSIONS, alias)
