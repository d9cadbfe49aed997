"""What a cache does, on a page: `Dashboard`, an ASGI application to mount or to run alone."""

from __future__ import annotations

from dualcache.dashboard.app import Dashboard

__all__ = ["Dashboard"]
