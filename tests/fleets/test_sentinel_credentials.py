"""Users and passwords that change, at the master and at its Sentinels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendDown
from tests.behaviour.seen import Seen
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.fleets.sentinels import Sentinels
    from tests.servers import Server

PATIENT: dict[str, Any] = {"socket_timeout": 20, "socket_connect_timeout": 20}
"""Nothing is to time out here; several handshakes share the time of one Sentinel."""


class Provider:
    """Gives what it holds, or raises it."""

    def __init__(self, *given: Any) -> None:
        self.given = given

    def get_credentials(self) -> Any:
        if isinstance(self.given[0], Exception):
            raise self.given[0]
        return self.given


def rotate(servers: list[Server], user: str, password: str) -> None:
    """Give a user another password, and cut every connection."""
    for server in servers:
        server.cli("ACL", "SETUSER", user, "on", "resetpass", f">{password}", "~*", "&*", "+@all")
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.fixture
def fleet(sentinels: Sentinels) -> Iterator[Sentinels]:
    yield sentinels
    for node in [*sentinels.nodes, *sentinels.sentinels]:
        node.cli("ACL", "DELUSER", "app", "watcher")


def is_known(server: Server, user: str) -> bool:
    return f"user={user} ".encode() in server.cli("CLIENT", "LIST")


def test_passwords_rotate_at_the_master_and_at_the_sentinels(
    colour: Colour, fleet: Sentinels
) -> None:
    at_master, at_sentinels = Provider("app", "first"), Provider("watcher", "one")
    watching: list[Server] = [*fleet.sentinels]
    rotate(fleet.nodes, "app", "first")
    rotate(watching, "watcher", "one")
    cache = colour.cache(
        fleet.url(),
        credential_provider=at_master,
        sentinel_credential_provider=at_sentinels,
        **PATIENT,
    )
    assert colour.call(cache, "set", "k", 1)
    assert is_known(fleet.master, "app")
    assert any(is_known(each, "watcher") for each in watching)
    assert not any(is_known(each, "app") for each in watching)
    rotate(fleet.nodes, "app", "second")
    rotate(watching, "watcher", "two")
    at_master.given, at_sentinels.given = ("app", "second"), ("watcher", "two")
    eventually(lambda: colour.call(cache, "get", "k") == 1, "a cache that logs in anew")
    assert any(is_known(each, "watcher") for each in watching)


@pytest.mark.parametrize(
    ("given", "reason", "said"),
    [
        (("watcher", "wrong"), "DC322", "sentinel_credential_provider"),
        ((RuntimeError("s3cret"),), "DC317", "for the Sentinels"),
    ],
    ids=["refused", "raises"],
)
def test_sentinels_that_nobody_can_ask_are_told_with_the_reason(
    colour: Colour, fleet: Sentinels, given: tuple[Any, ...], reason: str, said: str
) -> None:
    rotate([*fleet.sentinels], "watcher", "right")
    cache = colour.cache(fleet.url(), sentinel_credential_provider=Provider(*given), **PATIENT)
    seen = Seen(cache)
    assert colour.call(cache, "get", "k") is None
    (told,) = seen.of(BackendDown)
    assert told.reason == reason
    assert said in told.cause
    assert "s3cret" not in str(told)
