"""The listener's connection: what keeps it and what ends it."""

from __future__ import annotations

from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from dualcache.drivers.listener import Listener
from dualcache.drivers.tracking import Tracking
from dualcache.drivers.urls import parse_url

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


def test_a_link_that_answers_every_heartbeat_is_never_given_up(redis_server: Server) -> None:
    heard = Heard()
    listener = Listener(
        parse_url(redis_server.url),
        heard,
        Tracking(heard.broken),
        prefix="kept:",
        transports=("broadcast",),
        max_staleness=3,
        now=monotonic,
    )
    listener.start()
    try:
        assert heard.enough.wait(30)
        assert heard.told == ["connected", "proved", "proved", "proved"]
    finally:
        listener.close()
