"""Sentinels and a master that speak TLS: each hop is encrypted, and trusts what the URL says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown
from tests.behaviour.seen import Seen
from tests.fleets.fake_sentinel import naming
from tests.fleets.test_sentinel_credentials import PATIENT
from tests.ports import HOST
from tests.tls import AUTHORITY, TlsLink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.fleets.fake_sentinel import FakeSentinel
    from tests.servers import Server


@pytest.fixture
def encrypted(redis_server: Server) -> Iterator[tuple[TlsLink, FakeSentinel]]:
    """Return the way to a Sentinel by TLS, and the Sentinel, which tells of a master by TLS."""
    with (
        TlsLink(redis_server.port) as master,
        naming(master.port) as sentinel,
        TlsLink(sentinel.port) as link,
    ):
        yield link, sentinel


def options(**more: Any) -> dict[str, Any]:
    return {"ssl_ca_certs": str(AUTHORITY), "sentinel_password": "spw", **PATIENT, **more}


@pytest.mark.parametrize("scheme", ["rediss+sentinel", "valkeys+sentinel"])
def test_master_and_sentinels_speak_tls(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], scheme: str, redis_server: Server
) -> None:
    link, _ = encrypted
    url = f"{scheme}://{HOST}:{link.port}/mymaster"
    cache = colour.cache(url, front=10, **options())
    assert colour.call(cache, "set", "k", 1)
    assert redis_server.cli("EXISTS", "k")
    assert colour.call(cache, "get", "k") == 1
    assert link.accepted


def test_the_client_speaks_tls_too(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], redis_server: Server
) -> None:
    link, _ = encrypted
    cache = colour.cache(f"rediss+sentinel://{HOST}:{link.port}/mymaster", **options())
    assert colour.run(lambda: colour.face(cache).client.set("k", 1))
    assert redis_server.cli("EXISTS", "k")


def test_sentinels_may_speak_none(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel], redis_server: Server
) -> None:
    _, sentinel = encrypted
    url = f"rediss+sentinel://{HOST}:{sentinel.port}/mymaster?sentinel_ssl=no"
    assert colour.call(colour.cache(url, **options()), "set", "k", 1)
    assert redis_server.cli("EXISTS", "k")


def test_a_sentinel_that_is_not_trusted_is_told_once(
    colour: Colour, encrypted: tuple[TlsLink, FakeSentinel]
) -> None:
    link, _ = encrypted
    url = f"rediss+sentinel://{HOST}:{link.port}/mymaster"
    cache = colour.cache(url, **options(ssl_ca_certs=None))
    seen = Seen(cache)
    assert colour.call(cache, "get", "k") is None
    (told,) = seen.of(BackendDown)
    assert (told.reason, told.is_configuration) == ("DC322", True)
