"""The thread that shares this process's statistics with the others, every few seconds.

It is never on the way of a call, and no failure of it reaches one.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import finalize, ref

from dualcache.backends.redis.shares import read_shares, write_shares
from dualcache.errors import BackendError
from dualcache.observability.fleet import MINUTES, fleet_stats_of, read_share, share_of, spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.counters import Tally
    from dualcache.observability.fleet import Share
    from dualcache.observability.stats import FleetStats

    class Owner(Protocol):
        """A runtime, as it is seen here."""

        prefix: str

        @property
        def is_shared(self) -> bool: ...

        @property
        def can_be_asked(self) -> bool: ...

        def tallies(self) -> dict[str, Tally]: ...

        def client(self) -> Any: ...


__all__ = ["SHARE_SECONDS", "FleetShares"]

SHARE_SECONDS: Final = 5.0
"""How often a process shares what it has counted."""
_LIFE_MS: Final = (MINUTES + 2) * 60_000
_STOP_SECONDS: Final = 1.0
"""How long a close waits for the last share."""


class FleetShares:
    """The shares of one cache in this process, and those of all processes of its namespace.

    A process has a separate field in the hash of each minute, and overwrites it with all that it
    has counted in that minute: a write that is lost or repeated counts nothing twice.
    """

    def __init__(self, owner: Owner, now: Callable[[], float] = time.time) -> None:
        self._owner = ref(owner)
        self._now = now
        self._thread: Thread | None = None
        self._begin({})
        finalize(owner, _end, ref(self)).atexit = False

    def after_fork(self) -> None:
        """Begin anew in a forked child: what the parent counted is not counted twice."""
        owner, was_running = self._owner(), self._thread is not None
        self._thread = None
        self._begin({} if owner is None else owner.tallies())
        if was_running:
            self.start()

    def start(self, _: object = None) -> None:
        """Begin to share, unless that is under way; it may be called with an event."""
        owner = self._owner()
        if self.is_running or owner is None or not owner.is_shared:
            return
        with self._lock:
            if self._thread is not None:
                return
            self._stopping = Event()
            made = Thread(target=self._work, args=(self._stopping,), name="dualcache-fleet")
            made.daemon = True
            self._thread = made
        with suppress(RuntimeError):  # no more threads, or the interpreter is ending
            made.start()

    @property
    def is_running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None

    def stop(self) -> None:
        """Share once more, and end the thread; the next miss begins again."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._stopping.set()
        if thread.is_alive():
            thread.join(_STOP_SECONDS)
        self.share()

    def share(self) -> None:
        """Write what this process counted in this minute, and what could not be written before."""
        owner = self._owner()
        if owner is None:
            return
        with self._lock:
            self._note(owner.tallies())
            unsent = {at: blob for at, blob in self._blobs.items() if self._sent.get(at) != blob}
            if not unsent or not owner.is_shared or not owner.can_be_asked:
                return
            named = [(self._key(owner, minute), blob) for minute, blob in unsent.items()]
            with suppress(BackendError):  # an outage: the next one has it all
                write_shares(owner.client, named, self._process, _LIFE_MS)
                self._sent.update(unsent)

    def read(self) -> FleetStats:
        """Return the statistics of all processes; where the backend fails, of this one alone.

        A process that does not share its counters only looks, and writes nothing.
        """
        owner = self._owner()
        if self.is_running:
            self.share()
        elif owner is not None:
            with self._lock:
                self._note(owner.tallies())
        last = self._minute_now()
        minutes = range(last - MINUTES, last + 1)
        since = minutes[0] * 60.0
        if owner is not None and owner.is_shared:
            try:
                keys = [self._key(owner, minute) for minute in minutes]
                replies = read_shares(owner.client, keys)
            except BackendError:
                pass
            else:
                found = dict(zip(minutes, map(_shares_in, replies), strict=True))
                return fleet_stats_of(found, since, is_complete=True)
        with self._lock:
            blobs = [self._blobs.get(minute) for minute in minutes]
        own = [_shares_in([] if blob is None else [blob]) for blob in blobs]
        is_complete = owner is not None and not owner.is_shared
        return fleet_stats_of(dict(zip(minutes, own, strict=True)), since, is_complete=is_complete)

    def _begin(self, before: dict[str, Tally]) -> None:
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = Lock()
        self._stopping = Event()
        self._minute = self._minute_now()
        self._before = before
        self._blobs: dict[int, bytes] = {}
        self._sent: dict[int, bytes] = {}

    def _note(self, now: dict[str, Tally]) -> None:
        """Note what was counted in the running minute; what came since the last note is its."""
        share = share_of(now, self._before)
        if share is not None:
            self._blobs[self._minute] = spelled(share)
        minute = self._minute_now()
        if minute != self._minute:
            self._minute, self._before = minute, now
        for kept in (self._blobs, self._sent):
            for old in [at for at in kept if at < minute - MINUTES]:
                del kept[old]

    def _minute_now(self) -> int:
        return int(self._now() // 60)

    @staticmethod
    def _key(owner: Owner, minute: int) -> str:
        return f"{owner.prefix}~s:{minute}"

    def _work(self, stopping: Event) -> None:
        while not stopping.wait(SHARE_SECONDS):
            self.share()


def _end(shares: ref[FleetShares]) -> None:
    """End the thread of a cache that has gone."""
    made = shares()
    if made is not None:
        made._stopping.set()  # noqa: SLF001  of this module


def _shares_in(blobs: list[Any]) -> list[Share]:
    """Return the shares among what was read; a client may have decoded it, or it is foreign."""
    raw = [blob for blob in blobs if isinstance(blob, bytes)]
    return [share for share in map(read_share, raw) if share is not None]
