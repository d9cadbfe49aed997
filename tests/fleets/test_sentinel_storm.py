"""Storms on Sentinel: processes work while masters are failed over, killed and stopped."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.fleets.sentinels import Sentinels
from tests.fleets.storms import at_work
from tests.storms.asked import storm_seconds
from tests.storms.ends import TOLD
from tests.storms.history import Step
from tests.storms.two_tiers import LATE, STALENESS, Report, checked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers import Binary, Server

CASTS: Final = {
    "one_tier": 2 * (("sync", "none"), ("async", "none")),
    "two_tiers": (*(("sync", "auto"), ("async", "auto")), ("sync", "broadcast"), ("async", "none")),
}
FAULTS: Final = ("failover", "kill", "pause", "sentinel", "cut")
LATEST: Final = 5.0
"""How much later than the bound a process may notice a failover, on a very busy machine."""
LAG: Final = 0.5
"""How far behind a replica may be that is promoted, on a busy machine."""
BOUND: Final = STALENESS * (1 + LATE)


class Window(NamedTuple):
    """A failover: what is acknowledged meanwhile may be lost, until it is repeated at its end."""

    begin: float
    end: float


def promised(steps: Sequence[Step], windows: Sequence[Window]) -> list[Step]:
    """Return the steps with the moment from which each write has to be seen by other processes.

    A write that a failover may lose is repeated by its own process, which notices within the bound
    unless the machine is too busy. That process itself never reads anything older.
    """
    replays = [step for step in steps if step.kind == "replay"]
    found: list[Step] = []
    for step in steps:
        over = [each.end for each in windows if each.begin <= step.end <= each.end]
        if step.kind == "write" and step.is_certain and over:
            later = [
                replay.end
                for replay in replays
                if replay.process == step.process and step.end < replay.end < max(over) + LATEST
            ]
            end = max([*over, *later[:1]])
            found += [step._replace(is_certain=False), step._replace(process=-1, end=end)]
        else:
            found.append(step)
    return found


def test_the_checker_tells_what_a_failover_may_do() -> None:
    window = Window(1.0, 3.0)
    write = Step(0, "write", 1, 0.5, 1.5, 5, is_certain=True)
    other = Step(1, "read", 1, 2.9, 3.0, 4, is_certain=True)
    late = Step(1, "read", 1, 6.0, 6.1, 4, is_certain=True)
    own = Step(0, "read", 1, 2.0, 2.1, 4, is_certain=True)
    end = Step(3, "fence", 0, 19.0, 19.0, 0, is_certain=True)
    assert checked(promised([write, other, end], [window]), 1.0).violations == []
    assert len(checked([write, other, end], 1.0).violations) == 1
    assert [
        each[2] for each in checked(promised([write, late, end], [window]), 1.0).violations
    ] == ["late"]
    assert [each[2] for each in checked(promised([write, own, end], [window]), 1.0).violations] == [
        "own write"
    ]


def storm(
    fleet: Sentinels, source: Server, seed: int, seconds: float, cast: Sequence[tuple[str, str]]
) -> Report:
    """Let processes work while masters come and go; check all that they did."""
    print(f"seed {seed} on {fleet.nodes[0].name} for {seconds} s")
    arguments = [
        (f"{fleet.url()}&socket_connect_timeout=2", source.url, str(seed + n), TOLD, *each)
        for n, each in enumerate(cast)
    ]
    draw, windows = random.Random(seed), list[Window]()
    with at_work("tests.fleets.storm_worker", source, arguments) as workers:
        ends = time.monotonic() + seconds
        for fault in ("kill", draw.choice(FAULTS)):
            windows += harm(fleet, fault, draw)
            time.sleep(draw.uniform(0.3, 1.0))  # the pace of the storm; nothing is waited for
        while time.monotonic() < ends:
            windows += harm(fleet, draw.choice(FAULTS), draw)
            time.sleep(draw.uniform(0.3, 1.5))
        time.sleep(2.5)  # beyond the bound, so that what is stale for good is seen
        workers.wait_for_writes(40)
    told = workers.end()
    for worker, (_, complaints) in zip(workers.processes, told, strict=True):
        assert (worker.returncode, complaints) == (0, "")
    steps = [
        Step(process, *json.loads(line))
        for process, (output, _) in enumerate(told)
        for line in output.splitlines()
    ]
    fronts = [step for step in steps if step.kind == "front"]
    # Beside a front tier all may read what others have invalidated for as long as the bound.
    bound = BOUND if fronts else 0.0
    lossy = checked(steps, bound)
    report = checked(promised(steps, windows), bound)
    report = report._replace(
        front_hits=sum(step.key for step in fronts), losses=sum(step.version for step in fronts)
    )
    lost = len(lossy.violations) - len(report.violations)
    print(f"{len(windows)} failovers, {lost} reads of what they lost until it was repeated")
    print(report, flush=True)
    return report


def harm(fleet: Sentinels, fault: str, draw: random.Random) -> list[Window]:
    """Do one kind of harm, and fix what does not fix itself; return the failover, if any."""
    if fault == "sentinel":
        gone = draw.choice(fleet.sentinels)
        gone.kill()
        time.sleep(draw.uniform(0.1, 1.0))
        gone.start()
        return []
    if fault == "cut":
        fleet.master.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return []
    fleet.wait_until_settled()
    began = time.monotonic()
    if fault == "failover":
        fleet.failover()
    elif fault == "kill":
        fleet.wait_until_left(fleet.kill_master())
    else:
        old = fleet.master
        fleet.pause(old)
        fleet.wait_until_left(old)
        fleet.resume(old)
    known = time.monotonic()
    # A master that was demoted goes on for a moment, so that it is read and written to.
    time.sleep(draw.uniform(0, STALENESS))
    fleet.rejoin()
    return [Window(began - LAG, known + BOUND)]


def judge(report: Report) -> None:
    assert report.violations == []
    assert report.reads > 500
    assert report.writes > 20


@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
def test_a_short_storm_on_sentinel(
    own_sentinels: Sentinels, redis_server: Server, cast: Sequence[tuple[str, str]]
) -> None:
    judge(storm(own_sentinels, redis_server, random.SystemRandom().randrange(10**6), 0, cast))


@pytest.mark.storm
@pytest.mark.parametrize("cast", CASTS.values(), ids=CASTS)
@pytest.mark.parametrize("seed", range(4))
def test_a_storm_on_sentinel(
    any_server_binary: Binary, redis_server: Server, seed: int, cast: Sequence[tuple[str, str]]
) -> None:
    with Sentinels(any_server_binary) as fleet:
        judge(storm(fleet, redis_server, seed, storm_seconds(120), cast))
