"""One run of a command: its cache, opened when it is first needed, and what it prints."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dualcache import BackendDown, Cache, MissingClientError, UsageError
from dualcache.cli.answers import unusable
from dualcache.cli.printing import Output
from dualcache.inspection.settings import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS: Final = 5.0
"""How long a server may take that is asked by a person, unless the URL says otherwise."""


class NoAnswerError(Exception):
    """The server cannot be used; the text says why, and what to do about it."""


class Session:
    """The cache that a command works on.

    `given` makes it where a program mounts the commands. Else it is `--app`, or made of `--url`,
    `--namespace` and the environment.
    """

    def __init__(
        self,
        *,
        given: Callable[[], Cache] | None = None,
        app: str | None = None,
        url: str | None = None,
        namespace: str | None = None,
        is_json: bool = False,
    ) -> None:
        self._given = given
        self._app = app
        self._made: list[Cache] = []
        self.url = url
        self.namespace = namespace
        self.out = Output(is_json=is_json)
        self.failures: list[BackendDown] = []

    @property
    def is_own(self) -> bool:
        """Whether the cache was made here, of a URL, and belongs to no program."""
        return self._given is None and self._app is None

    @property
    def origin(self) -> Origin:
        """What has made the cache."""
        return Origin(not self.is_own, self.url, self.namespace)

    @cached_property
    def cache(self) -> Cache:
        """The cache; raises `UsageError` where none can be made."""
        if self._given is not None:
            found = self._given()
        elif self._app is not None:
            found = cache_named(self._app)
        else:
            found = self.another()
        found.on_event(self._note)
        return found

    def another(self, **options: Any) -> Cache:
        """Make one more cache of the same URL; closed with the session."""
        known = settings()
        options = {"namespace": self.namespace or "", "settings": known, **options}
        written = self.url or known.get("DUALCACHE_URL") or known.get("REDIS_CACHE_URL") or ""
        if "socket_timeout" not in written:
            options.setdefault("socket_timeout", PATIENCE_SECONDS)
        try:
            made = Cache(self.url, **options)
        except UsageError as error:
            if error.code != "DC151":  # memory:// knows no time-outs
                raise
            del options["socket_timeout"]
            made = Cache(self.url, **options)
        self._made.append(made)
        return made

    def answering(self) -> Cache:
        """Return the cache, whose server answers; raise `NoAnswerError` if it does not.

        A cache in the memory of the command itself is empty: `UsageError`.
        """
        cache = self.cache
        if self.is_own and cache.stats().tier == "memory":
            raise no_server(cache.stats().backend)
        # A server that answers too late may do so once more: the breaker opens at the second time.
        if not (cache.ping() or cache.ping()):
            raise NoAnswerError(unusable(cache.stats().backend, self.failures))
        return cache

    def with_server(self) -> Cache:
        """Return the cache if it lives on a server that answers."""
        try:
            _ = self.cache.client
        except MissingClientError:
            raise no_server(self.cache.stats().backend) from None
        except Exception:  # noqa: BLE001  redis-py connects to a cluster at once; the ping says why
            return self.answering()
        return self.answering()

    def close(self) -> None:
        """Close the caches that were made here."""
        for each in self._made:
            each.close()

    def _note(self, event: object) -> None:
        if isinstance(event, BackendDown):
            self.failures.append(event)


def settings() -> dict[str, str]:
    """Return the environment as the command line reads it: a cache that is off is looked at too."""
    return {name: text for name, text in os.environ.items() if name != "DUALCACHE_ENABLED"}


def no_server(backend: str) -> UsageError:
    """Build the error of a command that needs a server."""
    return UsageError(
        f"this command needs a server, and the cache is {backend}",
        code="DC490",
        help="give --url redis://host:6379/0, or set DUALCACHE_URL",
    )


def cache_named(place: str) -> Cache:
    """Import the cache of a program: `package.module:name`."""
    found = named_object("--app", place, "name = Cache(…)")
    if isinstance(found, Cache):
        return found
    raise not_found("--app", place, f"it is a {type(found).__name__}", "name = Cache(…)")


def named_object(option: str, place: str, example: str = "name = …") -> object:
    """Import an object of a program: `package.module:name`."""
    module, colon, name = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a script has its own folder there
        sys.path.insert(0, here)
    if not colon:
        raise not_found(option, place, "there is no colon", example)
    try:
        found: object = import_module(module)
    except ModuleNotFoundError as error:
        raise not_found(option, place, f"{error}", example) from None
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise not_found(option, place, "it has no such name", example)
    return found


def not_found(option: str, place: str, cause: str, example: str) -> UsageError:
    """Build the error of an option that names no object of a program that can be used."""
    what = "a Cache" if option == "--app" else "an object"
    return UsageError(
        f"{option} {place} does not lead to {what}: {cause}",
        code="DC491",
        help=f"write {option} package.module:name, where {example}",
    )
