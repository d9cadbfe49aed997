"""The listener's connection: what keeps it and what ends it."""

from __future__ import annotations

from socket import SHUT_RDWR
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.connection import PushLink
from dualcache.backends.redis.push.listener import Listener
from dualcache.backends.redis.push.transports import BroadcastTransport
from dualcache.backends.redis.push.waiter import Waiter
from dualcache.errors import BackendUnavailable
from dualcache.options.target import parse_url
from tests.fronts import Noting, front_by_hand

if TYPE_CHECKING:
    from dualcache.front.tier import Front
    from tests.servers import Server


class Heard(Noting):
    """A front tier that notes what it is told; `enough` is set at the third proof or a loss."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.enough = Event()
        super().__init__(*args, **options)

    def lost(self) -> None:
        super().lost()
        self.enough.set()

    def proved(self, asked_at: float) -> None:
        super().proved(asked_at)
        if len([each for each in self.told if each[0] == "proved"]) == 3:
            self.enough.set()


def heard() -> Heard:
    made: Heard = front_by_hand(kind=Heard, now=monotonic)
    return made


def listener_of(server: Server, front: Front) -> Listener:
    return Listener(
        front,
        parse_url(server.url),
        prefix="kept:",
        transports=(BroadcastTransport,),
        max_staleness=3,
    )


def link_of(server: Server, front: Front) -> PushLink:
    return PushLink(parse_url(server.url), front, BroadcastTransport, "kept:", Waiter())


def test_nobody_is_asked_where_there_is_no_link(redis_server: Server) -> None:
    listener = listener_of(redis_server, heard())
    woken = Event()
    assert not listener.ask_proof(woken.set)
    assert not woken.is_set()


def test_a_link_that_has_ended_is_not_opened_again_by_a_question(redis_server: Server) -> None:
    front = heard()
    listener, link = listener_of(redis_server, front), link_of(redis_server, front)
    link.open()
    link.end()
    listener._link = link
    assert not listener.ask_proof(Event().set)
    assert not link._connection.is_connected


def test_who_waits_for_a_proof_is_woken_by_the_end_of_the_link(redis_server: Server) -> None:
    front = heard()
    listener, link = listener_of(redis_server, front), link_of(redis_server, front)
    link.open()
    listener._link = link
    woken = Event()
    assert listener.ask_proof(woken.set)
    link.end()
    assert woken.is_set()


def test_a_question_that_is_interrupted_ends_the_link(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = heard()
    listener, link = listener_of(redis_server, front), link_of(redis_server, front)
    link.open()
    listener._link = link

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(link._connection, "send_packed_command", interrupt)
    with pytest.raises(KeyboardInterrupt):
        listener.ask_proof(Event().set)
    with pytest.raises(BackendUnavailable):
        link.hear(30)  # it has been cut, so that its reader begins anew
    link.end()


def test_a_question_on_a_connection_that_was_cut_says_so(redis_server: Server) -> None:
    front = heard()
    listener, link = listener_of(redis_server, front), link_of(redis_server, front)
    link.open()
    listener._link = link
    link._connection._sock.shutdown(SHUT_RDWR)  # type: ignore[attr-defined]
    woken = Event()
    assert not listener.ask_proof(woken.set)
    link.end()
    assert woken.is_set()


def test_a_link_that_answers_every_heartbeat_is_never_given_up(redis_server: Server) -> None:
    front = heard()
    listener = listener_of(redis_server, front)
    listener.start()
    try:
        assert front.enough.wait(30)
        told = [
            each if each == "connected" else each[0] for each in front.told if "~p:" not in each[0]
        ]
        assert told == ["connected", "proved", "proved", "proved"]
    finally:
        listener.close()
