"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, entry_points, files
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from dualcache.testing import plugin
from tests.docs.pages import ROOT, blocks_of
from tests.test_import import modules_after

if TYPE_CHECKING:
    from pathlib import Path

SHOP = """
from dualcache import Cache

cache = Cache("redis://nowhere.invalid/0", strict=True)

@cache(key="price:{item_id}", ttl="5m")
def price(item_id: int) -> int:
    return item_id

@cache(key="stock:{item_id}", ttl="5m")
async def stock(item_id: int) -> int:
    return item_id
"""
TESTS = """
import pytest
from dualcache import Cache, Hit, Loaded
from dualcache.testing import assert_cached, assert_loads, assert_not_cached
from shop import cache, price

@pytest.mark.parametrize("turn", range(2))
def test_each_test_begins_empty(dualcache_memory, turn):
    assert_not_cached(price, 7)
    assert price(7) == 7
    assert_cached(price, 7)

def test_a_cache_made_in_a_test_is_isolated(dualcache_memory):
    assert "memory://" in repr(Cache("redis://nowhere.invalid/1"))

def test_the_clock(dualcache_clock):
    price(7)
    dualcache_clock.advance("4m")
    assert_cached(price, 7)
    dualcache_clock.advance("1m")
    assert_not_cached(price, 7)

def test_the_events(dualcache_memory, dualcache_events):
    price(7), price(7)
    assert [type(event).__name__ for event in dualcache_events] == ["Miss", "Loaded", "Hit"]

@pytest.fixture
def filled():
    price(7)

@pytest.mark.dualcache_off
def test_off_also_in_fixtures(filled):
    with assert_loads(price, 2):
        price(7), price(7)

@pytest.mark.dualcache_off
def test_off_wins(dualcache_memory):
    with assert_loads(price, 2):
        price(7), price(7)

def test_nothing_is_left():
    assert "nowhere" in repr(cache)
"""

# Most of the time of so short a run is the import of plugins that it has no use for.
LIGHT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:faker")


def run(where: Path, *arguments: str, conftest: str = "", **files: str) -> dict[str, int]:
    """Run pytest on these modules in a process of its own; return the counts of its outcomes."""
    for name, text in {"shop": SHOP, **files}.items():
        (where / f"{name}.py").write_text(text, "utf-8")
    (where / "conftest.py").write_text(conftest, "utf-8")
    (where / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", "utf-8")
    command = [sys.executable, "-m", "pytest", *LIGHT, "-rA", *arguments]
    if "--asyncio-mode=auto" not in arguments:
        command += ["-p", "no:asyncio"]
    if "trio_mode=true" not in arguments:
        command += ["-p", "no:trio"]
    if not is_installed():
        command += ["-p", "dualcache.testing.plugin"]
    path = os.pathsep.join([str(where), str(ROOT)])
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command,
        cwd=where,
        env=env | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    words = done.stdout.splitlines()[-1].strip("= ").split(" in ")[0].split(", ")
    counts = {word: int(count) for count, word in (each.split(" ") for each in words)}
    assert done.returncode == 0, done.stdout + done.stderr
    return counts


def is_installed() -> bool:
    """Tell whether pytest finds the plugin by itself, as where the wheel is installed."""
    return any(
        point.value == "dualcache.testing.plugin" for point in entry_points(group="pytest11")
    )


def test_an_installed_plugin_is_found_by_pytest() -> None:
    try:
        installed = {str(path) for path in files("dualcache") or ()}
    except PackageNotFoundError:
        installed = set()
    if not any(name.startswith("dualcache/") for name in installed):
        pytest.skip("the wheel is not installed here; tox installs it")
    assert is_installed()


def test_fixtures_and_marker_do_what_they_say(tmp_path: Path) -> None:
    assert run(tmp_path, "--strict-markers", test_shop=TESTS) == {"passed": 8}


def test_workers_of_xdist_have_caches_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    assert run(tmp_path, "-n", "2", test_shop=TESTS) == {"passed": 8}


ASYNC_TESTS = """
import pytest
from dualcache.testing import assert_cached, assert_loads, assert_not_cached
from shop import stock

@pytest.fixture
async def filled(dualcache_memory):
    await stock(7)

@MARK
@pytest.mark.parametrize("turn", range(2))
async def test_a_coroutine_function(dualcache_clock, dualcache_events, turn):
    assert_not_cached(stock, 7)
    with assert_loads(stock, 1):
        assert [await stock(7), await stock(7)] == [7, 7]
    dualcache_clock.advance("5m")
    assert_not_cached(stock, 7)
    assert len(dualcache_events) == 3

@MARK
async def test_an_async_fixture(filled):
    assert_cached(stock, 7)

@MARK
@pytest.mark.dualcache_off
async def test_off():
    with assert_loads(stock, 2):
        await stock(7)
        await stock(7)
"""


def test_it_works_with_the_plugin_of_anyio(tmp_path: Path) -> None:
    loops = ["asyncio", "trio"] if find_spec("trio") else ["asyncio"]
    tests = ASYNC_TESTS.replace("MARK", "pytest.mark.anyio")
    backend = f"@pytest.fixture(params={loops})\ndef anyio_backend(request): return request.param\n"
    passed = run(tmp_path, conftest=f"import pytest\n{backend}", test_shop=tests)
    assert passed == {"passed": 4 * len(loops)}


def test_it_works_with_pytest_trio(tmp_path: Path) -> None:
    pytest.importorskip("pytest_trio")
    tests = ASYNC_TESTS.replace("@MARK\n", "")
    assert run(tmp_path, "-o", "trio_mode=true", test_shop=tests) == {"passed": 4}


def test_it_works_with_pytest_asyncio(tmp_path: Path) -> None:
    pytest.importorskip("pytest_asyncio")
    tests = ASYNC_TESTS.replace("@MARK\n", "")
    options = ("--asyncio-mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    assert run(tmp_path, *options, test_shop=tests) == {"passed": 4}


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    blocks = blocks_of(ROOT / "docs/frameworks/pytest.md")
    functions = [
        block.text
        for block in blocks
        if block.language == "python"
        and ("def test_" in block.text or "@cache" in block.text or "@pytest" in block.text)
    ]
    tests = "import pytest\npytestmark = pytest.mark.anyio\n" + "\n\n".join(functions)
    conftest = 'import pytest\n@pytest.fixture\ndef anyio_backend(): return "asyncio"\n'
    assert run(tmp_path, conftest=conftest, test_page=tests) == {"passed": 3}


def test_the_plugin_brings_no_part_of_the_cache_until_it_is_used() -> None:
    bare = modules_after("import pytest, msgspec, dualcache")
    loaded = modules_after("import pytest, dualcache.testing.plugin") - bare
    assert loaded == {"dualcache.testing", "dualcache.testing.plugin"}


def test_each_fixture_begins_with_the_name_of_the_project_and_there_is_no_option() -> None:
    names = {name for name in vars(plugin) if "cache" in name and name != "__cached__"}
    assert names == {"dualcache_memory", "dualcache_clock", "dualcache_events"}
    assert not hasattr(plugin, "pytest_addoption")
