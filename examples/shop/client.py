"""Buyers, renamers and readers against the workers of a shop, and an oracle that watches them.

`python -m examples.shop.client http://127.0.0.1:8000 http://127.0.0.1:8001` tells what it has seen,
and exits with 1 if somebody saw an old price or an old name after a change was acknowledged.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ITEMS: Final = (1, 2, 3, 4)
BUYERS: Final = 3
READERS: Final = 5
WAIT_SECONDS: Final = 60
ENOUGH: Final = 10
"""Changes that are made at least, before the server restarts and after it."""


@dataclass(slots=True)
class Report:
    """What all threads together have done and seen."""

    reads: int = 0
    changes: int = 0
    refused: list[str] = field(default_factory=list)
    """Requests that failed. A shop whose cache is down still answers."""
    old: list[str] = field(default_factory=list)
    """Reads that showed what had been changed: there must be none."""

    def add(self, visitor: Visitor) -> None:
        self.reads += visitor.reads
        self.changes += visitor.changes

    def __str__(self) -> str:
        lines = [f"{self.reads} reads, {self.changes} changes, {len(self.refused)} refused"]
        return "\n".join([*lines, *self.refused[:5], *(f"OLD: {line}" for line in self.old)])


class Oracle:
    """Knows the least that a read may show.

    Values only rise: prices with each sale, and the numbers in names with each new name. A change
    that was acknowledged before a read began must be seen

    - at once in the worker that made it, and in any worker after its fence;
    - within `bound` seconds in the others, whose front tiers hear of it.

    While the server of the cache is down, a worker keeps its invalidations, and delivers them as
    soon as it is back. Others can hear of them only then, and a fence cannot know of them before.
    """

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._changes: dict[tuple[int, str], list[tuple[float, str, int]]] = {}
        self._down_since = self._up_since = 0.0
        self._lock = threading.Condition()

    def acknowledged(self, worker: str, item: int, what: str, value: int) -> None:
        with self._lock:
            changes = self._changes.setdefault((item, what), [])
            changes.append((time.monotonic(), worker, value))
            self._lock.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until so many changes were acknowledged."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.count() >= count, WAIT_SECONDS):
                raise TimeoutError(f"there were no {count} changes within {WAIT_SECONDS} s")

    def went_down(self) -> None:
        self._down_since, self._up_since = time.monotonic(), float("inf")

    def came_up(self, slack: float) -> None:
        """Say that the server is back; the workers find that out within `slack` seconds."""
        self._up_since = time.monotonic() + slack

    def least(self, worker: str, item: int, what: str, began: float, *, fenced: bool) -> int:
        def must_be_seen(at: float, where: str) -> bool:
            if at >= began:
                return False
            told = at if at < self._down_since else max(at, self._up_since)
            return where == worker or told < began - (0 if fenced else self._bound)

        with self._lock:
            changes = self._changes.get((item, what), ())
            return max(
                (value for at, where, value in changes if must_be_seen(at, where)), default=0
            )

    def count(self) -> int:
        return sum(map(len, self._changes.values()))

    def settled(self) -> float:
        """Return how many seconds pass until every worker must have heard of every change."""
        return max(self._up_since - time.monotonic(), 0) + self._bound


class Visitor(threading.Thread):
    """Does one thing again and again, each time with another worker, until it is stopped."""

    def __init__(self, shop: Shop, visit: Callable[[Visitor], None]) -> None:
        super().__init__(daemon=True)
        self.shop = shop
        # Shorter than servers keep an idle connection, so that none ends while it is used again.
        self.client = httpx.Client(timeout=60, limits=httpx.Limits(keepalive_expiry=1))
        self.reads = self.changes = 0
        self._visit = visit

    def run(self) -> None:
        with self.client:
            while not self.shop.is_closing.is_set():
                try:
                    self._visit(self)
                except httpx.HTTPError as error:
                    self.shop.report.refused.append(repr(error))

    def read(self, worker: str, *, fenced: bool = False) -> None:
        """Look at one item or at the list, and compare with what must be seen."""
        began = time.monotonic()
        if fenced:
            self.client.post(f"{worker}/fence").raise_for_status()
        item = random.choice((None, *ITEMS))
        path = "/goods" if item is None else f"/goods/{item}"
        shown = self.client.get(worker + path).raise_for_status().json()
        for each in shown if item is None else [shown]:
            self.shop.compare(worker, each, began, fenced=fenced)
        self.reads += 1

    def buy(self, worker: str) -> None:
        item = random.choice(ITEMS)
        answer = self.client.post(f"{worker}/goods/{item}/buy").raise_for_status().json()
        self.shop.oracle.acknowledged(worker, item, "price", answer["price"])
        self.changes += 1

    def rename(self, worker: str, item: int, number: int) -> None:
        name = {"name": f"item no. {number}"}
        self.client.post(f"{worker}/goods/{item}/rename", params=name).raise_for_status()
        self.shop.oracle.acknowledged(worker, item, "name", number)
        self.changes += 1


class Shop:
    """The workers of one shop, and all who visit them."""

    def __init__(self, workers: Sequence[str], bound: float) -> None:
        self.workers = workers
        self.oracle = Oracle(bound)
        self.report = Report()
        self.is_closing = threading.Event()

    def compare(self, worker: str, item: dict[str, Any], began: float, *, fenced: bool) -> None:
        edition = item["name"].rpartition(" no. ")[2]
        shown = {"price": item["price"], "name": int(edition) if edition.isdigit() else 0}
        for what, value in shown.items():
            least = self.oracle.least(worker, item["id"], what, began, fenced=fenced)
            if value < least:
                after = " after a fence" if fenced else ""
                self.report.old.append(f"{worker}{after}: {item}, {what} of {least} was told")

    def visitors(self) -> list[Visitor]:
        def any_worker() -> str:
            return random.choice(self.workers)

        def buyer(visitor: Visitor) -> None:
            worker = any_worker()
            visitor.buy(worker)
            visitor.read(worker)

        def reader(visitor: Visitor) -> None:
            visitor.read(any_worker(), fenced=random.random() < 0.2)

        numbers = dict.fromkeys(ITEMS, 0)

        def renamer(visitor: Visitor) -> None:  # one for all items: names come in order
            item, worker = random.choice(ITEMS), any_worker()
            numbers[item] += 1
            visitor.rename(worker, item, numbers[item])
            visitor.read(worker)

        visits = [buyer] * BUYERS + [reader] * READERS + [renamer]
        return [Visitor(self, visit) for visit in visits]


def drive(
    workers: Sequence[str],
    *,
    seconds: float,
    bound: float,
    trouble: Callable[[], object] | None = None,
    slack: float = 2,
) -> Report:
    """Let everybody visit the shop for so long, or longer where it is slow.

    `trouble` restarts the server of the cache in the middle of it, and `slack` is how long a worker
    may leave a server alone that is back.
    """
    shop = Shop(workers, bound)
    visitors = shop.visitors()
    for visitor in visitors:
        visitor.start()
    try:
        stay(shop, seconds / 2)
        if trouble is not None:
            shop.oracle.went_down()
            trouble()
            shop.oracle.came_up(slack)
        stay(shop, seconds / 2)
    finally:
        shop.is_closing.set()
        for visitor in visitors:
            visitor.join()
            shop.report.add(visitor)
    time.sleep(shop.oracle.settled())
    look_once_more(shop)
    return shop.report


def stay(shop: Shop, seconds: float) -> None:
    """Wait so long, and until the shop has sold and renamed something."""
    enough = shop.oracle.count() + ENOUGH
    time.sleep(seconds)
    shop.oracle.wait_for(enough)


def look_once_more(shop: Shop) -> None:
    """Compare every worker with the last state."""
    last = Visitor(shop, lambda _: None)
    with last.client:
        for worker in shop.workers:
            for _ in range(10):
                last.read(worker)
    shop.report.add(last)


def main() -> int:
    parser = argparse.ArgumentParser(description="Visit a shop, and look for old prices.")
    parser.add_argument("workers", nargs="*", default=["http://127.0.0.1:8000"])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--bound", type=float, default=1, help="max_staleness of the shop")
    parser.add_argument("--restart", help="a command that restarts the server of the cache")
    given = parser.parse_args()
    trouble = partial(subprocess.check_call, given.restart, shell=True) if given.restart else None
    report = drive(given.workers, seconds=given.seconds, bound=given.bound, trouble=trouble)
    print(report)
    return 1 if report.old else 0


if __name__ == "__main__":
    sys.exit(main())
