"""Two kinds of plots as SVG, which any browser draws: bars, and lines over logarithmic axes."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.table import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH: Final = 760
LABELS: Final = 210
COLOURS: Final = ("#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#e8a600", "#868e96")
STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#495057}.head{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#ced4da}}</style>"
)


class Bar(NamedTuple):
    """One subject: how long its bar is, and what is written beside it."""

    name: str
    value: float
    told: str
    is_ours: bool


class Line(NamedTuple):
    """One subject over x."""

    name: str
    points: Sequence[tuple[float, float]]


def text(x: float, y: float, written: str, **attributes: str) -> str:
    made = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{made}>{escape(written)}</text>'


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def document(height: float, parts: Iterable[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{STYLE}\n{body}\n</svg>\n'


def bars(groups: Iterable[tuple[str, Sequence[Bar]]]) -> str:
    """Draw a group of bars for each case; each group has a scale of its own, from zero."""
    parts: list[str] = []
    y = 6.0
    for title, group in groups:
        y += 18
        parts.append(text(0, y, title, **{"class": "head"}))
        longest = max(bar.value for bar in group) or 1
        for bar in group:
            y += 22
            width = max(1.0, (WIDTH - LABELS - 110) * bar.value / longest)
            colour = COLOURS[0] if bar.is_ours else COLOURS[-1]
            parts += [
                text(LABELS - 8, y, bar.name, **{"text-anchor": "end"}),
                rectangle(LABELS, y - 13, width, 17, colour),
                text(LABELS + width + 6, y, bar.told),
            ]
        y += 14
    return document(y + 4, parts)


class Axis(NamedTuple):
    """A logarithmic axis from one place to another."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(math.ceil(self.low), math.floor(self.high) + 1)]


def axis_over(values: Iterable[float], start: float, end: float) -> Axis:
    """Return an axis of whole powers of ten around the values."""
    logarithms = [math.log10(value) for value in values]
    low, high = math.floor(min(logarithms)), math.ceil(max(logarithms))
    return Axis(low, max(high, low + 1), start, end)


def lines(groups: Iterable[tuple[str, str, Sequence[Line]]]) -> str:
    """Draw a field of lines for each case: title, unit of y, subjects."""
    parts: list[str] = []
    top = 0.0
    for title, unit, group in groups:
        parts += field(title, unit, group, top)
        top += 300
    return document(top, parts)


def field(title: str, unit: str, group: Sequence[Line], top: float) -> list[str]:
    """Draw one field; an x of 0 stands where 0.5 would, as logarithms have no zero."""
    placed = [Line(name, [(max(x, 0.5), y) for x, y in points]) for name, points in group]
    x_axis = axis_over((x for line in placed for x, _ in line.points), 60, WIDTH - 190)
    y_axis = axis_over((y for line in placed for _, y in line.points), top + 255, top + 34)
    parts = [text(0, top + 18, f"{unit} per call over {title}", **{"class": "head"})]
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts.append(f'<path d="M60 {y:.1f}H{WIDTH - 190}" stroke="#868e96" stroke-opacity=".35"/>')
        parts.append(text(54, y + 4, number(tick), **{"text-anchor": "end"}))
    parts += [
        text(x_axis.place(tick), top + 274, f"{tick:g}", **{"text-anchor": "middle"})
        for tick in x_axis.ticks()
    ]
    for position, line in enumerate(placed):
        parts += curve(line, position, x_axis, y_axis, top)
    return parts


def curve(line: Line, position: int, x_axis: Axis, y_axis: Axis, top: float) -> list[str]:
    colour = COLOURS[position % len(COLOURS)]
    points = " ".join(f"{x_axis.place(x):.1f},{y_axis.place(y):.1f}" for x, y in line.points)
    y = top + 46 + 20 * position
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
        rectangle(WIDTH - 180, y - 9, 12, 4, colour),
        text(WIDTH - 162, y, line.name),
    ]
