"""`dualcache watch`: what changes in the namespace, by whichever process."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from dualcache.cli.changes import Watcher
from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import shown

if TYPE_CHECKING:
    from dualcache.cli.changes import Change
    from dualcache.cli.session import Session

STYLES: Final = {"stored": "green", "gone": "red", "tag invalidated": "red", "lost": "yellow"}
WIDEST: Final = max(map(len, (*STYLES, "loading", "expired", "flushed", "foreign")))


@click.command()
@click.option("--count", type=click.IntRange(min=1), help="Stop after that many changes.")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0), help="Stop after that many seconds."
)
@connected
def watch(session: Session, count: int | None, seconds: float | None) -> int:
    """Show changes as they happen.

    Shows loads, stores and deletions in the namespace, by all processes.

    The server pushes the names of changed keys (CLIENT TRACKING … BCAST). With --json, prints one
    object per line.
    """
    cache = session.with_server()
    session.out.line(f"watching {cache.stats().backend}; Ctrl-C ends it", "dim")
    left = count
    until = None if seconds is None else monotonic() + seconds
    with Watcher(cache) as watcher:
        for change in watcher.changes(until):
            show(session, change)
            left = None if left is None else left - 1
            if left == 0:
                break
    return DONE


def show(session: Session, change: Change) -> None:
    """Print one change."""
    now = datetime.now().astimezone()
    session.out.document({"time": now.isoformat(timespec="milliseconds"), **change._asdict()})
    if not session.out.is_json:
        line = Text.assemble(
            (f"{now:%H:%M:%S}", "dim"),
            "  ",
            (f"{change.what:<{WIDEST}}", STYLES.get(change.what, "")),
            "  ",
            shown(change.name),
            (f"  {change.detail}" if change.detail else "", "dim"),
        )
        session.out.console.print(line, soft_wrap=True)
