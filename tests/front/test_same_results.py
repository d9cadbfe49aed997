"""Tests of behaviour, unchanged, with a front tier before the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.test_cache_clear import *  # noqa: F403  every test of that file
from tests.behaviour.test_counters import *  # noqa: F403  the same
from tests.behaviour.test_decorated_beneath import *  # noqa: F403  every test of that file
from tests.behaviour.test_decorated_functions import *  # noqa: F403  the same
from tests.behaviour.test_invalidation import *  # noqa: F403  the same
from tests.behaviour.test_long_loads import *  # noqa: F403  the same
from tests.behaviour.test_refreshing import *  # noqa: F403  the same
from tests.behaviour.test_single_flight import *  # noqa: F403  the same
from tests.behaviour.test_users_names import *  # noqa: F403  the same

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.fixture
def backend_url(redis_server: Server) -> str:
    """A server alone: in memory nobody else writes, and the tests of copies run there as well."""
    return redis_server.url


@pytest.fixture(autouse=True)
def _fronted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALCACHE_FRONT", "1000")
