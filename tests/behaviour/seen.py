"""What the tests of behaviour share: events gathered and waited for, counted bodies, scripts."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.bodies import WAIT_SECONDS
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from dualcache import Cache, Event
    from tests.servers import Server

ROOT: Final = Path(__file__).parent.parent.parent
E = TypeVar("E")

# In development mode asyncio tells of every step over 0.1 s, such as an import on a busy machine.
QUIET: Final = """
import logging
logging.getLogger("asyncio").addFilter(lambda record: "Executing" not in record.msg)
"""


class Seen:
    """The events of one cache, in order."""

    def __init__(self, cache: Cache) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()
        cache.on_event(self._add)

    def _add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in list(self.events) if isinstance(event, kind)]

    def count(self, kind: type[object]) -> int:
        return len(self.of(kind))

    def wait_for(self, kind: type[object], count: int = 1) -> None:
        """Block until so many events of a kind were seen."""
        with self._changed:
            came = self._changed.wait_for(lambda: self.count(kind) >= count, WAIT_SECONDS)
        assert came, f"{self.count(kind)} times {kind.__name__}, not {count}"


async def settled(result: Any) -> Any:
    """Return a result, awaited where it can be: for bodies that call decorated functions."""
    return await result if inspect.isawaitable(result) else result


def wait_until_only_us(server: Server) -> None:
    """Block until the server has seen the end of every connection but the test's own."""
    eventually(lambda: len(server.cli("CLIENT", "LIST").splitlines()) == 1, "no other connection")


def run_script(source: str, *arguments: object, stdin: str | None = None) -> str:
    """Run Python source in a process of its own, with every warning an error; return its output.

    It must end by itself, with nothing on its standard error.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", QUIET + source, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}: {done.stderr[-3000:]}"
    return done.stdout
