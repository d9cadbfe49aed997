"""The listener's connection: what keeps it and what ends it."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from socket import SHUT_RDWR
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.backends.redis.push.connection import PushLink
from dualcache.backends.redis.push.listener import Listener
from dualcache.backends.redis.push.transports import BroadcastTransport
from dualcache.backends.redis.push.waiter import Waiter
from dualcache.errors import BackendUnavailable
from dualcache.options.target import parse_url
from tests.behaviour.interrupting import interrupted
from tests.fronts import Noting, front_by_hand
from tests.patience import patient

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
        parse_url(patient(server.url)),
        prefix="kept:",
        transports=(BroadcastTransport,),
        max_staleness=3,
    )


def link_of(server: Server, front: Front) -> PushLink:
    return PushLink(parse_url(patient(server.url)), front, BroadcastTransport, "kept:", Waiter())


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


class Soft(Exception):
    """A soft time limit, as Celery's: an `Exception` that a signal handler raises."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Thread]:
    """The threads that were started since, in their order."""
    threads: list[Thread] = []
    start = Thread.start

    def noting(thread: Thread) -> None:
        threads.append(thread)
        start(thread)

    monkeypatch.setattr(Thread, "start", noting)
    return threads


@pytest.mark.parametrize("kind", [KeyboardInterrupt, Soft])
def test_a_start_that_is_interrupted_leaves_one_thread_at_most_and_the_next_start_works(
    redis_server: Server, started: list[Thread], kind: type[BaseException]
) -> None:
    at = 0
    for at in count(1):
        listener = listener_of(redis_server, heard())
        with interrupted(at, kind) as countdown, suppress(kind):
            listener.start()
        listener.start()
        try:
            assert [each for each in started if each.is_alive()][-1] is listener._thread
        finally:
            listener.close()
        for thread in started:
            if thread.ident is not None:
                thread.join(10)
                assert not thread.is_alive(), countdown.raised_at
        if not countdown.raised_at:
            break
    assert at > 3


def test_a_start_that_is_interrupted_when_the_thread_has_begun_ends_it(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = heard()
    listener = listener_of(redis_server, front)
    begun: list[Thread] = []
    start = Thread.start

    def interrupt(thread: Thread) -> None:
        start(thread)
        begun.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(Thread, "start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        listener.start()
    monkeypatch.undo()
    begun[0].join(10)
    assert not begun[0].is_alive()
    front.enough.clear()
    listener.start()
    try:
        assert front.enough.wait(30)
    finally:
        listener.close()
