"""The documentation's page on performance: plots and tables made from the JSON of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import svg, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.results import Results, Row, Topic

BEGIN: Final = "<!-- results begin -->"
END: Final = "<!-- results end -->"


def write_page(results: Results, page: Path) -> None:
    """Put the results between the marks of the page, and the plots into a folder beside it."""
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name, topic in results.topics.items():
        if topic.rows:
            (folder / f"{name}.svg").write_text(plot(topic), encoding="utf-8")
    written = page.read_text(encoding="utf-8")
    before, _, rest = written.partition(BEGIN)
    _, _, after = rest.partition(END)
    inside = f"{BEGIN}\n\n{text_of(results)}\n\n{END}"
    page.write_text(f"{before}{inside}{after}", encoding="utf-8")


def text_of(results: Results) -> str:
    """Return what stands between the marks."""
    machine = table.piped([["", ""], *([name, value] for name, value in results.machine.items())])
    parts = ["### Where", machine, "### Targets", table.markdown_targets(results.topics.values())]
    if results.is_quick:
        parts.insert(0, "Made by `--quick`: these numbers show that it works, and nothing else.")
    parts += [table.markdown(name, topic) for name, topic in results.topics.items()]
    return "\n\n".join(parts)


def plot(topic: Topic) -> str:
    """Draw lines where a case has several x, else bars."""
    cases = table.by_case(topic.rows)
    curved = [(case, rows[0].unit, lines_of(rows)) for case, rows in cases if is_curve(rows)]
    if curved:
        return svg.lines(curved)
    return svg.bars([(case, [bar_of(row) for row in rows]) for case, rows in cases])


def is_curve(rows: Sequence[Row]) -> bool:
    return len({row.x for row in rows}) > 1


def lines_of(rows: Sequence[Row]) -> list[svg.Line]:
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row.subject, []).append((row.x or 0, row.value))
    return [svg.Line(name, places) for name, places in points.items()]


def bar_of(row: Row) -> svg.Bar:
    told = f"{table.number(row.value)} {row.unit}"
    return svg.Bar(row.subject, row.value, told, row.subject.startswith(table.US))
