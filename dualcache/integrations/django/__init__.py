"""A cache backend for Django: `"BACKEND": "dualcache.integrations.django.DualCache"`.

It has all of Django's cache API, sync and async, on one `Cache` of the process.
"""

from __future__ import annotations

from dualcache.integrations.django.backend import DualCache, dualcache_of
from dualcache.integrations.django.commits import invalidate_on_commit
from dualcache.integrations.django.values import NotPicklable

__all__ = ["DualCache", "NotPicklable", "dualcache_of", "invalidate_on_commit"]
