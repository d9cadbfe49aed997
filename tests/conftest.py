"""Fixtures that every test may use; what they hand out lives in the modules beside this one."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.colours import colour
from tests.fleets.cluster import Cluster
from tests.fleets.sentinels import Sentinels
from tests.proxy import Proxy
from tests.servers import HOW_TO_GET_ONE, Binary, Server, ServerPool, found_binaries

__all__ = ["colour"]  # a fixture that lives elsewhere

# How fast the machine is says nothing about the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--server", help="the one server that tests use, as in valkey-9.1")
    parser.addoption(
        "--on-cluster",
        action="store_true",
        help="run what runs on any backend on a Cluster, and nothing else",
    )
    parser.addoption(
        "--on-trio",
        action="store_true",
        help="run the async face under trio, and only what runs under any event loop",
    )
    parser.addoption("--on-sentinel", action="store_true", help="the same on a master of Sentinels")
    parser.addoption(
        "--without-memory",
        action="store_true",
        help="run what runs on any backend on a server alone",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_server_binary" in metafunc.fixturenames:
        # Without a server there is one case, and it fails: a skipped suite proves nothing.
        wanted = metafunc.config.getoption("--server")
        found = (binary for binary in found_binaries() if wanted in {None, binary.name})
        binaries: list[Binary | None] = [*found] or [None]
        ids = [binary.name if binary else "none" for binary in binaries]
        metafunc.parametrize("any_server_binary", binaries, ids=ids)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--on-cluster") or config.getoption("--on-sentinel"):
        _keep(config, items, lambda item: _backend_of(item) == "redis")
    if config.getoption("--without-memory"):
        _keep(config, items, lambda item: _backend_of(item) != "memory")
    if config.getoption("--on-trio"):
        _keep(config, items, _is_async)
    # Worker processes compare what they collected: an address differs in each of them.
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        message = f"the name of a test holds an address, so give its case an id: {unstable[0]}"
        raise pytest.UsageError(message)


def _keep(
    config: pytest.Config, items: list[pytest.Item], is_wanted: Callable[[pytest.Item], bool]
) -> None:
    """Deselect all other tests; `items` is changed in place, as the hook asks."""
    wanted = [item for item in items if is_wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if not is_wanted(item)])
    items[:] = wanted


def _backend_of(item: pytest.Item) -> str | None:
    """Return which `backend_url` a test is run with."""
    called = getattr(item, "callspec", None)
    return None if called is None else called.params.get("backend_url")


def _is_async(item: pytest.Item) -> bool:
    """Tell whether a test is one of the async face that says nothing of asyncio itself."""
    if item.get_closest_marker("of_asyncio"):
        return False
    called = getattr(item, "callspec", None)
    if called is not None and "colour" in called.params:
        return bool(called.params["colour"] == "async")
    return not {"tasks", "site_type"}.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_collection_finish() -> None:
    # What is imported by now stays: left out of every later collection, of which many tests ask for
    # one, a third of their processor time is saved.
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    pool = ServerPool()
    yield pool
    pool.stop()


@pytest.fixture(scope="session")
def server_binary(pytestconfig: pytest.Config) -> Binary:
    """The default server program, or the one named by `--server`."""
    wanted = pytestconfig.getoption("--server")
    for binary in found_binaries():
        if wanted in {None, binary.name}:
            return binary
    names = ", ".join(binary.name for binary in found_binaries())
    pytest.fail(f"no server {wanted!r} among: {names}" if names else HOW_TO_GET_ONE, pytrace=False)


@pytest.fixture
def redis_server(server_pool: ServerPool, server_binary: Binary) -> Server:
    """A server with nothing in it, kept running from test to test.

    A test that kills, pauses or configures it takes `own_server` instead.
    """
    return server_pool.flushed(server_binary)


@pytest.fixture
def any_server(server_pool: ServerPool, any_server_binary: Binary | None) -> Server:
    """As `redis_server`, once for each kind of server found."""
    if any_server_binary is None:
        pytest.fail(HOW_TO_GET_ONE, pytrace=False)
    return server_pool.flushed(any_server_binary)


@pytest.fixture
def own_server(server_binary: Binary) -> Iterator[Server]:
    """A server of this test alone, to kill, pause, restart or configure."""
    with Server(server_binary) as server:
        yield server


@pytest.fixture
def any_own_server(any_server_binary: Binary | None) -> Iterator[Server]:
    """As `own_server`, once for each kind of server found."""
    if any_server_binary is None:
        pytest.fail(HOW_TO_GET_ONE, pytrace=False)
    with Server(any_server_binary) as server:
        yield server


@pytest.fixture
def proxy(redis_server: Server) -> Iterator[Proxy]:
    """A way to `redis_server` that can be slowed, held, cut, garbled and refused."""
    with Proxy(redis_server.port) as way:
        yield way


@pytest.fixture(scope="session")
def cluster_beneath(server_binary: Binary) -> Iterator[Cluster]:
    """The Cluster of `--on-cluster`."""
    with Cluster(server_binary, replicas=0) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def sentinels_beneath(server_binary: Binary) -> Iterator[Sentinels]:
    """The fleet of `--on-sentinel`."""
    with Sentinels(server_binary, replicas=1) as fleet:
        yield fleet


@pytest.fixture(params=["memory", "redis"])
def backend_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty backend, in process and on a server."""
    if request.param == "memory":
        return "memory://"
    if request.config.getoption("--on-cluster"):
        cluster: Cluster = request.getfixturevalue("cluster_beneath")
        cluster.flush()
        return cluster.url()
    if request.config.getoption("--on-sentinel"):
        fleet: Sentinels = request.getfixturevalue("sentinels_beneath")
        fleet.master.flush()
        return fleet.url()
    server: Server = request.getfixturevalue("redis_server")
    return server.url
