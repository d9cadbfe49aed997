"""The app for `INSTALLED_APPS`, which registers the system checks; the backend needs no app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

__all__ = ["DualCacheConfig"]


class DualCacheConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Registers the checks of `checks.py`."""

    name = "dualcache.integrations.django"
    label = "dualcache"
    verbose_name = "dualcache"

    def ready(self) -> None:
        """Register the checks, once all apps are loaded."""
        from dualcache.integrations.django.checks import check_caches

        register(check_caches, Tags.caches)
