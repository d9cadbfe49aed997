"""What the listener asks and hears where processes tell each other, without a server."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.push.transports import PubSubTransport
from dualcache.core.revocation import Revocation, to_message
from tests.fronts import Noting, front_by_hand

if TYPE_CHECKING:
    from collections.abc import Sequence


def heard_front() -> Noting:
    made: Noting = front_by_hand(kind=Noting, now=lambda: 5.0)
    return made


def opened(heard: Noting, *replies: bytes | None) -> tuple[PushProtocol, list[Any]]:
    """Open a stream by what is told; return what was asked, each reply given in turn."""
    draws = map("{:016x}".format, count(1))
    protocol = PushProtocol(heard, PubSubTransport(heard, "shop:", draws.__next__))
    opening = protocol.opening()
    asked = [next(opening), *map(opening.send, (b"subscribed", *replies[:-1]))]
    with pytest.raises(StopIteration) as end:
        opening.send(replies[-1])
    assert end.value.value == 5.0
    return protocol, asked


def tell(protocol: PushProtocol, message: bytes) -> None:
    protocol.pushed([b"message", b"shop:~c", message])


def answer(protocol: PushProtocol, *replies: bytes | None) -> list[Any]:
    """Ask for a proof and answer all of it; return the names of the commands."""
    commands: Sequence[Any] = protocol.proof(None)
    assert len(commands) == len(replies)
    for reply in replies:
        protocol.answered(reply)
    return [command[0] for command in commands]


def test_it_subscribes_and_learns_of_which_life_the_data_are() -> None:
    _, asked = opened(heard_front(), b"one")
    assert asked == [("SUBSCRIBE", "shop:~c"), ("GET", "shop:~e")]


def test_the_first_listener_begins_a_life_unless_another_was_faster() -> None:
    protocol, asked = opened(heard := heard_front(), None, b"OK", b"another's")
    making, look = asked[2:]
    assert (making[:2], making[3], look) == (("SET", "shop:~e"), "NX", ("GET", "shop:~e"))
    assert len(making[2]) == 16
    assert answer(protocol, b"another's", b"PONG") == ["GET", "PING"]
    assert heard.told == [("proved", 5.0)]


def test_the_confirmation_of_a_subscription_comes_in_the_place_of_an_answer() -> None:
    protocol, _ = opened(heard_front(), b"one")
    found: list[Any] = []
    protocol.expect(found.append)
    protocol.pushed([b"subscribe", b"shop:~c", 1])
    assert found == [[b"subscribe", b"shop:~c", 1]]


def test_names_that_are_told_are_fed_and_the_patterns_after_them() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    tell(protocol, to_message(Revocation("shop:~c", ("shop:a", "shop:b"))))
    tell(protocol, to_message(Revocation("shop:~c", (), ("a*",))))
    assert heard.told == [["shop:a", "shop:b"], [], ("matching", "a*")]


def test_names_of_probes_are_remembered_only_while_they_are_sought() -> None:
    protocol, _ = opened(heard_front(), b"one")
    protocol.sought.add("shop:~p:7")
    tell(protocol, to_message(Revocation("shop:~c", ("shop:~p:8",))))
    assert protocol.sought == {"shop:~p:7"}
    tell(protocol, to_message(Revocation("shop:~c", ("shop:a", "shop:~p:7"))))
    assert protocol.sought == set()


def test_a_message_that_makes_no_sense_may_mean_anything() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    tell(protocol, b"from the future")
    assert heard.told == [None]


def test_pushes_of_other_kinds_say_nothing() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    protocol.pushed([b"unsubscribe", b"shop:~c", 0])
    assert heard.told == []


def test_data_that_have_gone_are_a_loss_before_the_proof_counts() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    assert answer(protocol, None, b"PONG") == ["GET", "PING"]
    assert heard.told == ["broken", ("proved", 5.0)]


def test_another_life_is_a_loss_and_then_the_one_that_is_known() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    answer(protocol, b"two", b"PONG")
    answer(protocol, b"two", b"PONG")
    assert heard.told == ["broken", ("proved", 5.0), ("proved", 5.0)]


def test_a_life_that_was_lost_is_begun_anew_and_what_was_kept_meanwhile_goes() -> None:
    protocol, _ = opened(heard := heard_front(), b"one")
    answer(protocol, None, b"PONG")
    # A second flush may have come before this one is begun: nobody could tell.
    assert answer(protocol, b"OK", b"two", b"PONG") == ["SET", "GET", "PING"]
    assert answer(protocol, b"two", b"PONG") == ["GET", "PING"]
    assert heard.told.count("broken") == 2
