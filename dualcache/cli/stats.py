"""`dualcache stats`."""

from __future__ import annotations

from itertools import count
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import click

from dualcache import FleetStats
from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import amount, seconds
from dualcache.inspection.server_figures import Figures, figures_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.text import Text

    from dualcache import Stats, TemplateStats
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
@click.option("--every", default=2.0, show_default=True, help="With --watch: seconds between two.")
@click.option(
    "--count", "times", type=click.IntRange(min=1), help="With --watch: stop after that many."
)
@connected
def stats(session: Session, watch: bool, every: float, times: int | None) -> int:
    """Show what is counted.

    These are the counters of the server, and for each function those of all processes whose cache
    has fleet_stats=True, over the last quarter of an hour. Without such a process, they are those
    of the program that mounts the commands or is named by --app. Rates of the server are since the
    previous figures; the first are since it started. With --json, prints one object each time.
    """
    cache = session.with_server()
    before, since = None, 0.0
    for number in count(1):
        began = monotonic()
        now = figures_of(cache)
        show(session, now, before, began - since, counted_by_functions(session))
        if not watch or number == times:
            return DONE
        before, since = now, began
        sleep(every)
    return DONE  # pragma: no cover - the loop has no end


def counted_by_functions(session: Session) -> FleetStats | Stats | None:
    """Return the counters of all processes; where none shares them, of this one if it has any."""
    fleet = session.cache.stats(fleet=True)
    if fleet.templates:
        return fleet
    return None if session.is_own else session.cache.stats()


def show(
    session: Session,
    now: Figures,
    before: Figures | None,
    passed: float,
    counted: FleetStats | Stats | None,
) -> None:
    """Print figures once."""
    told = now.told(before, passed)
    document: dict[str, Any] = {"server": told}
    if counted is not None:
        where = "fleet" if isinstance(counted, FleetStats) else "cache"
        document[where] = counted.as_dict()
    session.out.document(document)
    if session.out.is_json:
        return
    session.out.table(("server", ""), [(name, human(name, one)) for name, one in told.items()])
    session.out.line("")
    if counted is None:
        session.out.line("functions: no process shares its counters; write Cache(fleet_stats=True)")
    else:
        session.out.line(heading(counted), "bold")
        session.out.table(COLUMNS, rows_of(counted.templates))
        for finding in counted.findings:
            session.out.line(f"! {finding}", "yellow")
    session.out.line("")


def heading(counted: FleetStats | Stats) -> str:
    """Say whose counters follow, and of which time."""
    if isinstance(counted, FleetStats):
        return f"{amount(counted.processes, 'process')}, the last 15 minutes"
    return "this process, since it began"


def rows_of(templates: Mapping[str, TemplateStats]) -> list[list[str | Text]]:
    """Return a row for each function, those with the most reads first."""
    rows: list[list[str | Text]] = []
    for name, one in sorted(templates.items(), key=lambda pair: -pair[1].hits - pair[1].misses):
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
