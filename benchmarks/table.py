"""Results as text: for the terminal, and as Markdown for the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.results import ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.results import Reached, Row, Topic

US: Final = "dualcache"
MARKS: Final = {True: "✓", False: "✗", None: "not measured"}


def printed(name: str, topic: Topic) -> str:
    """Return a topic for the terminal."""
    parts = [f"\n== {name}"]
    for case, rows in by_case(topic.rows):
        parts += ["", case, aligned(lines_of(rows))]
    if topic.targets:
        parts += ["", aligned(target_lines(topic.targets))]
    parts += [f"note: {note}" for note in topic.notes]
    return "\n".join(parts)


def markdown(name: str, topic: Topic) -> str:
    """Return the rows of a topic for the documentation."""
    parts = [f"### {name}", f"![{name}](performance/{name}.svg)"] if topic.rows else [f"### {name}"]
    for case, rows in by_case(topic.rows):
        parts += [f"**{case}**", piped(lines_of(rows))]
    parts += [f"Left out: {note}" for note in topic.notes]
    return "\n\n".join(parts)


def markdown_targets(topics: Iterable[Topic]) -> str:
    """Return what was promised and what was reached, for the documentation."""
    found = [target for topic in topics for target in topic.targets]
    return piped(target_lines(found))


def by_case(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.case, []).append(row)
    return list(found.items())


def lines_of(rows: Sequence[Row]) -> list[list[str]]:
    """Return a line for each row; `to dualcache` by the wall's clock, then by the processor's."""
    lines = [["", "median", "to dualcache", "processor", "to dualcache"]]
    for row in rows:
        ours = next((each for each in rows if each.subject == US and each.x == row.x), None)
        cpu, our_cpu = row.cpu_value, ours and ours.cpu_value
        lines.append(
            [
                row.subject if row.x is None else f"{row.subject} at {row.x:g}",
                f"{number(row.value)} {row.unit}",
                f"{ratio(row, ours):.2f}" if ours and ours.value else "",
                "" if cpu is None else f"{number(cpu)} {row.unit}",
                f"{cpu / our_cpu:.2f}" if cpu and our_cpu else "",
            ]
        )
    return lines


def target_lines(targets: Iterable[Reached]) -> list[list[str]]:
    lines = [["what", "of", "target", "now", "by processor", ""]]
    for each in targets:
        now, cpu = ("" if n is None else number(n) for n in (each.reached, each.by_processor))
        lines.append([each.promise, each.compared, each.limit, now, cpu, MARKS[each.is_met]])
    return lines


def number(value: float) -> str:
    """Write three digits, without powers of ten."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    spread = [
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    ]
    return "\n".join(f"  {'  '.join(cells)}".rstrip() for cells in spread)


def piped(lines: list[list[str]]) -> str:
    head, *rest = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rest])
