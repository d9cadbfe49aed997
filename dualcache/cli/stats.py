"""`dualcache stats`."""

from __future__ import annotations

from itertools import count
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import click

from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import seconds
from dualcache.cli.server_figures import Figures, figures_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

    from dualcache import Stats
    from dualcache.cli.session import Session

COUNTED: Final = ("hits", "front_hits", "stale_hits", "misses", "loads")
COLUMNS: Final = (
    "function",
    *(">" + name.replace("_hits", "") for name in COUNTED),
    ">p50 ms",
    ">p95 ms",
    ">saved s",
    "not stored",
)


@click.command()
@click.option("--watch", is_flag=True, help="Show it again every few seconds, until Ctrl-C.")
@click.option("--every", default=2.0, show_default=True, help="Seconds between, with --watch.")
@click.option("--count", "times", type=click.IntRange(min=1), help="With --watch: so many times.")
@connected
def stats(session: Session, watch: bool, every: float, times: int | None) -> int:
    """Show what is counted.

    By the server, and, of the cache of a program, by itself, for each function.

    Rates are those since the figures before; the first ones are those since the server runs. With
    --json one object for each time.
    """
    cache = session.with_server()
    before, since = None, 0.0
    for number in count(1):
        began = monotonic()
        now = figures_of(cache)
        own = None if session.is_own else cache.stats()
        show(session, now, before, began - since, own)
        if not watch or number == times:
            return DONE
        before, since = now, began
        sleep(every)
    return DONE  # pragma: no cover - the loop has no end


def show(
    session: Session, now: Figures, before: Figures | None, passed: float, own: Stats | None
) -> None:
    """Print figures once."""
    told = now.told(before, passed)
    document: dict[str, Any] = {"server": told}
    if own is not None:
        document["cache"] = own.as_dict()
    session.out.document(document)
    if session.out.is_json:
        return
    session.out.table(("server", ""), [(name, human(name, one)) for name, one in told.items()])
    if own is not None and own.templates:
        session.out.line("")
        session.out.table(COLUMNS, rows_of(own))
        for finding in own.findings:
            session.out.line(f"! {finding}", "yellow")
    session.out.line("")


def rows_of(own: Stats) -> list[list[str | Text]]:
    """Return a row for each function of this process."""
    rows: list[list[str | Text]] = []
    for name, one in own.templates.items():
        times = one.load_times
        rows.append(
            [
                name,
                *(str(getattr(one, counted)) for counted in COUNTED),
                figure(times.p50),
                figure(times.p95),
                f"{one.seconds_saved:.1f}",
                reasons(one.not_stored),
            ]
        )
    return rows


def figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def reasons(counted: Mapping[str, int]) -> str:
    """Write counts by reason."""
    return ", ".join(f"{name} {number}" for name, number in counted.items())


def human(name: str, value: Any) -> str:
    """Write a figure for people; a limit of 0 is none."""
    if value is None:
        return "not told"
    if name == "uptime":
        return seconds(value)
    if name.startswith("memory"):
        return f"{value / (1 << 20):.1f} MB" if value else "none"
    if isinstance(value, float):
        return f"{value:.1%}" if name == "hit ratio" else f"{value:,.1f}".replace(",", " ")
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)
