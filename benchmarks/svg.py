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
BARS_END: Final = WIDTH - 135
FIELD_HEIGHT: Final = 340
FIELD_END: Final = WIDTH - 200
WIDE: Final = 30.0
"""From this ratio of the longest bar to the shortest, the axis is logarithmic."""
NARROW: Final = 1.7
"""Up to so many powers of ten, a logarithmic axis has ticks at 1, 2 and 5."""
GREY: Final = "#868e96"
COLOURS: Final = (
    "#d9480f",
    "#1971c2",
    "#2f9e44",
    "#9c36b5",
    "#e8a600",
    "#0c8599",
    "#c2255c",
    GREY,
)
STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#495057}.head{font-weight:600}"
    ".axis{font-size:11px}@media(prefers-color-scheme:dark){text{fill:#ced4da}}</style>"
)


class Bar(NamedTuple):
    """One subject: how long its bar is, and what is written beside it."""

    name: str
    value: float
    told: str
    is_ours: bool


class Bars(NamedTuple):
    """A case: its bars, and what their length means."""

    title: str
    meaning: str
    bars: Sequence[Bar]


class Line(NamedTuple):
    """One subject over x."""

    name: str
    points: Sequence[tuple[float, float]]
    is_ours: bool


class Field(NamedTuple):
    """A case: its lines, and what both axes mean."""

    title: str
    x_meaning: str
    y_meaning: str
    lines: Sequence[Line]


class Axis(NamedTuple):
    """An axis from one place of the picture to another."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool

    def place(self, value: float) -> float:
        share = (self._scaled(value) - self.low) / (self.high - self.low)
        return self.start + max(0.0, share) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.is_logarithmic:
            times = (1, 2, 5) if self.high - self.low <= NARROW else (1,)
            decades = range(math.floor(self.low), math.floor(self.high) + 1)
            ticks = [n * 10.0**decade for decade in decades for n in times]
            return [n for n in ticks if self.low - 1e-9 <= math.log10(n) <= self.high + 1e-9]
        step = round_step(self.high / 4)
        return [step * n for n in range(int(self.high / step + 1e-9) + 1)]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_logarithmic else value


def round_step(step: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50, … that is no less."""
    power: float = 10.0 ** math.floor(math.log10(step))
    return next(times * power for times in (1, 2, 5, 10) if times * power >= step * (1 - 1e-9))


def round_below(value: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50, … that is no more."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(times * power for times in (5, 2, 1) if times * power <= value * (1 + 1e-9))


def logarithmic_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return an axis between round numbers around the values."""
    low, high = round_below(min(values)), round_step(max(values))
    if low == high:
        high = round_step(2 * high)
    return Axis(math.log10(low), math.log10(high), start, end, is_logarithmic=True)


def axis_of_bars(values: Sequence[float]) -> Axis:
    """Return an axis from zero; a logarithmic one where a linear one would hide the short bars."""
    shortest, longest = min(values), max(values)
    if shortest > 0 and longest / shortest >= WIDE:
        # The shortest bar has a length, too.
        return logarithmic_axis([shortest / 2, longest], LABELS, BARS_END)
    return Axis(0.0, longest or 1.0, LABELS, BARS_END, is_logarithmic=False)


def draw(cases: Iterable[Field | Bars]) -> str:
    """Draw lines or bars for each case, over axes of its own."""
    parts: list[str] = []
    top = 6.0
    for case in cases:
        if isinstance(case, Field):
            parts += field(case, top)
            top += FIELD_HEIGHT
        else:
            drawn, top = bar_group(case, top)
            parts += drawn
    return document(top, parts)


def bar_group(group: Bars, top: float) -> tuple[list[str], float]:
    axis = axis_of_bars([bar.value for bar in group.bars])
    bottom = top + 30 + 22 * len(group.bars)
    parts = [text(0, top + 18, group.title, **{"class": "head"})]
    for tick in axis.ticks():
        x = axis.place(tick)
        parts += [
            grid(f"M{x:.1f} {top + 26:.1f}V{bottom:.1f}"),
            text(x, bottom + 14, number(tick), **{"class": "axis", "text-anchor": "middle"}),
        ]
    for position, bar in enumerate(group.bars):
        y = top + 44 + 22 * position
        width = max(1.0, axis.place(bar.value) - LABELS) if bar.value > 0 else 1.0
        colour = COLOURS[0] if bar.is_ours else GREY
        parts += [
            text(LABELS - 8, y, bar.name, **{"text-anchor": "end"}),
            rectangle(LABELS, y - 13, width, 17, colour),
            text(LABELS + width + 6, y, bar.told),
        ]
    scale = ", logarithmic scale" if axis.is_logarithmic else ""
    parts.append(text(LABELS, bottom + 30, f"{group.meaning}{scale}", **{"class": "axis"}))
    return parts, bottom + 44


def field(given: Field, top: float) -> list[str]:
    """Draw one field. Logarithms have no zero: an x of 0 stands at 0.5, a y of 0 is left out."""
    placed = [
        line._replace(points=[(max(x, 0.5), y) for x, y in line.points if y > 0])
        for line in given.lines
        if any(y > 0 for _, y in line.points)
    ]
    bottom = top + 285
    points = [point for line in placed for point in line.points]
    x_axis = logarithmic_axis([x for x, _ in points], 70, FIELD_END)
    y_axis = logarithmic_axis([y for _, y in points], bottom - 4, top + 44)
    parts = [text(0, top + 18, given.title, **{"class": "head"})]
    for tick in y_axis.ticks():
        y = y_axis.place(tick)
        parts.append(grid(f"M70 {y:.1f}H{FIELD_END}"))
        parts.append(text(64, y + 4, number(tick), **{"class": "axis", "text-anchor": "end"}))
    for tick in x_axis.ticks():
        x = x_axis.place(tick)
        parts.append(grid(f"M{x:.1f} {top + 44:.1f}V{bottom - 4:.1f}"))
        parts.append(
            text(x, bottom + 12, number(tick), **{"class": "axis", "text-anchor": "middle"})
        )
    middle = (top + bottom) / 2 + 20
    turned = {"class": "axis", "text-anchor": "middle", "transform": f"rotate(-90 14 {middle:.1f})"}
    parts += [
        text(14, middle, f"{given.y_meaning}, logarithmic scale", **turned),
        text(70, bottom + 30, f"{given.x_meaning}, logarithmic scale", **{"class": "axis"}),
    ]
    # The legend has the order of the lines at their right end, so that the eye finds them.
    placed.sort(key=lambda line: -line.points[-1][1])
    others = iter(COLOURS[1:] * 2)
    for position, line in enumerate(placed):
        colour = COLOURS[0] if line.is_ours else next(others)
        parts += curve(line, colour, x_axis, y_axis, top + 56 + 20 * position)
    return parts


def curve(line: Line, colour: str, x_axis: Axis, y_axis: Axis, y: float) -> list[str]:
    places = [(x_axis.place(x), y_axis.place(value)) for x, value in line.points]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    width = 3 if line.is_ours else 1.5
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>',
        *[f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width}" fill="{colour}"/>' for x, y in places],
        rectangle(FIELD_END + 12, y - 9, 12, 4, colour),
        text(FIELD_END + 30, y, line.name),
    ]


def text(x: float, y: float, written: str, **attributes: str) -> str:
    made = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{made}>{escape(written)}</text>'


def rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    size = f'width="{width:.1f}" height="{height}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}"/>'


def grid(path: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{GREY}" stroke-opacity=".35"/>'


def document(height: float, parts: Iterable[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    body = "\n".join(parts)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{STYLE}\n{body}\n</svg>\n'
