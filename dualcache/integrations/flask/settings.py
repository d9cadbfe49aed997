"""From `app.config` and the environment to the options of a `Cache`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flask import Flask

__all__ = ["make_cache", "signing_secrets", "written_options"]

PREFIX: Final = "DUALCACHE_"
ENVIRONMENT: Final = "FLASK_DUALCACHE_"
TEXTS: Final = frozenset({"url", "namespace", "secret", "codec"})
"""Options that are text, also where the text looks like a number."""


def make_cache(options: dict[str, Any]) -> Cache:
    """Make a cache; raises `UsageError` for options that cannot be right."""
    if "enabled" in options:  # an option of the environment alone
        enabled = {f"{PREFIX}ENABLED": options.pop("enabled")}
        return Cache(**options, settings={**_known(os.environ), **enabled})
    return Cache(**options)


def written_options(app: Flask) -> dict[str, Any]:
    """Return the options of `Cache` from `app.config` and `FLASK_DUALCACHE_*`, by name."""
    of_environment = {
        name.removeprefix(ENVIRONMENT).lower(): text
        for name, text in os.environ.items()
        if name.startswith(ENVIRONMENT)
    }
    found = {name: _value(name, text) for name, text in of_environment.items()}
    for name, value in app.config.items():
        if name.startswith(PREFIX):
            found[name.removeprefix(PREFIX).lower()] = value
    return found


def signing_secrets(app: Flask) -> list[str]:
    """Return the secrets of an application, the newest first."""
    keys: Iterable[Any] = (
        app.config.get("SECRET_KEY"),
        *(app.config.get("SECRET_KEY_FALLBACKS") or ()),
    )
    return [key.hex() if isinstance(key, bytes) else str(key) for key in keys if key]


def _value(name: str, text: str) -> Any:
    """Read a variable as Flask's own `from_prefixed_env` does: as JSON, else as text."""
    if name in TEXTS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _known(environ: Mapping[str, str]) -> dict[str, str]:
    prefixes = (PREFIX, "REDIS_CACHE_")
    return {name: text for name, text in environ.items() if name.startswith(prefixes)}
