"""One process of a storm on a fleet.

Run as `python -m tests.fleets.storm_worker CACHE_URL SOURCE_URL SEED UNTIL COLOUR TRANSPORT`; the
transport `none` is one tier. What it tells at the end is that of `tests.storms.two_tiers`.
"""

from __future__ import annotations

import logging
import sys
import threading
import time

from tests.storms.ends import ending
from tests.storms.two_tiers import Actor, play
from tests.storms.worker import AT_WORK


class Replays(logging.Handler):
    """Notes when deletions were repeated; an observer would see each hit, and slow it."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        if "kept during the outage" in record.getMessage():
            now = time.monotonic()
            self._actor.history.append(("replay", 0, now, now, 0, True))


def tell_when_at_work(actor: Actor) -> None:
    """Tell the test when this process works: one with a front tier, when that has served a read."""
    while (front := actor.cache.stats().front) is not None and front.hits == 0:
        time.sleep(0.01)
    actor.source.incr(AT_WORK)


def main(arguments: list[str]) -> None:
    url, source_url, seed, until, colour, transport = arguments
    chosen = None if transport == "none" else transport
    actor = Actor(url, source_url, chosen, is_async=colour == "async")
    if url.startswith("redis+sentinel:"):
        # A failover takes seconds: enough is read all the same, and other tests want the cores.
        actor.pause = 0.01
    logging.getLogger("dualcache").addHandler(Replays(actor))
    threading.Thread(target=tell_when_at_work, args=[actor], daemon=True).start()
    play(actor, seed, ending(until))


if __name__ == "__main__":
    main(sys.argv[1:])
