"""The pytest plugin: fixtures and a marker from the rest of this package.

pytest loads it in each run where dualcache is installed, so it imports nothing before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dualcache import MovableClock
    from dualcache.testing.events import Events

OFF = "dualcache_off"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", f"{OFF}: no cache reads or stores anything in this test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Turn caches off around a marked test, before its fixtures are set up."""
    if item.get_closest_marker(OFF) is None:
        return (yield)
    from dualcache.testing.isolation import isolated

    with isolated("null://"):
        return (yield)


@pytest.fixture
def dualcache_memory(request: pytest.FixtureRequest) -> Iterator[MovableClock]:
    """Every cache is in memory in this test, empty; the value is their clock."""
    from dualcache.testing.isolation import isolated

    is_off = request.node.get_closest_marker(OFF) is not None
    with isolated("null://" if is_off else "memory://") as clock:
        yield clock


@pytest.fixture
def dualcache_clock(dualcache_memory: MovableClock) -> MovableClock:
    """As `dualcache_memory`, with a clock that stands still until `advance("5m")`."""
    dualcache_memory.stop()
    return dualcache_memory


@pytest.fixture
def dualcache_events() -> Iterator[Events]:
    """The events of every cache in this test, as a list; `of(Miss)` returns those of one type."""
    from dualcache.testing.events import recorded_events

    with recorded_events() as events:
        yield events
