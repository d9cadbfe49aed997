"""A storm on a fleet: processes that work until they are told to end, and what is done meanwhile.

Nothing here is measured in seconds of a quiet machine: harm begins when all processes work, all of
it is done, and the storm ends when enough was written to be worth a judgement.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tests.behaviour.seen import ROOT
from tests.fleets.waiting import until
from tests.storms.worker import AT_WORK, KEYS

if TYPE_CHECKING:
    import random
    from collections.abc import Generator, Iterator, Sequence

    from tests.servers import Server

END_SECONDS: Final = 90
PATIENCE: Final = 90.0
"""How long processes may take to start, and to do their work, on a very busy machine."""


class Workers:
    """The processes of a storm; `source` is the server of their versions."""

    def __init__(self, module: str, source: Server, arguments: Sequence[Sequence[str]]) -> None:
        self._source = source
        # All have the same stdin: one close tells all of them to end.
        own_end, self._end = os.pipe()
        self._told: list[tuple[str, str]] = []
        try:
            self.processes = [
                subprocess.Popen(
                    [sys.executable, "-W", "error", "-m", module, *each],
                    cwd=ROOT,
                    stdin=own_end,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                for each in arguments
            ]
        finally:
            os.close(own_end)

    def wait_until_at_work(self) -> None:
        """Wait until all of them work; what is done to the servers before harms nobody."""

        def are_at_work() -> bool:
            count = int(self._source.cli("GET", AT_WORK) or 0)
            assert all(each.poll() is None for each in self.processes), self.end()
            return count >= len(self.processes)

        until(are_at_work, "processes that work", seconds=PATIENCE)

    def wait_for_writes(self, count: int) -> None:
        """Wait until the versions of all keys have been raised so often."""

        def are_enough() -> bool:
            versions = self._source.cli("MGET", *[f"version:{n}" for n in range(KEYS)])
            return sum(int(each or 0) for each in versions) >= count

        until(are_enough, f"{count} writes", seconds=PATIENCE)

    def end(self) -> list[tuple[str, str]]:
        """Tell all of them to end, and return what each printed; may be called twice."""
        if not self._told:
            os.close(self._end)
            self._told = [each.communicate(timeout=END_SECONDS) for each in self.processes]
        return self._told


@contextmanager
def at_work(module: str, source: Server, arguments: Sequence[Sequence[str]]) -> Generator[Workers]:
    """Start the processes of a storm, and wait until they work; they end with the block."""
    workers = Workers(module, source, arguments)
    try:
        workers.wait_until_at_work()
        yield workers
    finally:
        workers.end()


def harms(
    draw: random.Random, faults: Sequence[str], seconds: float, pace: tuple[float, float]
) -> Iterator[str]:
    """Yield each fault once, in an order that is drawn, and all of them again until time is over.

    Between two of them passes a time from `pace`; nothing is waited for.
    """
    ends = time.monotonic() + seconds
    while True:
        for fault in draw.sample(faults, k=len(faults)):
            yield fault
            time.sleep(draw.uniform(*pace))
        if time.monotonic() >= ends:
            return
