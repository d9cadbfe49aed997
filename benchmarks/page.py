"""The documentation's pages on performance: plots and tables made from the JSON of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import summary, svg, table
from benchmarks.results import Row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.results import Results, Topic

SUMMARY: Final = ("<!-- summary begin -->", "<!-- summary end -->")
RESULTS: Final = ("<!-- results begin -->", "<!-- results end -->")
OVER: Final = {
    "at once": "callers at once",
    "keys": "keys",
    "tags per entry": "tags per entry",
    "bytes per value": "bytes per value",
    "processes": "processes",
    "primaries": "primaries",
}
"""What the x of a case counts, by the last words of its name."""
LONGER_IS_BETTER: Final = ("%",)


def write_page(results: Results, page: Path) -> None:
    """Put the summary into the page, the results into `measurements.md`, the plots beside them."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name, topic in results.topics.items():
        if topic.rows:
            drawn = plot(topic, by_processor=was_busy(results))
            (folder / f"{name}.svg").write_text(drawn, encoding="utf-8")
    for path, marks, text in (
        (page, SUMMARY, summary.markdown(results)),
        (page.with_name("measurements.md"), RESULTS, text_of(results)),
    ):
        path.write_text(put_between(marks, text, path.read_text("utf-8")), encoding="utf-8")


def put_between(marks: tuple[str, str], inside: str, written: str) -> str:
    begin, end = marks
    before, _, rest = written.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{inside}\n\n{end}{after}"


def text_of(results: Results) -> str:
    """Return the tables of all topics."""
    machine = table.piped([["", ""], *([name, value] for name, value in results.machine.items())])
    parts = ["### Where", machine, "### Targets", table.markdown_targets(results.topics.values())]
    if results.is_quick:
        parts.insert(0, "Made by `--quick`: these numbers show that it works, and nothing else.")
    parts += [table.markdown(name, topic) for name, topic in results.topics.items()]
    return "\n\n".join(parts)


def was_busy(results: Results) -> bool:
    """Tell whether more programs wanted to run than there were processors, when the run began."""
    try:
        processors = int(results.machine["processors"].partition(",")[0])
        return float(results.machine["load before"].partition(" ")[0]) > processors
    except (KeyError, ValueError):
        return False


def plot(topic: Topic, *, by_processor: bool = False) -> str:
    """Draw the cases that have several x as lines, the others as bars.

    With `by_processor` by processor time, where that was measured.
    """
    cases = by_curve(topic.rows)
    return svg.draw(case_of(title, rows, by_processor=by_processor) for title, rows in cases)


def case_of(title: str, rows: Sequence[Row], *, by_processor: bool) -> svg.Field | svg.Bars:
    if by_processor and any(row.cpu for row in rows):
        known = [
            row for row in rows if row.cpu
        ]  # a process of its own, as redis-benchmark, has none
        rows = [Row(row.case, row.subject, row.unit, row.cpu, x=row.x) for row in known]
        measured = f"{rows[0].unit} of processor time per call"
    else:
        measured = per_call(rows[0])
    return (field_of if is_curve(rows) else bars_of)(title, rows, measured)


def by_curve(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Gather rows by case; cases that differ by their x alone, as in "10 at once", are one."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        case = row.case
        if row.x is not None:
            case = " ".join(word for word in case.split() if word != str(int(row.x)))
        found.setdefault(case, []).append(row)
    return list(found.items())


def is_curve(rows: Sequence[Row]) -> bool:
    return len({row.x for row in rows}) > 1


def field_of(title: str, rows: Sequence[Row], measured: str) -> svg.Field:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row.subject, []).append((row.x or 0, row.value))
    drawn = [svg.Line(name, places, name == table.US) for name, places in points.items()]
    counted = next((what for end, what in OVER.items() if title.endswith(end)), title)
    head = f"{measured} over {counted}" if title in OVER else title
    return svg.Field(head, counted, measured, drawn)


def bars_of(case: str, rows: Sequence[Row], measured: str) -> svg.Bars:
    is_share = rows[0].unit in LONGER_IS_BETTER
    meaning = f"{measured} of calls, more is better" if is_share else f"{measured}, less is better"
    return svg.Bars(case, meaning, [bar_of(row) for row in rows])


def per_call(row: Row) -> str:
    return f"{row.unit} per call" if row.unit in {"ns", "µs"} else row.unit


def bar_of(row: Row) -> svg.Bar:
    told = f"{table.number(row.value)} {row.unit}"
    return svg.Bar(row.subject, row.value, told, row.subject.startswith(table.US))
