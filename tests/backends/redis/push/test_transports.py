"""What each transport asks and what its answers mean, without a server."""

from __future__ import annotations

import ast
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

import dualcache
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.push.transports import (
    AUTOMATIC,
    BroadcastTransport,
    Changed,
    PubSubTransport,
    PushTransport,
    TrackingTransport,
    TtlTransport,
    needs_publishers,
    transports_for,
)
from dualcache.core.revocation import from_message
from dualcache.options.front_tier import TRANSPORTS
from tests.fronts import Noting, front_by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARY: Final = Path(dualcache.__file__).parent
AT_HOME: Final = {
    "backends/redis/push/transports.py",
    "doctor/server.py",  # the title of a finding
    "options/front_tier.py",
    "runtime/needed_rights.py",  # the rights that each value of the option needs
}
"""Where the name of a transport may be a value."""


def made(kind: type[PushTransport], prefix: str = "") -> tuple[Any, Noting]:
    front: Noting = front_by_hand(kind=Noting)
    return kind(front, prefix, map("drawn {}".format, count(1)).__next__), front


def asked(transport: PushTransport, *replies: Any) -> list[Any]:
    """Open a stream, each reply given in turn; return what was asked."""
    opening = transport.opening()
    found = [next(opening), *map(opening.send, replies[:-1])]
    with pytest.raises(StopIteration):
        opening.send(replies[-1])
    return found


def test_each_transport_of_the_option_has_one_class() -> None:
    assert ("auto", *(each.name for each in AUTOMATIC)) == TRANSPORTS


def test_no_other_module_compares_the_name_of_a_transport() -> None:
    names = {each.name for each in AUTOMATIC} - {"ttl"}  # which is an option of functions too
    found = {
        str(path.relative_to(LIBRARY))
        for path in LIBRARY.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    }
    assert found == AT_HOME


@pytest.mark.parametrize("transport", AUTOMATIC)
def test_a_transport_that_is_named_is_the_only_one_tried(transport: Any) -> None:
    for is_publishing in (True, False):
        assert transports_for(transport.name, is_publishing=is_publishing) == (transport,)


def test_auto_relies_on_publishers_only_where_the_user_says_that_all_publish() -> None:
    assert transports_for("auto", is_publishing=True) == AUTOMATIC
    without = (TrackingTransport, BroadcastTransport, TtlTransport)
    assert transports_for("auto", is_publishing=False) == without
    assert [each for each in TRANSPORTS if needs_publishers(each)] == ["pubsub"]


def test_a_node_of_a_cluster_shows_a_flush_by_a_key_of_its_own() -> None:
    front: Noting = front_by_hand(kind=Noting)
    transport = PubSubTransport(front, "shop:", str, {"shop:~e:1", "shop:~e:2"}.__contains__)
    opened = [("SUBSCRIBE", "shop:~c"), ("GET", "shop:~e:1")]
    assert asked(transport, b"subscribe", b"life 1") == opened
    (question,) = transport.questions()
    assert question.command == ("GET", "shop:~e:1")


def test_a_node_that_can_have_no_key_of_the_namespace_is_heard_all_the_same() -> None:
    front: Noting = front_by_hand(kind=Noting)
    transport = PubSubTransport(front, "{shop}:", str, lambda _: False)
    assert asked(transport, b"subscribe") == [("SUBSCRIBE", "{shop}:~c")]
    assert transport.questions() == []


def test_tracking_is_redirected_to_the_listener_and_asks_at_once_what_proofs_will_ask() -> None:
    transport, _ = made(TrackingTransport)
    assert asked(transport, 7, b"id=7") == [("CLIENT", "ID"), ("CLIENT", "LIST", "ID", 7)]
    probe = transport.probe("name")
    assert probe.elsewhere == (("CLIENT", "TRACKING", "ON", "REDIRECT", 7), ("GET", "name"))
    assert [command[:2] for command in probe.here] == [("SET", "name")]


def test_a_tracked_connection_that_the_server_no_longer_lists_is_a_loss() -> None:
    transport, front = made(TrackingTransport)
    assert transport.questions() == []
    for client_id in (8, 9):
        front.tracking.add(client_id)
    (question,) = transport.questions()
    assert set(question.command[3:]) == {8, 9}
    question.take(b"id=8 addr=\nid=9 addr=\n")
    assert front.told == []
    question.take(b"id=8 addr=\n")
    assert (front.told, front.tracking.ids()) == (["broken"], (8,))


@pytest.mark.parametrize(
    ("prefix", "scope"), [("", ()), ("shop:", ("PREFIX", "shop:"))], ids=["all", "namespace"]
)
def test_a_broadcast_is_of_the_namespace_and_its_writer_hears_it(
    prefix: str, scope: Sequence[str]
) -> None:
    transport, _ = made(BroadcastTransport, prefix)
    tracking = ("CLIENT", "TRACKING", "ON", "BCAST", *scope)
    assert asked(transport, 7, b"OK") == [("CLIENT", "ID"), tracking]
    assert (transport.client_id, transport.questions()) == (7, [])
    probe = transport.probe("name")
    assert (probe.elsewhere, probe.here[0][:2]) == ((), ("SET", "name"))


def test_a_null_push_means_that_any_name_may_have_changed() -> None:
    transport, _ = made(BroadcastTransport)
    assert transport.changed([b"invalidate", None]) == Changed(None)
    assert transport.changed([b"invalidate", [b"a", b"\xff"]]) == Changed(["a", "\ufffd"])
    assert transport.changed([b"message", b"~c", b""]) is None


def test_the_probe_of_a_channel_is_told_from_another_connection() -> None:
    transport, _ = made(PubSubTransport, "shop:")
    (publish,) = transport.probe("shop:~p:1").elsewhere
    assert publish[:2] == ("PUBLISH", "shop:~c")
    assert from_message(publish[2]) == (("shop:~p:1",), ())


def test_a_transport_says_which_reads_may_be_kept_and_who_is_woken() -> None:
    kinds = [each for each in AUTOMATIC if issubclass(each, PushTransport)]
    assert [(each.name, each.is_tracked, each.hears_fills) for each in kinds] == [
        ("tracking", True, True),
        ("broadcast", False, True),
        ("pubsub", False, False),
    ]


def test_a_transport_that_is_added_needs_nothing_but_its_class() -> None:
    class EchoTransport(PushTransport):
        name = "echo"

        def opening(self) -> Any:
            yield ("ECHO", self._draw())

        def changed(self, message: Sequence[Any]) -> Changed | None:
            return Changed([message[1].decode()]) if message[0] == b"echo" else None

    transport, front = made(EchoTransport)
    protocol = PushProtocol(front, transport)
    opening = protocol.opening()
    assert next(opening) == ("ECHO", "drawn 1")
    with pytest.raises(StopIteration):
        opening.send(b"drawn 1")
    protocol.pushed([b"echo", b"k"])
    assert protocol.proof(None) == [("PING",)]
    protocol.answered(b"PONG")
    assert front.told == [["k"], ("proved", 0.0)]
