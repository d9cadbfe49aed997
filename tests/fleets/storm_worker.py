"""One process of a storm on a fleet.

Run as `python -m tests.fleets.storm_worker CACHE_URL SOURCE_URL SEED SECONDS COLOUR TRANSPORT`; the
transport `none` is one tier. What it tells at the end is that of `tests.storms.two_tiers`.
"""

from __future__ import annotations

import logging
import sys
import time

from tests.storms.two_tiers import Actor, play


class Replays(logging.Handler):
    """Notes when deletions were repeated; an observer would see each hit, and slow it."""

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        if "kept during the outage" in record.getMessage():
            now = time.monotonic()
            self._actor.history.append(("replay", 0, now, now, 0, True))


def main(arguments: list[str]) -> None:
    url, source_url, seed, seconds, colour, transport = arguments
    chosen = None if transport == "none" else transport
    actor = Actor(url, source_url, chosen, is_async=colour == "async")
    logging.getLogger("dualcache").addHandler(Replays(actor))
    play(actor, seed, float(seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
