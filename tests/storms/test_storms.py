from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.behaviour.seen import ROOT
from tests.servers import Server
from tests.storms.asked import storm_seconds
from tests.storms.history import Step, stale_reads

if TYPE_CHECKING:
    from tests.servers import Binary

COLOURS: Final = ("sync", "async", "sync", "async")
FAULTS: Final = ("kill", "pause", "forget scripts", "cut", "flush", "nothing")


def test_the_checker_finds_a_stale_read() -> None:
    write = Step(0, "write", 1, 0.0, 1.0, 5, is_certain=True)
    pending = Step(0, "write", 1, 2.0, 3.0, 6, is_certain=False)
    early = Step(1, "read", 1, 0.5, 2.0, 4, is_certain=True)
    stale = Step(1, "read", 1, 1.5, 2.0, 4, is_certain=True)
    fresh = Step(1, "read", 1, 3.5, 4.0, 5, is_certain=True)
    own = Step(0, "read", 1, 3.5, 4.0, 5, is_certain=True)
    assert stale_reads([write, pending, early, fresh]) == []
    assert stale_reads([write, pending, early, stale, fresh, own]) == [
        (stale, 5),
        (own, 6),
    ]


def storm(
    server: Server, source: Server, seed: int, seconds: float, faults: tuple[str, ...] = FAULTS
) -> list[Step]:
    """Let processes work on a server that is harmed meanwhile; return all that they did."""
    print(f"{', '.join(faults)}: seed {seed} on {server.name} for {seconds} s")
    command = [sys.executable, "-W", "error", "-m", "tests.storms.worker"]
    workers = [
        subprocess.Popen(
            [*command, server.url, source.url, str(seed + number), str(seconds), colour],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, colour in enumerate(COLOURS)
    ]
    draw, ends = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < ends:
        harm(server, draw, draw.choice(faults))
        time.sleep(draw.uniform(0.1, 0.6))  # the pace of the storm; nothing is waited for
    told = [worker.communicate(timeout=60) for worker in workers]
    for worker, (_, complaints) in zip(workers, told, strict=True):
        lines = [line for line in complaints.splitlines() if not is_expected(line)]
        assert (worker.returncode, lines) == (0, []), complaints
    return [
        Step(process, *json.loads(line))
        for process, (output, _) in enumerate(told)
        for line in output.splitlines()
    ]


def is_expected(line: str) -> bool:
    """Tell whether a line on stderr is one of a change of state."""
    return line.startswith("dualcache: redis")


def harm(server: Server, draw: random.Random, fault: str) -> None:
    if fault == "kill":
        server.restart()  # by SIGKILL
    elif fault == "pause":
        server.pause()
        time.sleep(draw.uniform(0.05, 0.4))
        server.resume()
    elif fault == "forget scripts":
        server.cli("SCRIPT", "FLUSH")
    elif fault == "cut":
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif fault == "flush":
        server.cli("FLUSHALL")


def check(steps: list[Step]) -> None:
    reads = [step for step in steps if step.kind == "read"]
    writes = [step for step in steps if step.kind == "write"]
    kept = sum(not step.is_certain for step in writes)
    print(f"{len(reads)} reads, {len(writes)} writes, {kept} not known to be acknowledged")
    assert len(reads) > 200
    assert len(writes) > 20
    assert stale_reads(steps) == []


def test_a_short_storm_leaves_no_stale_read(own_server: Server, redis_server: Server) -> None:
    seed = random.SystemRandom().randrange(10**6)
    check(storm(own_server, redis_server, seed, 6))


@pytest.mark.storm
@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_a_storm_of_one_fault_leaves_no_stale_read(
    own_server: Server, redis_server: Server, fault: str
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    check(storm(own_server, redis_server, seed, storm_seconds(60), (fault,)))


@pytest.mark.storm
@pytest.mark.parametrize("seed", range(6))
def test_a_storm_leaves_no_stale_read(
    any_server_binary: Binary, redis_server: Server, seed: int
) -> None:
    with Server(any_server_binary) as server:
        check(storm(server, redis_server, seed, storm_seconds(30)))
