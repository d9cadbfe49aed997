"""Redis clients of the user's: our connections go where theirs go, as theirs go, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis.asyncio import connection as async_connection
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.sentinel import Sentinel

from dualcache import BackendUnavailable, Cache, UsageError
from tests.servers import HOST, Server
from tests.tls import AUTHORITY, TlsLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour

PATIENT: dict[str, Any] = {"socket_timeout": 20, "socket_connect_timeout": 20}


def client_of(colour: Colour, **arguments: Any) -> dict[str, Any]:
    """Return the option of `Cache` with a client of this colour."""
    if colour.is_async:
        return {"async_client": redis.asyncio.Redis(**arguments)}
    return {"client": redis.Redis(**arguments)}


def is_stored(colour: Colour, server: Server, **arguments: Any) -> bool:
    """Whether a cache with such a client stores and reads on this server."""
    cache = colour.cache(strict=True, **client_of(colour, port=server.port, **arguments))
    assert colour.call(cache, "set", "k", 1) is True
    assert colour.call(cache, "get", "k") == 1
    return True


class Credentials(redis.CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        return "app", "pw"


def test_credentials_come_from_the_clients_provider(colour: Colour, own_server: Server) -> None:
    own_server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all")
    own_server.cli("CONFIG", "SET", "requirepass", "other")
    assert is_stored(colour, own_server, credential_provider=Credentials())


def test_the_other_colour_follows_too(own_server: Server, colour: Colour) -> None:
    own_server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all")
    own_server.cli("CONFIG", "SET", "requirepass", "other")
    arguments: dict[str, Any] = {"port": own_server.port, "credential_provider": Credentials()}
    other: dict[str, Any] = (
        {"client": redis.Redis(**arguments)}
        if colour.is_async
        else {"async_client": redis.asyncio.Redis(**arguments)}
    )
    cache = colour.cache(**other)
    assert colour.call(cache, "set", "k", 1) is True


@pytest.mark.parametrize(
    "arguments",
    [{"db": 2}, {"protocol": 2}, {"client_name": "app"}, {"socket_keepalive": False}],
    ids=lambda each: next(iter(each)),
)
def test_what_the_client_says_holds_for_our_connections(
    colour: Colour, redis_server: Server, arguments: dict[str, Any]
) -> None:
    assert is_stored(colour, redis_server, **arguments)
    target = Cache(**client_of(colour, **arguments))._runtime.backend.target
    assert {name: getattr(target, name) for name in arguments} == arguments


def test_time_outs_are_the_clients_unless_they_are_those_of_redis_py(colour: Colour) -> None:
    def budgets(**arguments: Any) -> tuple[float, float]:
        target = Cache(**client_of(colour, **arguments))._runtime.backend.target
        return target.socket_timeout, target.socket_connect_timeout

    assert budgets() == (0.25, 0.25)
    assert budgets(socket_timeout=None) == (0.25, 0.25)
    assert budgets(socket_timeout=1.5, socket_connect_timeout=2) == (1.5, 2)
    cache = Cache(**client_of(colour, socket_timeout=1.5), socket_timeout="500ms")
    assert cache._runtime.backend.target.socket_timeout == 0.5


@pytest.mark.parametrize(
    ("given", "reached"),
    [
        ({"ssl_ca_certs": ""}, False),
        ({"ssl_ca_certs": "", "ssl_cert_reqs": "none"}, True),
        ({"host": "localhost", "ssl_check_hostname": True}, False),
        ({"host": "localhost", "ssl_check_hostname": False}, True),
        ({}, True),
    ],
    ids=["unknown authority", "not required", "another name", "name not checked", "all right"],
)
def test_certificates_are_judged_as_the_client_judges_them(
    colour: Colour, redis_server: Server, given: dict[str, Any], reached: bool
) -> None:
    with TlsLink(redis_server.port) as link:
        trusted = {"host": HOST, "port": link.port, "ssl": True, "ssl_ca_certs": str(AUTHORITY)}
        arguments = {name: value or None for name, value in (trusted | given).items()}
        arguments |= {name: value for name, value in given.items() if isinstance(value, bool)}
        cache = colour.cache(strict=True, **client_of(colour, **arguments, **PATIENT))
        if reached:
            assert colour.call(cache, "set", "k", 1) is True
        else:
            with pytest.raises(BackendUnavailable):
                colour.call(cache, "invalidate", "k")


class FakeConnection(redis.Connection):
    """As fakeredis has one."""


class AsyncFakeConnection(async_connection.Connection): ...


class Pool(redis.ConnectionPool):
    def get_connection(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError


class AsyncPool(redis.asyncio.ConnectionPool):
    def make_connection(self) -> Any:
        raise NotImplementedError


def fake(colour: Colour) -> Any:
    if colour.is_async:
        pool = redis.asyncio.ConnectionPool(connection_class=AsyncFakeConnection)
        return redis.asyncio.Redis(connection_pool=pool)
    return redis.Redis(connection_pool=redis.ConnectionPool(connection_class=FakeConnection))


def sentinel(colour: Colour) -> Any:
    made: Any = AsyncSentinel if colour.is_async else Sentinel
    return made([(HOST, 26379)]).master_for("mymaster", password="s3cret")


def connect_func(colour: Colour) -> Any:
    made: Any = redis.asyncio.Redis if colour.is_async else redis.Redis
    return made(redis_connect_func=print)


def pool_of_their_own(colour: Colour) -> Any:
    if colour.is_async:
        return redis.asyncio.Redis(connection_pool=AsyncPool())
    return redis.Redis(connection_pool=Pool())


def cluster(colour: Colour) -> Any:
    kind: Any = redis.asyncio.RedisCluster if colour.is_async else redis.RedisCluster
    return kind.__new__(kind)  # a real one connects where it is made


def pipeline(colour: Colour) -> Any:
    made: Any = redis.asyncio.Redis if colour.is_async else redis.Redis
    return made().pipeline()


def ocsp(colour: Colour) -> Any:
    pool = redis.ConnectionPool(ssl_validate_ocsp=True, connection_class=redis.SSLConnection)
    if not colour.is_async:
        return redis.Redis(connection_pool=pool)
    async_pool = redis.asyncio.ConnectionPool(something_of_later="x")
    return redis.asyncio.Redis(connection_pool=async_pool)


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (sentinel, "DC187", "Sentinel"),
        (fake, "DC187", "FakeConnection"),
        (connect_func, "DC187", "redis_connect_func"),
        (pool_of_their_own, "DC187", "Pool"),
        (ocsp, "DC187", "is made with s"),
        (cluster, "DC176", "RedisCluster"),
        (pipeline, "DC176", "Pipeline"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_client_that_cannot_be_followed_is_refused(
    colour: Colour, make: Callable[[Colour], Any], code: str, said: str
) -> None:
    name = "async_client" if colour.is_async else "client"
    with pytest.raises(UsageError) as caught:
        Cache(**{name: make(colour)})
    assert caught.value.code == code
    assert said in caught.value.what
    assert caught.value.help
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "redis://elsewhere"},
        {"client": redis.Redis(port=1), "async_client": redis.asyncio.Redis(port=2)},
        {"client": redis.Redis(), "async_client": redis.asyncio.Redis(db=1)},
        {"db": 3},
    ],
    ids=["a URL", "another port", "another db", "a db"],
)
def test_two_places_are_refused(options: dict[str, Any]) -> None:
    client: dict[str, Any] = {"client": redis.Redis()}
    with pytest.raises(UsageError) as caught:
        Cache(**(client | options))
    assert caught.value.code == "DC188"


def test_options_beside_a_client_are_checked() -> None:
    with pytest.raises(UsageError) as caught:
        Cache(client=redis.Redis(), max_connections="many")
    assert "max_connections" in caught.value.what


def test_a_client_by_url_and_one_by_socket_are_followed(colour: Colour) -> None:
    made: Any = redis.asyncio.Redis if colour.is_async else redis.Redis
    name = "async_client" if colour.is_async else "client"
    target = Cache(**{name: made.from_url("rediss://u:p@h:7/3")})._runtime.backend.target
    assert (target.host, target.port, target.db, target.username) == ("h", 7, 3, "u")
    assert (target.password, target.is_tls) == ("p", True)
    target = Cache(**{name: made(unix_socket_path="/run/redis", db=1)})._runtime.backend.target
    assert (target.path, target.db, target.host) == ("/run/redis", 1, None)
