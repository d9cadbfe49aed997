"""TLS in both colours: values, pushes, and certificates that are not to be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from dualcache import BackendDown, BackendUnavailable, FrontTier
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually, is_open, kept_key
from tests.tls import CERTIFICATES, TlsLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server


@pytest.fixture
def link(redis_server: Server) -> Iterator[TlsLink]:
    """A TLS link to the server."""
    with TlsLink(redis_server.port) as made:
        yield made


PATIENT: dict[str, Any] = {"socket_timeout": 20, "socket_connect_timeout": 20}
"""A handshake takes its time on a busy machine."""


def of_client(name: str, *, key: str = "") -> dict[str, Any]:
    """Return the options that show a certificate of the client."""
    return {
        "ssl_certfile": CERTIFICATES / f"{name}.pem",
        "ssl_keyfile": CERTIFICATES / f"{key or name}.pem",
    }


UNTRUSTED: dict[str, dict[str, Any]] = {
    "an unknown authority": {"ssl_ca_certs": ""},
    "another name": {"host": "localhost"},
}


class Case(NamedTuple):
    """What is wrong: of the link, of the URL, and the words that must be told."""

    told: str
    link: dict[str, Any] | None = None
    url: dict[str, Any] | None = None
    code: str = "DC203"


ASKING: dict[str, Any] = {"asks_client": True}
WRONG: dict[str, Case] = {
    "an unknown authority": Case("ssl_ca_certs", url={"ssl_ca_certs": ""}),
    "another name": Case("is for another host", url={"host": "localhost"}),
    "an expired certificate": Case("has expired: renew it", {"certificate": "expired"}),
    "no certificate of ours": Case("asks for a client certificate: set ssl_certfile", ASKING),
    "a certificate that nobody knows": Case(
        "does not trust the authority that signed ssl_certfile", ASKING, of_client("stranger")
    ),
    "a certificate of ours that has expired": Case(
        "ssl_certfile has expired", ASKING, of_client("outdated")
    ),
    "a key of another certificate": Case(
        "ssl_keyfile is not the key", url=of_client("client", key="server")
    ),
    "a file that holds no certificate": Case(
        "ssl_ca_certs holds no certificate", url={"ssl_ca_certs": CERTIFICATES / "README.md"}
    ),
    "a file that is not there": Case(
        "the file of ssl_ca_certs cannot be read", url={"ssl_ca_certs": "/nowhere"}, code="DC316"
    ),
    "a file of ours that is not there": Case(
        "the file of ssl_certfile cannot be read", url={"ssl_certfile": "/nowhere"}, code="DC316"
    ),
}


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_values_travel_through_tls(
    colour: Colour, link: TlsLink, redis_server: Server, scheme: str, version: str
) -> None:
    cache = colour.cache(link.url(scheme, ssl_min_version=version), strict=True, **PATIENT)
    colour.call(cache, "set", "k", {"a": "x" * 100_000})
    assert colour.call(cache, "get", "k") == {"a": "x" * 100_000}
    assert colour.ask_client(cache, "get", "k") == redis_server.cli("GET", "k")
    assert colour.call(cache, "invalidate", "k").pending == 0
    assert redis_server.cli("EXISTS", "k") == 0


@pytest.mark.parametrize("transport", ["tracking", "broadcast"])
def test_pushes_travel_through_tls(
    colour: Colour, link: TlsLink, redis_server: Server, transport: Any
) -> None:
    cache = colour.cache(link.url(), front=FrontTier(transport=transport), **PATIENT)
    for _ in range(5):
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None
    front = cache.stats().front
    assert front is not None
    assert (front.transport, front.losses) == (transport, 0)


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_with_certificates_is_told_once_as_a_matter_of_configuration(
    colour: Colour, redis_server: Server, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    case = WRONG[why]
    with TlsLink(redis_server.port, **case.link or {}) as link:
        cache = colour.cache(link.url(**case.url or {}), front=10, **PATIENT)
        seen = Seen(cache)
        loads: list[int] = []

        def load(n: int) -> int:
            loads.append(n)
            return n

        decorated = cache(key="n:{n}")(colour.function(load))
        for _ in range(20):
            assert colour.run(decorated, 1) == 1
        assert len(loads) == 20
        (down,) = seen.of(BackendDown)
        assert (down.reason, down.is_configuration) == (case.code, True)
        (told,) = [line for line in caplog.messages if "refuses this program" in line]
        assert case.told in told
        assert told.endswith(
            "functions run without the cache until that is fixed; next try in 10 s"
        )
        eventually(lambda: reason_of(cache) == case.code, "a closed tier")
        assert not is_open(cache)
        assert link.accepted == 0  # no handshake came to its end, nothing was sent


def reason_of(cache: Cache) -> str:
    front = cache.stats().front
    return "" if front is None else front.reason


@pytest.mark.parametrize("named", [["ssl_certfile"], ["ssl_certfile", "ssl_keyfile"]])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_that_shows_its_certificate_is_let_in_with_its_front_tier(
    colour: Colour, redis_server: Server, version: str, named: list[str]
) -> None:
    with TlsLink(redis_server.port, asks_client=True) as link:
        files = of_client("client")
        options = {name: files[name] for name in named} | {"ssl_min_version": version}
        cache = colour.cache(link.url(**options), front=10, **PATIENT)
        colour.call(cache, "set", "k", "old")
        assert kept_key(colour, cache, "k") == "old"
        redis_server.cli("SET", "k", "foreign")
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None
        assert colour.ask_client(cache, "get", "k") == b"foreign"


@pytest.mark.parametrize("why", UNTRUSTED)
def test_where_writes_are_strict_the_caller_is_told(
    colour: Colour, link: TlsLink, why: str
) -> None:
    cache = colour.cache(link.url(**UNTRUSTED[why]), strict=True, **PATIENT)
    with pytest.raises(BackendUnavailable) as caught:
        colour.call(cache, "invalidate", "k")
    assert caught.value.code == "DC207"
    cause = caught.value.__cause__
    assert isinstance(cause, BackendUnavailable)
    assert cause.code == "DC203"
    assert "ssl_ca_certs" in cause.help


def test_a_certificate_is_not_looked_at_where_that_was_asked_for(
    colour: Colour, link: TlsLink
) -> None:
    cache = colour.cache(
        link.url(host="localhost", ssl_ca_certs="", ssl_cert_reqs="none"), **PATIENT
    )
    colour.call(cache, "set", "k", 1)
    assert colour.call(cache, "get", "k") == 1


def test_plain_text_spoken_to_a_tls_port_is_an_outage_and_no_error(
    colour: Colour, link: TlsLink
) -> None:
    cache = colour.cache(f"redis://127.0.0.1:{link.port}", front=10)
    assert colour.call(cache, "get", "k") is None
    assert colour.call(cache, "invalidate", "k").pending == 1
    assert not is_open(cache)
