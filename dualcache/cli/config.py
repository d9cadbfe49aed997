"""`dualcache config`: each value, and where it comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import click

from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import shown

if TYPE_CHECKING:
    from dualcache.cli.session import Session

PREFIXES: Final = ("DUALCACHE_", "REDIS_CACHE_")
SECRET: Final = ("PASSWORD", "SECRET", "TOKEN")
MASK: Final = "***"
DEFAULT: Final = "default"


class Value(NamedTuple):
    name: str
    value: str
    origin: str


@click.command()
@connected
def config(session: Session) -> int:
    """Show each setting and its origin.

    Secrets are masked.
    """
    rows = values_of(session)
    session.out.document([row._asdict() for row in rows])
    session.out.table(("name", "value", "from"), [[shown(each) for each in row] for row in rows])
    return DONE


def values_of(session: Session) -> list[Value]:
    """Return the settings of this session's cache; raise `UsageError` if they cannot be right."""
    cache = session.cache
    url = cache.stats().backend
    origin = origin_of_url(session)
    rows = [Value("url", url, origin)]
    rows += [Value(name, text, origin) for name, text in options_in(session)]
    namespace = "--namespace" if session.namespace else origin_of("DUALCACHE_NAMESPACE")
    rows.append(
        Value("namespace", cache.namespace or "none", namespace if session.is_own else origin)
    )
    if not session.is_own:
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
        if name not in used and name not in origin
    ]
    return rows


def options_in(session: Session) -> list[tuple[str, str]]:
    """Return the options that stand in the URL."""
    if not session.is_own:
        return []
    known = (session.url, os.environ.get("DUALCACHE_URL"), os.environ.get("REDIS_CACHE_URL"))
    written = next((url.strip() for url in known if url and url.strip()), "")
    pairs = parse_qsl(urlsplit(written).query)
    return [(name, hidden(name, text)) for name, text in pairs]


def hidden(name: str, text: str) -> str:
    """Return the text of a variable or an option, without what may be a secret."""
    return MASK if any(part in name.upper() for part in SECRET) else text


def origin_of_url(session: Session) -> str:
    """Say where the URL comes from."""
    if session.url is not None:
        return "--url"
    if not session.is_own:
        return "the program"
    for name in ("DUALCACHE_URL", "REDIS_CACHE_URL"):
        if os.environ.get(name, "").strip():
            return name
    parts = ("HOST", "PORT", "PASSWORD", "DB")
    names = [f"REDIS_CACHE_{part}" for part in parts]
    given = [name for name in names if os.environ.get(name, "").strip()]
    return ", ".join(given) or DEFAULT


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
