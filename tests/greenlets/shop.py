"""A program for `python -m gevent.monkey shop.py URL FRONT CONNECTIONS`; prints JSON."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event

from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

CALLERS = 30
WAIT_SECONDS = 30


class Shop:
    """A cached function that a gate holds up."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.entered, self.gate = Event(), Event()
        self.runs: list[int] = []
        self.price: Any = cache(key="price:{item_id}", ttl="5m")(self._function())

    def _function(self) -> Callable[[int], list[int]]:
        def price(item_id: int) -> list[int]:
            self.runs.append(item_id)
            self.entered.set()
            self.gate.wait(WAIT_SECONDS)
            return [item_id]

        return price

    def crowd(self) -> dict[str, Any]:
        """Let 30 greenlets call for one key: one loads, and the others wait without the hub."""
        jobs = [gevent.spawn(self.price, 7) for _ in range(CALLERS)]
        assert self.entered.wait(WAIT_SECONDS)
        self.gate.set()
        values = gathered(jobs)
        return {"values": values == [[7]] * CALLERS, "runs": self.runs.copy()}

    def invalidated(self) -> dict[str, Any]:
        """Delete what is stored, and call again."""
        removed = self.price.invalidate(7).removed
        values = gathered([gevent.spawn(self.price, 7) for _ in range(CALLERS)])
        again = values == [[7]] * CALLERS
        return {"removed": removed, "again": again, "runs again": len(self.runs)}

    def killed(self) -> dict[str, Any]:
        """Kill the greenlet that loads: one of those that wait takes over."""
        self.entered.clear()
        self.gate.clear()
        leader = gevent.spawn(self.price, 8)
        assert self.entered.wait(WAIT_SECONDS)
        waiting = [gevent.spawn(self.price, 8) for _ in range(3)]
        gevent.sleep(0)
        self.gate.set()
        leader.kill()
        return {"after a kill": gathered(waiting) == [[8]] * 3}

    def counted(self) -> dict[str, Any]:
        """Count in several greenlets, and close."""
        counts = gathered([gevent.spawn(self.cache.incr, "n") for _ in range(5)])
        self.cache.fence()
        self.cache.close()
        left = [each.name for each in threading.enumerate() if "dualcache" in each.name]
        return {"counts": sorted(counts), "threads": left}


def gathered(jobs: list[Any]) -> list[Any]:
    gevent.joinall(jobs, timeout=WAIT_SECONDS)
    return [job.value for job in jobs]


def main(url: str, front: str, connections: str) -> None:
    options: Any = {}
    if url != "memory://":
        options = {"socket_timeout": 3, "socket_connect_timeout": 3}
        options["max_connections"] = int(connections)
    shop = Shop(Cache(url, front=int(front) or None, **options))
    told = shop.crowd() | shop.invalidated() | shop.killed() | shop.counted()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
