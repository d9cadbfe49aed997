"""Redis clients of the user's: our connections go where theirs go, as theirs go, or not at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis.asyncio import connection as async_connection
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.cluster import ClusterNode
from redis.sentinel import Sentinel

from dualcache import BackendUnavailable, Cache, UsageError
from dualcache.options.place import Address
from tests.ports import HOST
from tests.tls import AUTHORITY, TlsLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

PATIENT: dict[str, Any] = {"socket_timeout": 20, "socket_connect_timeout": 20}


def client_of(colour: Colour, **arguments: Any) -> dict[str, Any]:
    """Return the option of `Cache` with a client of this colour."""
    if colour.is_async:
        return {"async_client": redis.asyncio.Redis(**arguments)}
    return {"client": redis.Redis(**arguments)}


def is_stored(colour: Colour, server: Server, **arguments: Any) -> bool:
    """Whether a cache with such a client stores and reads on this server."""
    cache = colour.cache(strict=True, **client_of(colour, port=server.port, **arguments), **PATIENT)
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
    cache = colour.cache(**other, **PATIENT)
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


def service(colour: Colour, *, replicas: bool = False, **arguments: Any) -> Any:
    made: Any = AsyncSentinel if colour.is_async else Sentinel
    manager = made([(HOST, 26379)], password="s3cret", **arguments)
    return manager.slave_for("mymaster") if replicas else manager.master_for("mymaster")


def replicas(colour: Colour) -> Any:
    return service(colour, replicas=True)


def other_sentinels(colour: Colour) -> Any:
    return service(colour, min_other_sentinels=1)


def two_certificates(colour: Colour) -> Any:
    tls = {"ssl": True, "ssl_ca_certs": "own.pem"}
    return service(colour, ssl=True, ssl_ca_certs="other.pem", sentinel_kwargs=tls)


def connect_func(colour: Colour) -> Any:
    made: Any = redis.asyncio.Redis if colour.is_async else redis.Redis
    return made(redis_connect_func=print)


def pool_of_their_own(colour: Colour) -> Any:
    if colour.is_async:
        return redis.asyncio.Redis(connection_pool=AsyncPool())
    return redis.Redis(connection_pool=Pool())


def cluster(colour: Colour, **arguments: Any) -> Any:
    return client_of_cluster(is_async=colour.is_async, **arguments)


def client_of_cluster(*, is_async: bool, **arguments: Any) -> Any:
    if is_async:
        return redis.asyncio.RedisCluster(HOST, 7000, password="s3cret", **arguments)
    made: Any = redis.RedisCluster.__new__(redis.RedisCluster)  # a whole one connects at once
    node = ClusterNode(HOST, 7000)
    known = {"password": "s3cret", "redis_connect_func": made.on_connect}
    remap = arguments.pop("address_remap", None)
    made.user_on_connect_func = arguments.pop("redis_connect_func", None)
    made.encoder = redis.Redis().get_encoder()
    made.nodes_manager = SimpleNamespace(
        connection_kwargs=known | arguments, startup_nodes={"a": node}, address_remap=remap
    )
    return made


def other_addresses(colour: Colour) -> Any:
    return cluster(colour, address_remap=lambda address: address)


def connect_func_of_nodes(colour: Colour) -> Any:
    made = cluster(colour)
    if colour.is_async:
        made.get_connection_kwargs()["redis_connect_func"] = print
    else:
        made.user_on_connect_func = print
    return made


def class_of_nodes(colour: Colour) -> Any:
    made = cluster(colour)
    kind = AsyncFakeConnection if colour.is_async else FakeConnection
    made.get_connection_kwargs()["connection_class"] = kind
    return made


def something_of_nodes(colour: Colour) -> Any:
    made = cluster(colour)
    made.get_connection_kwargs()["something_of_later"] = "x"
    return made


def decoding_cluster(colour: Colour) -> Any:
    made = cluster(colour)
    made.encoder.decode_responses = True
    return made


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
        (replicas, "DC187", "replicas"),
        (other_sentinels, "DC187", "min_other_sentinels"),
        (two_certificates, "DC187", "ssl_ca_certs"),
        (fake, "DC187", "FakeConnection"),
        (connect_func, "DC187", "redis_connect_func"),
        (pool_of_their_own, "DC187", "Pool"),
        (ocsp, "DC187", "is made with s"),
        (other_addresses, "DC187", "address_remap"),
        (connect_func_of_nodes, "DC187", "redis_connect_func"),
        (class_of_nodes, "DC187", "FakeConnection"),
        (something_of_nodes, "DC187", "something_of_later"),
        (decoding_cluster, "DC177", "decodes"),
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


def test_a_client_of_a_cluster_is_followed(colour: Colour) -> None:
    name = "async_client" if colour.is_async else "client"
    arguments: dict[str, Any] = {"username": "u", "socket_timeout": 1.5, "client_name": "app"}
    target = Cache(**{name: cluster(colour, **arguments)})._runtime.backend.target
    assert (target.nodes, target.host) == ((Address(HOST, 7000),), None)
    assert (target.username, target.password) == ("u", "s3cret")
    assert (target.socket_timeout, target.client_name, target.is_tls) == (1.5, "app", False)
    target = Cache(
        **{name: cluster(colour, ssl=True, ssl_ca_certs="a.pem")}, max_connections=7
    )._runtime.backend.target
    assert (target.scheme, target.is_tls, target.max_connections) == ("rediss+cluster", True, 7)
    assert target.redis_arguments["ssl_ca_certs"] == "a.pem"


def test_a_client_of_a_master_that_sentinels_name_is_followed(colour: Colour) -> None:
    name = "async_client" if colour.is_async else "client"
    client = service(colour, db=2, sentinel_kwargs={"username": "s", "password": "spw"})
    target = Cache(**{name: client})._runtime.backend.target
    assert (target.sentinels, target.service) == ((Address(HOST, 26379),), "mymaster")
    assert (target.db, target.password, target.is_tls) == (2, "s3cret", False)
    assert (target.sentinel_username, target.sentinel_password) == ("s", "spw")
    assert target.sentinel_ssl is False
    provider = Credentials()
    client = service(colour, sentinel_kwargs={"credential_provider": provider})
    target = Cache(**{name: client})._runtime.backend.target
    assert (target.sentinel_provider, target.redis_arguments) == (provider, {})
    tls: dict[str, Any] = {"ssl": True, "ssl_ca_certs": "a.pem"}
    client = service(colour, sentinel_kwargs=tls)
    target = Cache(**{name: client})._runtime.backend.target
    assert (target.is_tls, target.sentinel_ssl) == (False, True)
    client = service(colour, **tls, sentinel_kwargs=tls)
    target = Cache(**{name: client})._runtime.backend.target
    assert (target.scheme, target.is_tls, target.sentinel_ssl) == ("rediss+sentinel", True, True)
    assert target.redis_arguments["ssl_ca_certs"] == "a.pem"


def test_clients_of_both_colours_may_know_different_nodes() -> None:
    sync, other = (client_of_cluster(is_async=is_async) for is_async in (False, True))
    more = ClusterNode(HOST, 7001)
    sync.nodes_manager.startup_nodes["b"] = more
    assert len(Cache(client=sync, async_client=other)._runtime.backend.target.nodes) == 2
    del sync.nodes_manager.startup_nodes["a"]
    with pytest.raises(UsageError) as caught:
        Cache(client=sync, async_client=other)
    assert caught.value.code == "DC188"


def test_a_client_by_url_and_one_by_socket_are_followed(colour: Colour) -> None:
    made: Any = redis.asyncio.Redis if colour.is_async else redis.Redis
    name = "async_client" if colour.is_async else "client"
    target = Cache(**{name: made.from_url("rediss://u:p@h:7/3")})._runtime.backend.target
    assert (target.host, target.port, target.db, target.username) == ("h", 7, 3, "u")
    assert (target.password, target.is_tls) == ("p", True)
    target = Cache(**{name: made(unix_socket_path="/run/redis", db=1)})._runtime.backend.target
    assert (target.path, target.db, target.host) == ("/run/redis", 1, None)
