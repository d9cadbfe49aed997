"""The program's side: versions, the parser, the secret."""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from dualcache import __version__
from dualcache.doctor.findings import good, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from dualcache.doctor.findings import Finding

SECRET_BYTES: Final = 16
OPENING_SECONDS: Final = 3.0
"""How long a front tier may take to open."""


def examine_front(cache: Cache) -> Iterator[Finding]:
    """Tell how the front tier hears of changes, if the cache has one."""
    until = monotonic() + OPENING_SECONDS
    cache.get("doctor")  # the first read opens it
    while (front := cache.stats().front) is not None:
        if front.transport == "ttl":
            why = f": {front.reason}" if front.reason else ""
            yield warning(
                "front",
                f'works by "ttl", no change is heard{why}',
                "see `resp3`, `tracking` and `rights` above: docs/front-tier.md",
            )
            return
        if front.transport != "none":
            yield good("front", f"changes are heard by {front.transport}")
            return
        if monotonic() > until:
            yield warning("front", "it does not open", "see the log of dualcache")
            return
        sleep(0.01)


def examine_program(cache: Cache) -> Iterator[Finding]:
    """Look at what is installed here, and at how the cache signs."""
    python = ".".join(map(str, sys.version_info[:3]))
    parts = f"dualcache {__version__}, redis-py {version('redis')}, Python {python}"
    yield good("versions", parts)
    if find_spec("hiredis") is None:
        yield warning(
            "hiredis",
            "missing: replies are parsed in Python",
            'pip install "dualcache[hiredis]"',
        )
    else:
        yield good("hiredis", f"{version('hiredis')} parses replies")
    for found in cache.stats(fleet=True).findings or cache.stats().findings:
        yield warning("verify", found, "look for the write that invalidates nothing")
    shortest = cache.shortest_secret
    if shortest is None:
        yield good("secret", "none: nothing is signed")
    elif shortest < SECRET_BYTES:
        yield warning(
            "secret",
            f"one has {shortest} bytes: it can be guessed",
            'python -c "import secrets; print(secrets.token_hex(32))"',
        )
    else:
        yield good("secret", f"{shortest} bytes or more")
