from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dualcache import Cache
from tests.cli.running import Shell
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(autouse=True)
def _an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DUALCACHE_URL", "DUALCACHE_NAMESPACE", "REDIS_CACHE_URL", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def shell(redis_server: Server, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(redis_server, capsys)


@pytest.fixture
def shop(redis_server: Server) -> Iterator[Cache]:
    """The cache that the commands look into."""
    with Cache(patient(redis_server.url), namespace="shop") as cache:
        yield cache
