"""What importing dualcache costs: the modules that it must not bring along."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.docs.pages import ROOT

NEVER_AT_IMPORT: Final = {
    # Extras
    "click",
    "django",
    "fastapi",
    "flask",
    "litestar",
    "numpy",
    "opentelemetry",
    "prometheus_client",
    "pyarrow",
    "rich",
    "sqlalchemy",
    "trio",
    # What costs much, and is needed later or never
    "anyio",
    "asyncio",
    "hiredis",
    "logging",
    "pydantic",
    "redis",
    "socket",
    "ssl",
    "difflib",
    "urllib.parse",
}
USE: Final = """
import dualcache
cache = dualcache.Cache("memory://", namespace="shop")

@cache(key="double:{number}", tags=["numbers"], ttl="5m")
def double(number: int) -> int:
    return 2 * number

@cache.invalidates("double:{number}")
def change(number: int) -> None: ...

assert [double(4), double(4)] == [8, 8]
change(4)
cache.set("a", (1, 2))
assert cache.get("a") == (1, 2)
cache.invalidate("a", tags=["numbers"], patterns=["double:*"])
cache.close()
"""
CONSTRUCTED: Final = """
import dualcache
cache = dualcache.Cache("redis://:hush@nowhere.invalid/0", namespace="shop")

@cache(key="double:{number}")
def double(number: int) -> int: ...

@cache(key="triple:{number}")
async def triple(number: int) -> int: ...
"""


def modules_after(code: str) -> set[str]:
    """Return the names of the modules that a new interpreter has loaded by running `code`."""
    told = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{code}\nprint(*sys.modules)"
    command = [sys.executable, "-I", "-W", "error", "-c", told]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_dualcache_brings_neither_redis_nor_asyncio() -> None:
    bare = modules_after("import msgspec, cachetools")
    assert sorted(modules_after("import dualcache") & NEVER_AT_IMPORT - bare) == []


def test_sync_calls_in_memory_need_neither_redis_nor_asyncio() -> None:
    assert sorted(modules_after(USE) & {"redis", "asyncio", "anyio", "ssl", "socket"}) == []


def test_a_cache_on_a_server_imports_redis_only_when_it_is_called() -> None:
    assert sorted(modules_after(CONSTRUCTED) & {"redis", "asyncio", "anyio"}) == []


@pytest.mark.parametrize(
    "name",
    [
        "dualcache.cli.main",
        "dualcache.dashboard",
        "dualcache.endpoints.endpoint",
        "dualcache.testing",
    ],
)
def test_importing_dualcache_brings_no_part_that_few_programs_need(name: str) -> None:
    assert name not in modules_after("import dualcache")
