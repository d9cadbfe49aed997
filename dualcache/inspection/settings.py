"""The settings of a cache, and what has set each; secrets are masked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from dualcache import Cache

PREFIXES: Final = ("DUALCACHE_", "REDIS_CACHE_")
SECRET: Final = ("PASSWORD", "SECRET", "TOKEN")
MASK: Final = "***"
DEFAULT: Final = "default"


class Value(NamedTuple):
    name: str
    value: str
    origin: str


class Origin(NamedTuple):
    """Who has made a cache: a program, or a command of its options and the environment."""

    is_program: bool = True
    url: str | None = None
    namespace: str | None = None

    @property
    def of_url(self) -> str:
        """Where the URL comes from."""
        if self.url is not None:
            return "--url"
        if self.is_program:
            return "the program"
        for name in ("DUALCACHE_URL", "REDIS_CACHE_URL"):
            if os.environ.get(name, "").strip():
                return name
        parts = ("HOST", "PORT", "PASSWORD", "DB")
        names = [f"REDIS_CACHE_{part}" for part in parts]
        given = [name for name in names if os.environ.get(name, "").strip()]
        return ", ".join(given) or DEFAULT


def values_of(cache: Cache, origin: Origin) -> list[Value]:
    """Return the settings of a cache."""
    rows = [Value("url", cache.stats().backend, origin.of_url)]
    rows += [Value(name, text, origin.of_url) for name, text in options_in(origin)]
    namespace = "--namespace" if origin.namespace else origin_of("DUALCACHE_NAMESPACE")
    rows.append(
        Value(
            "namespace",
            cache.namespace or "none",
            origin.of_url if origin.is_program else namespace,
        )
    )
    if origin.is_program:
        return rows
    for name, default in (("TTL", "3600"), ("FRONT", "off"), ("ENABLED", "on")):
        variable = f"DUALCACHE_{name}"
        text = os.environ.get(variable, "").strip()
        rows.append(Value(name.lower(), text or default, origin_of(variable)))
    shadowed = [name for name in sorted(os.environ) if name.startswith(PREFIXES)]
    used = {row.origin for row in rows}
    rows += [
        Value(name, masked(name), "environment, not used here")
        for name in shadowed
        if name not in used and name not in origin.of_url
    ]
    return rows


def options_in(origin: Origin) -> list[tuple[str, str]]:
    """Return the options that stand in the URL."""
    if origin.is_program:
        return []
    known = (origin.url, os.environ.get("DUALCACHE_URL"), os.environ.get("REDIS_CACHE_URL"))
    written = next((url.strip() for url in known if url and url.strip()), "")
    pairs = parse_qsl(urlsplit(written).query)
    return [(name, hidden(name, text)) for name, text in pairs]


def hidden(name: str, text: str) -> str:
    """Return the text of a variable or an option, without what may be a secret."""
    return MASK if any(part in name.upper() for part in SECRET) else text


def origin_of(variable: str) -> str:
    """Return the variable if it says something, else that it is the default."""
    return variable if os.environ.get(variable, "").strip() else DEFAULT


def masked(name: str) -> str:
    """Return the text of a variable, without what may be a secret."""
    text = os.environ[name]
    if "URL" in name:
        scheme, found, rest = text.partition("://")
        _, at, place = rest.rpartition("@")
        return f"{scheme}{found}{MASK + at if at else ''}{place}"
    return hidden(name, text)
