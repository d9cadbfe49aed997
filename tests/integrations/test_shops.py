"""The shops of the examples: two workers each, on one server that restarts while people buy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from examples.shop.client import drive
from tests.bodies import WAIT_SECONDS
from tests.docs.pages import ROOT
from tests.endpoints.conftest import patient
from tests.servers import HOST, Server, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Binary

SHOPS: Final = ("django", "fastapi", "flask", "litestar")
BOUND: Final = 1.0
"""`max_staleness` of all shops."""
SLACK: Final = 2.0
"""How long the breaker may leave a server alone that is back: until then, invalidations wait."""


class Worker:
    """One process that serves a shop."""

    def __init__(self, shop: str, server: Server, database: Path) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        names = {
            "DUALCACHE_URL": patient(server.url),
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
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                return socket.create_connection((HOST, self.port)).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, self.printed()
                assert time.monotonic() < deadline, self.printed()
                time.sleep(0.02)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT_SECONDS)

    def printed(self) -> str:
        return self._log.read_text(errors="replace")


@pytest.fixture(scope="module")
def server(server_binary: Binary) -> Iterator[Server]:
    with Server(server_binary) as made:
        yield made


@pytest.fixture
def workers(shop: str, server: Server, tmp_path: Path) -> Iterator[list[Worker]]:
    started = [Worker(shop, server, tmp_path / "shop.sqlite3") for _ in range(2)]
    try:
        for worker in started:
            worker.wait()
        yield started
    finally:
        for worker in started:
            worker.end()


@pytest.mark.parametrize("shop", SHOPS)
def test_nobody_sees_an_old_price(workers: list[Worker], server: Server) -> None:
    report = drive(
        [worker.url for worker in workers],
        seconds=3,
        bound=BOUND,
        trouble=server.restart,
        slack=SLACK,
    )
    assert report.old == [], report
    assert report.refused == [], report
    assert report.reads > 50, report
    assert report.changes > 20, report
