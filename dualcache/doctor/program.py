"""The program's side: versions, the parser, the secret."""

from __future__ import annotations

import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from dualcache import __version__
from dualcache.doctor.findings import good, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from dualcache.doctor.findings import Finding

SECRET_BYTES: Final = 16


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
