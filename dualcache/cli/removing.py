"""What is about to be deleted, shown; deleting page by page, and stopping in between."""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from itertools import islice
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dualcache.cli.exits import DONE, INTERRUPTED, NOT_SO
from dualcache.cli.printing import amount, complain, console_on, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from dualcache import Cache, Invalidated
    from dualcache.cli.session import Session

PAGE: Final = 500
"""Keys of one deletion: one trip, during which nobody else waits for long."""
PAGES_PER_SECOND: Final = 10
"""How often a paced deletion sends."""
EXAMPLES: Final = 5


class Found:
    """What a deletion would take: a count, and some names."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []

    def note(self, name: str) -> None:
        """Count a name; the first few are kept."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(name)

    def show(self, session: Session, *, dry_run: bool) -> None:
        """Say what would go; as JSON only where nothing follows."""
        told = amount(self.count, "key")
        if session.out.is_json:
            if dry_run:
                session.out.document({"found": self.count, "examples": self.examples})
            return
        complain(f"{told} found" + (", as" if self.examples else ""))
        for name in self.examples:
            complain(f"  {shown(name)}")


def look(cache: Cache, keys: tuple[str, ...], pattern: str | None) -> Found:
    """Count what is there of the keys, and of what matches the pattern."""
    found = Found()
    for key in dict.fromkeys(keys):
        if cache.peek(key) is not None:
            found.note(key)
    if pattern is not None:
        with progress_of("looking", None) as advance:
            names = cache.keys(pattern)
            while page := list(islice(names, PAGE)):
                for name in page:
                    found.note(name)
                advance(len(page))
    return found


class Stop:
    """Set by Ctrl-C: what is under way ends whole, and nothing more begins."""

    is_set = False


@contextmanager
def stoppable() -> Generator[Stop]:
    """Let Ctrl-C set a flag inside; the second one interrupts as ever."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(*_: Any) -> None:
        if stop.is_set:
            raise KeyboardInterrupt
        stop.is_set = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def remove_all(
    cache: Cache, names: Iterable[str], total: int, rate: int | None, stop: Stop
) -> tuple[int, int]:
    """Delete names page by page; return how many existed, and how many are pending.

    Each page is a separate deletion, acknowledged before the next begins.
    """
    page = PAGE if rate is None else max(1, min(PAGE, rate // PAGES_PER_SECOND))
    waiting = iter(names)
    removed = sent = pending = 0
    began = monotonic()
    with progress_of("deleting", total) as advance:
        while not stop.is_set and (some := list(islice(waiting, page))):
            done = cache.invalidate(*some)
            removed += done.removed
            pending = done.pending
            sent += len(some)
            advance(done.removed)  # SCAN may name a key twice
            if rate is not None:
                pause(began + sent / rate, stop)
    return removed, pending


def pause(until: float, stop: Stop) -> None:
    """Wait for a moment to come; a stop ends it at once."""
    while not stop.is_set and (left := until - monotonic()) > 0:
        sleep(min(left, 0.1))


@contextmanager
def progress_of(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """Show a bar on stderr, if that is a terminal; `total=None`: a count alone."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console_on(sys.stderr),
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step: bar.advance(task, step)


def report(session: Session, done: Invalidated, *, stopped: bool = False) -> int:
    """Say what was removed; return the exit code."""
    return reported(session, done.removed, done.pending, done.tags, is_stopped=stopped)


def reported(
    session: Session, removed: int, pending: int, tags: int = 0, *, is_stopped: bool = False
) -> int:
    """Say what was removed; return the exit code."""
    session.out.document(
        {"removed": removed, "tags": tags, "pending": pending, "stopped": is_stopped}
    )
    session.out.line(
        amount(removed, "key")
        + " removed"
        + (f"; {amount(tags, 'tag')} invalidated, with every entry that has one" if tags else "")
    )
    if is_stopped:
        complain("stopped: deleted keys stay deleted, the rest is unchanged")
        return INTERRUPTED
    if pending:
        complain(f"{amount(pending, 'deletion')} could not be delivered; run it again")
        return NOT_SO
    return DONE
