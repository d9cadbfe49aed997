"""A storm over two tiers: what processes with a front tier may read, and what they did read.

Run as `python -m tests.storms.two_tiers CACHE_PORT LISTENER_PORT SOURCE_URL SEED UNTIL COLOUR
TRANSPORT` it is one process of the storm.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import redis

from dualcache import Cache, FrontTier
from tests.behaviour.seen import settled
from tests.front.tiers import redirect_listener
from tests.storms.ends import ending, enough
from tests.storms.history import Step, Writes
from tests.storms.worker import driven, in_threads

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Sequence

KEYS: Final = 6
CALLERS: Final = 3
WRITES: Final = 0.02
LEAST_STEPS: Final = 400
FENCES: Final = 0.01
STALENESS: Final = 1.0
LATE: Final = 0.1
"""What the machine may add to the bound: a share of it."""


class Report(NamedTuple):
    """What a checked history comes to; ages are in seconds."""

    reads: int
    front_hits: int
    writes: int
    losses: int
    stale_within_bound: int
    worst_age: float
    violations: list[tuple[Step, int, str]]

    def __str__(self) -> str:
        permanent = [each for each in self.violations if each[2] == "permanent"]
        return (
            f"{self.reads} reads, {self.front_hits} front hits, {self.writes} writes, "
            f"{self.losses} losses, {self.stale_within_bound} stale reads within the bound, "
            f"worst age {self.worst_age * 1000:.1f} ms, {len(self.violations)} violations, "
            f"permanent: {len(permanent) or 'none'}"
        )


def checked(steps: Iterable[Step], bound: float) -> Report:
    """Check the history of processes with a front tier.

    A read has to see every version whose invalidation was acknowledged to its own process before
    it began; every one acknowledged to anybody `bound` before it began; and every one acknowledged
    to anybody before a fence that its process ended before the read began. Processes that are cut
    off share loads among themselves and hear nobody: of those reads only the first is asked.
    """
    past = Past(steps)
    stale, worst, violations = 0, 0.0, []
    for read in past.reads:
        due = past.own_due(read)
        if read.version < due:
            violations.append((read, due, "own write"))
        missed = past.missed(read)
        if missed is None:
            continue
        age = read.start - missed.end
        stale, worst = stale + 1, max(worst, age)
        fenced_due = past.fenced_due(read)
        if read.version < fenced_due:
            violations.append((read, fenced_due, "after a fence"))
        elif age > bound:
            is_last = read.end > past.ended - 1
            violations.append((read, missed.version, "permanent" if is_last else "late"))
    return Report(len(past.reads), 0, past.write_count, 0, stale, worst, violations)


def reported(workers: Sequence[subprocess.Popen[str]], told: Sequence[tuple[str, str]]) -> Report:
    """Check and print what the processes of a storm have told: their steps, and no complaints."""
    for worker, (_, complaints) in zip(workers, told, strict=True):
        assert (worker.returncode, complaints) == (0, "")
    steps = [
        Step(process, *json.loads(line))
        for process, (output, _) in enumerate(told)
        for line in output.splitlines()
    ]
    report = checked(steps, STALENESS * (1 + LATE))
    fronts = [step for step in steps if step.kind == "front"]
    report = report._replace(
        front_hits=sum(step.key for step in fronts), losses=sum(step.version for step in fronts)
    )
    print(report, flush=True)
    return report


class Past:
    """All that was done, so that it can be asked what a read had to see."""

    def __init__(self, steps: Iterable[Step]) -> None:
        listed = sorted(steps, key=lambda step: step.end)
        self.reads = [step for step in listed if step.kind == "read"]
        self.ended = listed[-1].end
        writes = [step for step in listed if step.kind == "write"]
        self.write_count = len(writes)
        own, of_all, self._fences = (defaultdict[Any, list[Step]](list) for _ in range(3))
        for write in writes:
            own[write.process, write.key].append(write)
            if write.is_certain:
                of_all[write.key].append(write)
        for step in listed:
            if step.kind == "fence":
                self._fences[step.process].append(step)
        self._own = {name: Writes(own[name]) for name in own}
        self._all = {name: Writes(of_all[name]) for name in of_all}
        self._none = Writes([])
        self._ordered = of_all

    def own_due(self, read: Step) -> int:
        """Return what the process of a read had invalidated itself before."""
        return self._own.get((read.process, read.key), self._none).newest_before(read.start)

    def missed(self, read: Step) -> Step | None:
        """Return the first write, acknowledged to anybody before, that a read did not see."""
        if not read.is_certain or read.version >= self._all.get(read.key, self._none).newest_before(
            read.start
        ):
            return None
        return next(each for each in self._ordered[read.key] if each.version > read.version)

    def fenced_due(self, read: Step) -> int:
        """Return what was acknowledged before the last fence of the process of a read."""
        ended = [fence.start for fence in self._fences[read.process] if fence.end <= read.start]
        known = self._all.get(read.key, self._none)
        return known.newest_before(max(ended, default=0.0))


class Outages(logging.Handler):
    """Counts how often the backend was given up; an observer would see each hit, and slow it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += record.msg.startswith("backend")


class Actor:
    """What each caller of this process does, in either colour."""

    def __init__(self, url: str, source_url: str, transport: Any, *, is_async: bool) -> None:
        # Without a transport there is one tier.
        front = FrontTier(max_entries=100, transport=transport) if transport else None
        self.cache = Cache(
            url, namespace="storm", socket_timeout=0.1, front=front, max_staleness=STALENESS
        )
        self.source = redis.Redis.from_url(source_url)
        self.face: Any = self.cache.aio if is_async else self.cache
        self.is_async = is_async
        self.pause = 0.002
        """The longest time between two actions of a caller."""
        self.history: list[tuple[str, int, float, float, int, bool]] = []
        self.outages = Outages()
        logger = logging.getLogger("dualcache")
        logger.setLevel("INFO")
        logger.addHandler(self.outages)
        logger.propagate = False
        wait: Callable[[float], Any] = asyncio.sleep if is_async else time.sleep
        self.wait = wait

        async def body(n: int) -> int:
            version: Any = self.source.get(f"version:{n}")
            await settled(wait(random.random() * 0.003))
            return int(version or 0)

        async def later(n: int) -> int:
            return await body(n)

        def now(n: int) -> int:
            version: int = driven(body(n))
            return version

        async def later_boxed(n: int) -> list[int]:
            return [await body(n)]

        def now_boxed(n: int) -> list[int]:
            return [driven(body(n))]

        tags = ["all", "item:{n}"]
        self.load = self.cache(key="item:{n}", tags=tags)(later if is_async else now)
        self.plain = self.cache(key="plain:{n}")(later_boxed if is_async else now_boxed)

    async def act(self, draw: random.Random, is_over: Callable[[], bool]) -> None:
        while not is_over():
            n = draw.randrange(KEYS)
            what = draw.random()
            if what < WRITES:
                await self.write(draw, n)
            elif what < WRITES + FENCES:
                start = time.monotonic()
                await settled(self.face.fence())
                self.history.append(("fence", 0, start, time.monotonic(), 0, True))
            else:
                await self.read(draw, n)
            await settled(self.wait(draw.random() * self.pause))

    async def read(self, draw: random.Random, n: int) -> None:
        function: Any = self.load if draw.random() < 0.5 else self.plain
        outages, start = self.outages.count, time.monotonic()
        is_seeing = self.cache.stats().is_available
        start = time.monotonic()
        found = await settled(function(n))
        ended = time.monotonic()
        is_seeing = is_seeing and self.outages.count == outages
        version = found if isinstance(found, int) else found[0]
        self.history.append(("read", n, start, ended, version, is_seeing))

    async def write(self, draw: random.Random, n: int) -> None:
        version: Any = self.source.incr(f"version:{n}")
        face, start = self.face, time.monotonic()
        way = draw.randrange(4)
        if way == 0:
            done = await settled(face.invalidate(f"item:{n}", f"plain:{n}"))
        elif way == 1:
            done = await settled(face.invalidate(f"plain:{n}", tags=[f"item:{n}"]))
        elif way == 2:
            done = await settled(face.invalidate(patterns=[f"*:{n}"]))
        else:
            done = await settled(face.invalidate(f"plain:{n}", tags=["all"]))
        self.history.append(("write", n, start, time.monotonic(), version, done.pending == 0))


def main(arguments: list[str]) -> None:
    port, listener_port, source_url, seed, until, colour, transport = arguments
    is_async = colour == "async"
    actor = Actor(f"redis://127.0.0.1:{port}", source_url, transport, is_async=is_async)
    redirect_listener(actor.cache, int(listener_port))
    play(actor, seed, enough(actor.history, LEAST_STEPS, ending(until)))


def play(actor: Actor, seed: str, is_over: Callable[[], bool]) -> None:
    """Let the callers act until the end, and print what they did, a step a line."""
    draws = [random.Random(f"{seed}-{number}") for number in range(CALLERS)]
    if actor.is_async:

        async def together() -> None:
            await asyncio.gather(*[actor.act(draw, is_over) for draw in draws])
            tell(actor)
            await actor.cache.aio.aclose()

        asyncio.run(together())
    else:
        in_threads([actor.act(draw, is_over) for draw in draws])
        tell(actor)
        actor.cache.close()
    for each in actor.history:
        print(json.dumps(each))


def tell(actor: Actor) -> None:
    """Write what the tier says of itself as the first line."""
    front = actor.cache.stats().front
    if front is not None:
        actor.history.insert(0, ("front", front.hits, 0.0, 0.0, front.losses, True))


if __name__ == "__main__":
    main(sys.argv[1:])
