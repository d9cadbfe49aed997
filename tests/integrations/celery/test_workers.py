"""Workers of Celery with their pools: processes that fork, threads and greenlets, on one server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import pytest
import redis

pytest.importorskip("celery")

from celery import Celery

from dualcache import Cache
from tests.docs.pages import ROOT
from tests.patience import patient
from tests.servers import Binary, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

POOLS: Final = ("prefork", "threads", "gevent") if find_spec("gevent") else ("prefork", "threads")
AT_ONCE: Final = 3
WAIT_SECONDS: Final = 30
START_SECONDS: Final = 120
"""For all of them together: three processes import Celery, beside the tests of other processes."""


class Worker:
    """One worker, its queue, and the cache that it shares with the tests."""

    def __init__(self, server: Server, app: Celery, pool: str) -> None:
        self.pool = pool
        self.client = redis.Redis.from_url(server.url, decode_responses=True, socket_timeout=None)
        self.cache = Cache(patient(server.url), namespace=pool)
        self._app = app
        command = [sys.executable, "-m", "celery", "-A", "tests.integrations.celery.shop", "worker"]
        command += ["-P", pool, "-Q", pool, "-c", str(AT_ONCE), "-l", "warning", "-n", pool]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        if pool == "prefork":  # children end and are forked anew while the worker is in use
            command += ["--max-tasks-per-child", "4"]
        names = {"SHOP_URL": server.url, "SHOP_POOL": pool, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            command,
            cwd=server.folder,
            env=os.environ | names,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_until_ready(self) -> None:
        deadline = monotonic() + START_SECONDS
        while not self.client.blpop([f"{self.pool} at ready"], timeout=1):
            assert self._process.poll() is None, self.ended()
            assert monotonic() < deadline, f"the worker never took a task: {self.pool}"

    def send(self, name: str, *args: str, times: int = 1) -> None:
        for _ in range(times):
            self._app.send_task(name, args, queue=self.pool)

    def wait(self, what: str, count: int) -> None:
        """Wait until so many callers are at a place."""
        for _ in range(count):
            self._pop(f"{self.pool} at {what}")

    def open(self, gate: str, times: int = 1) -> None:
        self.client.rpush(f"{self.pool} gate {gate}", *["go"] * times)

    def answers(self, count: int = 1) -> list[Any]:
        """Return what so many tasks have returned, each with the process it ran in."""
        return [json.loads(self._pop(f"{self.pool} answers")) for _ in range(count)]

    def row(self, item: str, value: str) -> None:
        self.client.set(f"{self.pool} row {item}", value)

    def loads(self, item: str) -> int:
        return int(self.client.get(f"{self.pool} loads {item}") or 0)

    def end(self) -> None:
        """Ask it to end, as at a deployment."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it has printed."""
        if self._process.returncode is None:
            self.printed = self._process.communicate(timeout=WAIT_SECONDS)[0]
            self.cache.close()
            self.client.close()
        return self._process.wait(), self.printed

    def _pop(self, name: str) -> Any:
        found: Any = self.client.blpop([name], timeout=WAIT_SECONDS)
        assert found is not None, f"the worker never came to: {name}"
        return found[1]


@pytest.fixture(scope="module")
def workers(server_binary: Binary) -> Iterator[dict[str, Worker]]:
    """A worker of each pool; they start side by side."""
    with Server(server_binary) as server, Celery("tests", broker=server.url) as app:
        app.conf.task_create_missing_queues = True
        made = {pool: Worker(server, app, pool) for pool in POOLS}
        try:
            for worker in made.values():
                worker.wait_until_ready()
            yield made
        finally:
            for worker in made.values():
                worker.end()
            for worker in made.values():
                worker.ended()


@pytest.fixture(params=POOLS)
def worker(workers: dict[str, Worker], request: pytest.FixtureRequest) -> Worker:
    return workers[request.param]


def test_each_process_of_a_worker_reads_and_hears_of_changes(worker: Worker) -> None:
    worker.row("pen", "1")
    seen: list[set[str]] = []
    processes: set[int] = set()
    for _ in range(2):
        worker.send("read", "pen", times=AT_ONCE)
        worker.wait("read", AT_ONCE)
        worker.open("read", AT_ONCE)
        answers = worker.answers(AT_ONCE)
        seen.append({value for value, _ in answers})
        processes = {process for _, process in answers}
        worker.row("pen", "2")
        worker.cache.invalidate("price:pen")
    assert seen == [{"1"}, {"2"}]
    assert len(processes) == (AT_ONCE if worker.pool == "prefork" else 1)
    parent = worker.cache.get("parent")
    assert (parent in processes) is (worker.pool != "prefork")
    assert worker.loads("pen") == 2


def test_one_task_loads_for_all_that_run(worker: Worker) -> None:
    worker.row("ink", "3")
    worker.send("read_slowly", "ink", times=AT_ONCE)
    worker.wait("door", AT_ONCE)
    worker.wait("load", 1)
    worker.open("load")
    assert [value for value, _ in worker.answers(AT_ONCE)] == ["3"] * AT_ONCE
    assert worker.loads("ink") == 1


def test_tasks_use_both_colours(worker: Worker) -> None:
    if worker.pool == "gevent":
        pytest.skip("asyncio does not run under gevent's patches")
    for value in ("4", "5"):
        worker.send("write", "cap", value)
        assert worker.answers()[0][0] is None
        worker.send("read_async", "cap", times=2)
        assert [found for found, _ in worker.answers(2)] == [[value] * 4] * 2
    worker.cache.invalidate(tags=["prices"])
    worker.send("write", "cap", "6")
    worker.answers()
    assert worker.cache.get("price:cap") is None


def test_workers_end_in_silence(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.end()
    for worker in workers.values():
        code, printed = worker.ended()
        assert code == 0, printed
        assert "Traceback" not in printed
        assert "dualcache" not in printed.lower(), "no warning, no line of the log"
