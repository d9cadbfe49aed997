"""Fixtures of the tests of the front tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.conftest import tasks, threads
from tests.servers import HOW_TO_GET_ONE

if TYPE_CHECKING:
    from dualcache.options.front_tier import Transport
    from tests.servers import Binary, Server, ServerPool

__all__ = ["tasks", "threads"]  # fixtures that live elsewhere


@pytest.fixture(params=["tracking", "broadcast"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """The two transports that hear every change."""
    made: Transport = request.param
    return made


# Pushes are the servers' own doing: every test here runs on each kind of server that was found.


@pytest.fixture
def redis_server(any_server: Server) -> Server:
    return any_server


@pytest.fixture
def own_server(any_own_server: Server) -> Server:
    return any_own_server


@pytest.fixture(params=["memory", "redis"])
def backend_url(
    request: pytest.FixtureRequest, server_pool: ServerPool, any_server_binary: Binary | None
) -> str:
    """The URL of an empty backend, in process and on each kind of server."""
    if request.param == "memory":
        return "memory://"
    if any_server_binary is None:
        pytest.fail(HOW_TO_GET_ONE, pytrace=False)
    return server_pool.flushed(any_server_binary).url
