from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.behaviour.seen import ROOT
from tests.proxy import Faults, Proxy
from tests.servers import Server
from tests.storms.asked import storm_seconds
from tests.storms.history import Step
from tests.storms.two_tiers import Report, checked, reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Binary

PROCESSES: Final = (
    ("sync", "tracking"),
    ("async", "tracking"),
    ("sync", "broadcast"),
    ("async", "broadcast"),
    ("sync", "auto"),
    ("async", "auto"),
)
TELLING: Final = 3 * (("sync", "pubsub"), ("async", "pubsub"))
"""Processes that tell each other what they revoke: all of them, or none."""
FAULTS: Final = (
    *("restart", "pause", "cut all", "cut one kind", "flush", "nothing"),
    *("delay", "black hole", "reset", "cut after"),
)


def test_the_checker_tells_what_two_tiers_may_do() -> None:
    write = Step(0, "write", 1, 0.0, 1.0, 5, is_certain=True)
    read = Step(1, "read", 1, 1.5, 1.6, 4, is_certain=True)
    late = Step(1, "read", 1, 2.5, 2.6, 4, is_certain=True)
    own = Step(0, "read", 1, 1.5, 1.6, 4, is_certain=False)
    fence = Step(1, "fence", 0, 1.1, 1.2, 0, is_certain=True)
    fresh = read._replace(version=5)
    elsewhere = fence._replace(process=2)
    end = Step(3, "fence", 0, 9.0, 9.0, 0, is_certain=True)
    assert checked([write, read, fresh, elsewhere], 1.0)[4:] == (1, 0.5, [])
    assert [each[2] for each in checked([write, late, end], 1.0).violations] == ["late"]
    assert [each[2] for each in checked([write, late], 1.0).violations] == ["permanent"]
    assert [each[2] for each in checked([write, own], 1.0).violations] == ["own write"]
    assert [each[2] for each in checked([write, fence, read], 1.0).violations] == ["after a fence"]
    assert checked([write, late._replace(is_certain=False)], 1.0).violations == []


def storm(
    server: Server, source: Server, seed: int, seconds: float, cast: Sequence[tuple[str, str]]
) -> Report:
    """Let processes work while server and links are harmed; check all that they did."""
    print(f"seed {seed} on {server.name} for {seconds} s")
    with Proxy(server.port) as data, Proxy(server.port) as listening:
        command = [sys.executable, "-W", "error", "-m", "tests.storms.two_tiers"]
        workers = [
            subprocess.Popen(
                [
                    *(*command, str(data.port), str(listening.port), source.url),
                    *(str(seed + number), str(seconds), colour, transport),
                ],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for number, (colour, transport) in enumerate(cast)
        ]
        draw, ends = random.Random(seed), time.monotonic() + seconds - 1
        while time.monotonic() < ends:
            harm(server, draw, draw.choice([data, listening]))
            time.sleep(draw.uniform(0.1, 1.0))  # the pace of the storm; nothing is waited for
        told = [worker.communicate(timeout=90) for worker in workers]
    return reported(workers, told)


def harm(server: Server, draw: random.Random, way: Proxy) -> None:
    """Do one kind of harm, and fix what does not fix itself."""
    fault = draw.choice(FAULTS)
    if fault in {"delay", "black hole", "reset", "cut after"}:
        harm_link(way, fault, draw)
    elif fault == "restart":
        server.restart()
    elif fault == "pause":
        server.pause()
        time.sleep(draw.uniform(0.05, 1.5))
        server.resume()
    elif fault == "cut all":
        server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif fault == "cut one kind":
        clients = server.client().client_list()
        for client in draw.sample(clients, k=min(2, len(clients))):
            server.client().client_kill_filter(_id=client["id"], skipme=True)
    elif fault == "flush":
        server.cli("FLUSHALL")


def harm_link(way: Proxy, fault: str, draw: random.Random) -> None:
    if fault == "reset":
        way.reset()
        return
    if fault == "black hole":
        way.black_hole()
    elif fault == "delay":
        way.fault(replies=Faults(latency=draw.uniform(0.001, 0.05)))
    else:
        way.fault(replies=Faults(cut_after=draw.randrange(400)))
    time.sleep(draw.uniform(0.1, 2.5))
    way.heal()


def classify(report: Report) -> None:
    assert report.violations == []
    assert report.reads > 500
    assert report.front_hits > 50
    assert report.writes > 20


CASTS: Final = pytest.mark.parametrize("cast", [PROCESSES, TELLING], ids=["complete", "telling"])


@CASTS
def test_a_short_storm_over_two_tiers(
    own_server: Server, redis_server: Server, cast: Sequence[tuple[str, str]]
) -> None:
    classify(storm(own_server, redis_server, random.SystemRandom().randrange(10**6), 8, cast))


@pytest.mark.storm
@CASTS
@pytest.mark.parametrize("seed", range(4))
def test_a_storm_over_two_tiers(
    any_server_binary: Binary, redis_server: Server, seed: int, cast: Sequence[tuple[str, str]]
) -> None:
    with Server(any_server_binary) as server:
        classify(storm(server, redis_server, seed, storm_seconds(180), cast))
