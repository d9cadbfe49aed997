"""The shops of the examples: two workers each, on one server that restarts while people buy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Final

import pytest

from examples.shop.client import ENOUGH, Oracle, Shop, drive
from tests.bodies import WAIT_SECONDS
from tests.docs.pages import ROOT
from tests.patience import patient
from tests.ports import HOST, free_port
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from examples.shop.client import Report
    from tests.servers import Binary

SHOPS: Final = ("celery", "django", "fastapi", "flask", "litestar")
SECONDS: Final = 4.0
START_SECONDS: Final = 120
"""For all of them together: a dozen processes import a framework each."""
BOUND: Final = 1.0
"""`max_staleness` of all shops."""
SLACK: Final = 2.0
"""How long the breaker may leave a server alone that is back: until then, invalidations wait."""


class Worker:
    """One process that serves a shop."""

    def __init__(self, shop: str, server: Server, database: Path) -> None:
        self.shop = shop
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        names = {
            "DUALCACHE_URL": patient(server.url),
            "SHOP_BROKER": server.url,
            "SHOP_DATABASE": str(database),
            "SHOP_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        self._log = database.with_name(f"log-{self.port}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"examples.shop.{shop}_shop"],
                cwd=database.parent,
                env=os.environ | names,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection((HOST, self.port)).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.printed()
                assert time.monotonic() < deadline, self.printed()
                time.sleep(0.02)

    def terminate(self) -> None:
        self._process.terminate()

    def wait_until_ended(self) -> None:
        self._process.wait(WAIT_SECONDS)

    def printed(self) -> str:
        return self._log.read_text(errors="replace")


@pytest.fixture(scope="module")
def reports(
    server_binary: Binary, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Report]]]:
    """What the visitors of each shop have seen. All shops are open at the same time."""
    workers: list[Worker] = []
    with Server(server_binary) as server, ThreadPoolExecutor(len(SHOPS)) as threads:
        try:
            for shop in SHOPS:
                database = tmp_path_factory.mktemp(shop) / "shop.sqlite3"
                workers += [Worker(shop, server, database) for _ in range(2)]
            for worker in workers:
                worker.wait()
            restart = Barrier(len(SHOPS), action=server.restart, timeout=START_SECONDS)
            yield {
                shop: threads.submit(
                    drive,
                    [worker.url for worker in workers if worker.shop == shop],
                    seconds=SECONDS, bound=BOUND, trouble=restart.wait, slack=SLACK,
                )
                for shop in SHOPS
            }  # fmt: skip
        finally:
            for worker in workers:
                worker.terminate()
            for worker in workers:
                worker.wait_until_ended()


@pytest.mark.parametrize("shop", SHOPS)
def test_nobody_sees_an_old_price(shop: str, reports: dict[str, Future[Report]]) -> None:
    report = reports[shop].result(4 * WAIT_SECONDS)
    assert report.old == [], report
    if shop != "celery":  # whose jobs need the server
        assert report.refused == [], report
    assert report.changes >= 2 * ENOUGH, report
    assert report.reads > report.changes, report


def test_the_oracle_knows_where_a_change_must_be_seen() -> None:
    oracle = Oracle(bound=1)
    oracle.acknowledged("here", 1, "price", 201)
    now = time.monotonic()

    def least(worker: str, seconds: float, *, fenced: bool = False) -> int:
        return oracle.least(worker, 1, "price", now + seconds, fenced=fenced)

    assert [least("here", -1), least("here", 0.1)] == [0, 201]
    assert [least("there", 0.1), least("there", 1.1)] == [0, 201]
    assert least("there", 0.1, fenced=True) == 201


def test_the_oracle_allows_for_a_server_that_is_down() -> None:
    oracle = Oracle(bound=1)
    oracle.acknowledged("here", 1, "price", 201)
    oracle.went_down()
    oracle.acknowledged("here", 1, "price", 202)
    oracle.came_up(slack=2)
    now = time.monotonic()

    def least(worker: str, seconds: float, *, fenced: bool = False) -> int:
        return oracle.least(worker, 1, "price", now + seconds, fenced=fenced)

    assert least("here", 0.1) == 202
    assert [least("there", 1.1), least("there", 2.9), least("there", 3.1)] == [201, 201, 202]
    assert [least("there", 1.9, fenced=True), least("there", 2.1, fenced=True)] == [201, 202]


def test_an_old_price_is_found() -> None:
    shop = Shop(["here"], bound=1)
    shop.oracle.acknowledged("here", 1, "price", 201)
    for price in (200, 201):
        item = {"id": 1, "name": "pen", "price": price}
        shop.compare("here", item, time.monotonic() + 0.1, fenced=False)
    assert len(shop.report.old) == 1
