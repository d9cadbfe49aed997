"""The listener's connection: what keeps it and what ends it."""

from __future__ import annotations

from socket import SHUT_RDWR
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from dualcache.backends.redis.push.connection import PushLink
from dualcache.backends.redis.push.listener import Listener
from dualcache.backends.redis.push.tracking import Tracking
from dualcache.errors import BackendUnavailable
from dualcache.options.target import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.servers import Server


class Heard:
    """A sink that writes down what it is told; `enough` is set at the third proof or a loss."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.enough = Event()

    def connected(self, asked_at: float, *, is_tracked: bool) -> int:
        del asked_at, is_tracked
        self.told.append("connected")
        return 1

    def lost(self) -> None:
        self.told.append("lost")
        self.enough.set()

    def proved(self, asked_at: float) -> None:
        del asked_at
        self.told.append("proved")
        if self.told.count("proved") == 3:
            self.enough.set()

    def broken(self) -> None: ...
    def feed(self, names: Iterable[str] | None) -> None: ...
    def feed_matching(self, patterns: Iterable[str]) -> None: ...
    def chose(self, transport: str, reason: str) -> None: ...
    def open_for_ttl(self, reason: str) -> None: ...


def listener_of(server: Server, heard: Heard) -> Listener:
    return Listener(
        parse_url(server.url),
        heard,
        Tracking(heard.broken),
        prefix="kept:",
        transports=("broadcast",),
        max_staleness=3,
        now=monotonic,
    )


def link_of(server: Server, heard: Heard) -> PushLink:
    return PushLink(parse_url(server.url), heard, Tracking(heard.broken), monotonic)


def test_nobody_is_asked_where_there_is_no_link(redis_server: Server) -> None:
    listener = listener_of(redis_server, Heard())
    woken = Event()
    assert not listener.ask_proof(woken.set)
    assert not woken.is_set()


def test_a_link_that_has_ended_is_not_opened_again_by_a_question(redis_server: Server) -> None:
    heard = Heard()
    listener, link = listener_of(redis_server, heard), link_of(redis_server, heard)
    link.open("broadcast", "kept:")
    link.end()
    listener._link = link
    assert not listener.ask_proof(Event().set)
    assert not link._connection.is_connected


def test_who_waits_for_a_proof_is_woken_by_the_end_of_the_link(redis_server: Server) -> None:
    heard = Heard()
    listener, link = listener_of(redis_server, heard), link_of(redis_server, heard)
    link.open("broadcast", "kept:")
    listener._link = link
    woken = Event()
    assert listener.ask_proof(woken.set)
    link.end()
    assert woken.is_set()


def test_a_question_that_is_interrupted_ends_the_link(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    listener, link = listener_of(redis_server, heard), link_of(redis_server, heard)
    link.open("broadcast", "kept:")
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
    heard = Heard()
    listener, link = listener_of(redis_server, heard), link_of(redis_server, heard)
    link.open("broadcast", "kept:")
    listener._link = link
    link._connection._sock.shutdown(SHUT_RDWR)  # type: ignore[attr-defined]
    woken = Event()
    assert not listener.ask_proof(woken.set)
    link.end()
    assert woken.is_set()


def test_a_link_that_answers_every_heartbeat_is_never_given_up(redis_server: Server) -> None:
    heard = Heard()
    listener = listener_of(redis_server, heard)
    listener.start()
    try:
        assert heard.enough.wait(30)
        assert heard.told == ["connected", "proved", "proved", "proved"]
    finally:
        listener.close()
