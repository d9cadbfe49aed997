"""`DualCache`, the extension: one cache for each application, and decorators for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast, overload
from weakref import WeakKeyDictionary, WeakSet

from flask import current_app, has_app_context

from dualcache import Cache, UsageError
from dualcache.integrations.flask.functions import AppFunction, decorated_for_apps
from dualcache.integrations.flask.settings import make_cache, written_options
from dualcache.integrations.flask.signals import Telling

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import ParamSpec, TypeVar

    from flask import Flask

    from dualcache.typing import CachedFunction, CachedMany, Decorator, ManyDecorator

    P = ParamSpec("P")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., Any])

__all__ = ["DualCache", "cache_in"]

PLACE: Final = "dualcache"
"""The name of this extension in `app.extensions`."""


class DualCache:
    """The extension: `DualCache(app)`, or `DualCache()` and `init_app(app)` in a factory.

    Each application has a separate `Cache`, made from the `DUALCACHE_*` of its `config`. `options`
    are those of `Cache`, for anything that the config does not set. With `cache`, all applications
    share that one, and their configuration is not read.

    The extension has everything that a `Cache` has, for the current application: `cache.get(…)`,
    `cache.aio`, `cache.stats()`. Raises `UsageError` if no application is known.
    """

    def __init__(
        self, app: Flask | None = None, *, cache: Cache | None = None, **options: Any
    ) -> None:
        if cache is not None and options:
            raise UsageError(
                "DualCache() got a cache, and options for another one",
                code="DC461",
                help="give the options to the Cache",
            )
        self._shared = cache
        self._options = options
        self._apps: WeakSet[Flask] = WeakSet()
        self._functions: WeakSet[AppFunction] = WeakSet()
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Make the cache of an application; it connects later.

        Raises `UsageError` for configuration or decorators that cannot be right.
        """
        here = _OfApp(app, self._shared or make_cache({**self._options, **written_options(app)}))
        for function in list(self._functions):
            here.made(function)
        app.extensions.setdefault(PLACE, {})[self] = here
        self._apps.add(app)

    @property
    def cache(self) -> Cache:
        """The `Cache` of the current application; if none is current, that of the only one."""
        return self._here().cache

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.cache, name)

    # Decorators

    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...
    @overload
    def __call__(self, prefix: str | None = None, /, *more: Any, **options: Any) -> Decorator: ...

    def __call__(self, function: Any = None, /, *more: Any, **options: Any) -> Any:
        """Decorate a function or an endpoint, as `Cache` does."""
        if function is None or more or isinstance(function, str):
            given = () if function is None else (function, *more)
            return lambda inner: self._decorated(
                inner, lambda cache, bare: cache(*given, **options)(bare)
            )
        return self._decorated(function, lambda cache, bare: cache(**options)(bare))

    def memoize(self, function: Callable[P, R], /, **options: Any) -> CachedFunction[P, R]:
        """Return a cached form of a function that you cannot decorate."""
        made = self._decorated(function, lambda cache, bare: cache.memoize(bare, **options))
        return cast("CachedFunction[P, R]", made)

    @overload
    def many(self, function: Callable[P, R], /, **options: Any) -> CachedMany[P, R]: ...
    @overload
    def many(self, function: None = None, /, **options: Any) -> ManyDecorator: ...

    def many(self, function: Any = None, /, **options: Any) -> Any:
        """Decorate a function that takes several values and returns a mapping from them."""
        if function is None:
            return lambda inner: self.many(inner, **options)
        return self._decorated(function, lambda cache, bare: cache.many(bare, **options))

    def invalidates(
        self, *keys: str, tags: Sequence[str] = (), patterns: Sequence[str] = ()
    ) -> Callable[[F], F]:
        """Decorate a function that writes: its success invalidates these names."""
        return lambda function: self._decorated(
            function,
            lambda cache, bare: cache.invalidates(*keys, tags=tags, patterns=patterns)(bare),
        )

    def http(self, **options: Any) -> Callable[[F], F]:
        """Decorate a view to keep its whole response."""
        return lambda function: self._decorated(
            function, lambda cache, bare: cache.http(**options)(bare), is_view=True
        )

    def _decorated(
        self, function: Any, decorate: Callable[[Cache, Any], Any], *, is_view: bool = False
    ) -> Any:
        if self._shared is not None:
            return decorate(self._shared, function)
        made = decorated_for_apps(
            function, decorate, lambda which: self._here().made(which), is_view=is_view
        )
        inner: Any = made.__func__ if isinstance(made, staticmethod | classmethod) else made
        self._functions.add(inner)
        for app in list(self._apps):  # so that a mistake shows where it is made
            app.extensions[PLACE][self].made(inner)
        return made

    def _here(self) -> _OfApp:
        """Return what belongs to the current application, or to the only one."""
        if has_app_context():
            found = current_app.extensions.get(PLACE, {}).get(self)
        else:
            known = list(self._apps)
            found = known[0].extensions[PLACE][self] if len(known) == 1 else None
        if found is None:
            raise UsageError(
                "no application says which cache is meant",
                code="DC462",
                help="call init_app(app) first; with several applications, call within "
                "app.app_context()",
            )
        return cast("_OfApp", found)


class _OfApp:
    """The cache of one application, and the functions that are decorated by it."""

    def __init__(self, app: Flask, cache: Cache) -> None:
        self.cache = cache
        self._made: WeakKeyDictionary[AppFunction, Any] = WeakKeyDictionary()
        self._telling = Telling(app, cache)

    def made(self, function: AppFunction) -> Any:
        """Return a function in the form that this application has."""
        found = self._made.get(function)
        if found is None:
            found = self._made[function] = function.decorated(self.cache)
        return found


def cache_in(app: Flask) -> Cache:
    """Return the cache of an application; the first one if it has several."""
    for here in app.extensions.get(PLACE, {}).values():
        return cast("_OfApp", here).cache
    raise UsageError(
        "the application has no dualcache",
        code="DC463",
        help="write DualCache(app), or cache.init_app(app) in its factory",
    )
