"""The Django project of these tests: its settings, and its caches, seen in one colour."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import caches
from django.test import override_settings

from dualcache.integrations.django import shared
from tests.colours import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour

BACKEND: Final = "dualcache.integrations.django.DualCache"
SETTINGS: Final[dict[str, Any]] = {
    "ALLOWED_HOSTS": ["*"],
    # Django never closes ":memory:", not even in close_all(); written as a URI, it does.
    "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file::memory:"}},
    "INSTALLED_APPS": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "dualcache.integrations.django",
    ],
    "ROOT_URLCONF": "tests.integrations.django.urls",
    "SECRET_KEY": "a secret key of these tests, long enough for all of them",
    "USE_TZ": True,
}
_numbers: Final = count()


def configure() -> None:
    """Configure Django, once in a process, before any module of it needs its settings."""
    if not settings.configured:
        settings.configure(**SETTINGS)
        import django

        django.setup()


class Project:
    """The caches of one test, which nobody else uses."""

    def __init__(self, colour: Colour, url: str) -> None:
        self.colour = colour
        self.url = url
        self.options: dict[str, Any] = {"namespace": f"test{next(_numbers)}"}
        if url.startswith("redis"):
            self.options |= PATIENT
        self._overridden: list[Any] = []

    def entry(self, *, options: dict[str, Any] | None = None, **entry: Any) -> dict[str, Any]:
        """Return an entry of `CACHES`."""
        own = {"BACKEND": BACKEND, "LOCATION": self.url}
        return {**own, "OPTIONS": {**self.options, **(options or {})}, **entry}

    def use(self, **entries: dict[str, Any]) -> Face:
        """Have these caches from now on; return the default one."""
        overridden = override_settings(CACHES={"default": self.entry(), **entries})
        overridden.enable()
        self._overridden.append(overridden)
        return self.face()

    def face(self, alias: str = "default") -> Face:
        face = Face(self.colour, alias)
        self.colour.close_too(face.dualcache)
        return face

    def close(self) -> None:
        for overridden in reversed(self._overridden):
            overridden.disable()
        shared._made.clear()


class Face:
    """One of Django's caches: its methods, or the coroutines of the same meaning."""

    def __init__(self, colour: Colour, alias: str) -> None:
        self._colour = colour
        self._alias = alias
        self.dualcache: Cache = caches[alias].dualcache

    def __getattr__(self, name: str) -> Callable[..., Any]:
        written = f"a{name}" if self._colour.is_async else name

        def call(*args: Any, **kwargs: Any) -> Any:
            # Looked up where it runs: each thread has backends of its own.
            return self._colour.run(lambda: getattr(caches[self._alias], written)(*args, **kwargs))

        return call
