"""From an entry of `CACHES` to the `Cache` behind it, of which a process has one.

Django makes a backend for each thread. All of them, and all aliases with the same `LOCATION` and
`OPTIONS`, use the same `Cache`: the same connections, front tier and running loads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.crypto import salted_hmac

from dualcache import Cache, UsageError

__all__ = ["DEFAULT_NAMESPACE", "shared_cache"]

DEFAULT_NAMESPACE: Final = "django"
"""So that `clear()` deletes what Django has stored, and not the whole database."""

_SALT: Final = "dualcache.integrations.django"
_MORE_URLS: Final = re.compile(r"[;,]\s*[a-z+]+://")
_ELSEWHERE: Final = {
    "url": "write it as LOCATION",
    "client_class": "leave it out: LOCATION says whether it is a server, Sentinel or a Cluster",
    "connection_pool_class": "leave it out: each process has its own pool",
    "connection_pool_kwargs": 'write its items as options: "max_connections": 50',
    "redis_client_kwargs": 'write its items as options: "socket_timeout": 1',
    "pool_class": "leave it out: each process has its own pool",
    "parser_class": "leave it out: hiredis is used where it is installed",
    "serializer": 'write "codec": "json", or a codec of your own',
    "compressor": 'write "compress_above": 1024',
    "ignore_exceptions": "leave it out: a server that fails never raises here",
    "max_entries": 'write "front": 10_000 for copies in process; a server has its maxmemory',
    "cull_frequency": "leave it out: the server evicts by its maxmemory-policy",
}
"""Options of other backends, in lower case, and what to write here."""

_made: Final[list[tuple[tuple[Any, ...], Cache]]] = []


def shared_cache(location: Any, options: dict[str, Any]) -> Cache:
    """Return the `Cache` of a `LOCATION` and its `OPTIONS`; it connects later.

    Raises `UsageError` for options that a `Cache` does not have.
    """
    url = _url_of(location)
    wanted = (url, _completed(options))
    found = _find(wanted)
    if found is None:
        # Two threads may both come here. Each appends its own, and both take the first one: a lock
        # would be one that a fork could copy while it is held.
        _made.append((wanted, Cache(url, **wanted[1])))
        found = _find(wanted)
        assert found is not None
    return found


def _find(wanted: tuple[Any, ...]) -> Cache | None:
    return next((cache for known, cache in _made if known == wanted), None)


def _url_of(location: Any) -> str | None:
    """Return the URL of a `LOCATION`, which Django's own backend takes as a list, too."""
    if isinstance(location, str):
        urls = [location] if location else []
    else:
        urls = list(location) if isinstance(location, Iterable) else [location]
    if len(urls) > 1 or any(_MORE_URLS.search(str(url)) for url in urls):
        raise UsageError(
            "LOCATION of a cache names several servers",
            code="DC441",
            help="name one; redis+sentinel://h1,h2/name and redis+cluster://h1,h2 find the others",
        )
    return urls[0] if urls else None


def _completed(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the `Cache`, with the defaults of this integration."""
    for name in options:
        written = name.lower()  # the options of django-redis are in capitals
        told = _ELSEWHERE.get(written) or (name != written and f'write "{written}"')
        if told:
            raise UsageError(
                f"OPTIONS of a cache has {name}, which is an option of another backend",
                code="DC440",
                help=told,
            )
    made = {"namespace": DEFAULT_NAMESPACE, "codec": "any", **options}
    if made["codec"] in {"any", "pickle"} and "secret" not in made:
        made["secret"] = _secrets()
    return made


def _secrets() -> list[str]:
    """Derive the secrets that sign values from `SECRET_KEY`, and from its fallbacks for reading."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [salted_hmac(_SALT, "", secret=key, algorithm="sha256").hexdigest() for key in keys]


def _close_all(*, setting: str, **_: object) -> None:
    """Close connections where a test overrides a setting; the next call opens them again."""
    if setting in {"CACHES", "SECRET_KEY"}:
        for _known, cache in _made:
            cache.close()


setting_changed.connect(_close_all, dispatch_uid=_SALT)
