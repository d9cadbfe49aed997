"""Credentials that change: providers, rotated passwords, tokens that are renewed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.credentials import UsernamePasswordCredentialProvider

from dualcache import BackendDown, BackendUp, Cache, UsageError
from tests.behaviour.seen import Seen
from tests.bodies import WAIT_SECONDS
from tests.front.tiers import eventually, is_open, kept_key, opened, tiered
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

PATIENT: dict[str, Any] = {"socket_timeout": 20, "socket_connect_timeout": 20}


class Provider:
    """Gives what it holds, and counts how often it was asked."""

    def __init__(self, *given: Any) -> None:
        self.given = given
        self.asked = 0

    def get_credentials(self) -> Any:
        self.asked += 1
        return self.given


class AsyncProvider(Provider):
    """Can be awaited as well."""

    async def get_credentials_async(self) -> Any:
        return Provider.get_credentials(self)


class OnlyAsync:
    """Can be awaited only."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    async def get_credentials_async(self) -> Any:
        return self.given


class Streaming(Provider):
    """Tells when it has other credentials."""

    def on_next(self, callback: Callable[[Any], None]) -> None:
        self.callback = callback

    def renew(self, *given: Any) -> None:
        self.given = given
        self.callback(given)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def rotate(server: Server, password: str, *, user: str = "app") -> None:
    """Give a user another password, and cut every connection."""
    server.cli("ACL", "SETUSER", user, "on", "resetpass", f">{password}", "~*", "&*", "+@all")
    server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def users_of(server: Server) -> set[bytes]:
    words = server.cli("CLIENT", "LIST").split()
    return {word[5:] for word in words if word.startswith(b"user=")} - {b"default"}


@pytest.mark.parametrize("kind", [Provider, AsyncProvider, OnlyAsync])
def test_a_provider_is_asked_for_user_and_password(
    colour: Colour, own_server: Server, kind: type[Any]
) -> None:
    rotate(own_server, "first")
    cache = colour.cache(own_server.url, credential_provider=kind("app", "first"), **PATIENT)
    colour.call(cache, "set", "k", 1)
    assert colour.call(cache, "get", "k") == 1
    assert users_of(own_server) == {b"app"}


def test_a_provider_may_give_a_password_alone(colour: Colour, own_server: Server) -> None:
    own_server.cli("CONFIG", "SET", "requirepass", "alone")
    own_server.client().connection_pool.connection_kwargs["password"] = "alone"
    cache = colour.cache(own_server.url, credential_provider=Provider("alone"), **PATIENT)
    assert colour.call(cache, "set", "k", 1) is True


def test_redis_pys_own_provider_and_that_of_a_given_client_will_do(
    colour: Colour, own_server: Server
) -> None:
    rotate(own_server, "first")
    provider = UsernamePasswordCredentialProvider("app", "first")
    cache = colour.cache(own_server.url, credential_provider=provider, front=10, **PATIENT)
    colour.call(cache, "set", "k", 1)
    assert kept_key(colour, cache, "k") == 1
    assert colour.ask_client(cache, "get", "k")
    with redis.Redis(port=own_server.port, credential_provider=provider) as client:
        other = colour.cache(client=client, socket_timeout=20)
        assert colour.call(other, "get", "k") == 1


@pytest.mark.parametrize("tiers", [1, 2])
def test_a_password_is_rotated_without_a_restart(
    colour: Colour, own_server: Server, tiers: int
) -> None:
    rotate(own_server, "first")
    provider = AsyncProvider("app", "first")
    options: dict[str, Any] = {"credential_provider": provider, **PATIENT}
    if tiers == 2:
        cache = opened(colour, tiered(colour, own_server.url, **options))
    else:
        cache = colour.cache(own_server.url, **options)
    seen = Seen(cache)
    colour.call(cache, "set", "k", 1)
    provider.given = ("app", "second")
    rotate(own_server, "second")
    assert colour.call(cache, "get", "k") == 1
    assert colour.call(cache, "invalidate", "k").pending == 0
    assert seen.count(BackendDown) == 0
    if tiers == 2:
        eventually(lambda: is_open(cache), "an open tier")


def test_a_password_that_is_wrong_is_told_once_and_works_again_by_itself(
    colour: Colour, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    rotate(own_server, "first")
    clock, provider = Clock(), Provider("app", "first")
    with Proxy(own_server.port) as proxy:
        cache = colour.cache(proxy.url, credential_provider=provider, clock=clock, **PATIENT)
        seen = Seen(cache)
        load = cache(key="n:{n}")(colour.function(lambda n: n))
        assert colour.run(load, 1) == 1
        rotate(own_server, "second")
        before = proxy.accepted
        for n in range(20):
            assert colour.run(load, n) == n
        (down,) = seen.of(BackendDown)
        assert (down.reason, down.is_configuration) == ("WRONGPASS", True)
        assert len([line for line in caplog.messages if "refuses this program" in line]) == 1
        assert proxy.accepted <= before + 2  # the same password is not sent again and again
        provider.given = ("app", "second")
        clock.now += 11
        assert colour.run(load, 1) == 1
        assert seen.count(BackendUp) == 1
        assert colour.call(cache, "get", "n:1") == 1


def test_a_provider_that_knows_the_new_password_a_moment_later_is_asked_once_more(
    colour: Colour, own_server: Server
) -> None:
    rotate(own_server, "second")

    class Late(Provider):
        def get_credentials(self) -> Any:
            self.asked += 1
            return ("app", "first" if self.asked == 1 else "second")

    provider = Late()
    cache = colour.cache(own_server.url, credential_provider=provider, **PATIENT)
    seen = Seen(cache)
    assert colour.call(cache, "set", "k", 1) is True
    assert provider.asked == 2
    assert seen.count(BackendDown) == 0


@pytest.mark.parametrize("given", [(), ("a", "b", "c"), (None,), "text"])
def test_a_provider_that_returns_no_credentials_is_told_so(
    colour: Colour, own_server: Server, given: Any
) -> None:
    provider = Provider()
    provider.given = given
    cache = colour.cache(own_server.url, credential_provider=provider, clock=Clock())
    seen = Seen(cache)
    assert colour.call(cache, "get_or_load", "k", lambda: 1) == 1
    (down,) = seen.of(BackendDown)
    assert (down.reason, down.is_configuration) == ("DC317", True)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_provider_that_raises_is_an_outage_that_names_it(
    colour: Colour, own_server: Server, is_async: bool
) -> None:
    class Failing(AsyncProvider if is_async else Provider):  # type: ignore[misc]
        def get_credentials(self) -> Any:
            raise KeyError("secret")

        async def get_credentials_async(self) -> Any:
            raise KeyError("secret")

    if not is_async:
        del Failing.get_credentials_async
    cache = colour.cache(own_server.url, credential_provider=Failing(), front=10)
    seen = Seen(cache)
    for _ in range(5):
        assert colour.call(cache, "get_or_load", "k", lambda: 1) == 1
    (down,) = seen.of(BackendDown)
    assert (down.reason, down.cause) == ("DC317", "the credential provider raised KeyError")
    assert not is_open(cache)


def test_a_provider_that_hangs_holds_nobody_and_its_answer_is_used_later(
    colour: Colour, own_server: Server
) -> None:
    rotate(own_server, "first")
    gate = threading.Event()

    class Slow(Provider):
        def get_credentials(self) -> Any:
            assert gate.wait(WAIT_SECONDS)
            return super().get_credentials()

    clock, provider = Clock(), Slow("app", "first")
    options: dict[str, Any] = {"call_timeout": 0.05, "socket_connect_timeout": 20}
    cache = colour.cache(own_server.url, credential_provider=provider, clock=clock, **options)
    seen = Seen(cache)
    for _ in range(4):
        assert colour.call(cache, "get_or_load", "k", lambda: 1) == 1
    (down,) = seen.of(BackendDown)
    assert (down.reason, down.is_configuration) == ("DC317", False)
    gate.set()
    clock.now += 11

    def is_stored() -> bool:
        clock.now += 3
        return bool(colour.call(cache, "set", "k", 1))

    eventually(is_stored, "a connection")
    assert provider.asked <= 2


def test_renewed_credentials_are_used_at_once_by_all_connections(
    colour: Colour, own_server: Server
) -> None:
    rotate(own_server, "one", user="first")
    rotate(own_server, "two", user="second")
    provider = Streaming("first", "one")
    cache = tiered(colour, own_server.url, credential_provider=provider, **PATIENT)
    colour.call(cache, "set", "k", 1)
    assert kept_key(colour, cache, "k") == 1
    assert users_of(own_server) == {b"first"}
    provider.renew("second", "two")
    eventually(
        lambda: colour.call(cache, "get", "k") == 1 and users_of(own_server) == {b"second"},
        "connections of the other user",
    )
    assert kept_key(colour, cache, "k") == 1


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("redis://host", object()),
        ("redis://:pw@host", Provider("pw")),
        ("redis://u@host", Provider()),
    ],
)
def test_a_provider_that_cannot_be_used_is_refused(url: str, provider: object) -> None:
    with pytest.raises(UsageError) as caught:
        Cache(url, credential_provider=provider)
    assert caught.value.code == "DC319"
    assert "pw" not in str(caught.value)


def test_a_client_has_its_own_provider() -> None:
    with pytest.raises(UsageError) as caught, redis.Redis() as client:
        Cache(client=client, credential_provider=Provider())
    assert caught.value.code == "DC188"


def test_in_memory_there_is_nobody_to_ask(colour: Colour) -> None:
    provider = Provider()
    cache = colour.cache("memory://", credential_provider=provider)
    assert colour.call(cache, "set", "k", 1) is True
    assert provider.asked == 0
