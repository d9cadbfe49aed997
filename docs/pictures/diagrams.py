"""The diagrams of the documentation: `python docs/pictures/diagrams.py` draws them anew.

A diagram of calls has lanes from left to right and steps from top to bottom. The layers are boxes.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final, NamedTuple

LANE: Final = 200
STEP: Final = 34
MARGIN: Final = 20
STYLE: Final = (
    "<style>"
    "text{font:13px system-ui,sans-serif;fill:#212529}.small{font-size:12px;fill:#495057}"
    ".head{font-weight:600}.bad{fill:#c92a2a}.good{fill:#2b8a3e}"
    "rect{fill:#f1f3f5;stroke:#adb5bd}.lane{stroke:#adb5bd;stroke-dasharray:3 4}"
    ".call{stroke:#1971c2;stroke-width:1.6}.reply{stroke:#868e96;stroke-width:1.4;"
    "stroke-dasharray:5 3}.push{stroke:#d9480f;stroke-width:1.6}"
    "@media(prefers-color-scheme:dark){text{fill:#e9ecef}.small{fill:#ced4da}"
    "rect{fill:#25292e;stroke:#5c636a}.bad{fill:#ff8787}.good{fill:#8ce99a}}"
    "</style>"
)
ARROWS: Final = "".join(
    f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    f'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{colour}"/></marker>'
    for kind, colour in (("call", "#1971c2"), ("reply", "#868e96"), ("push", "#d9480f"))
)


class Step(NamedTuple):
    """An arrow from one lane to another, or a remark in one."""

    start: int
    end: int
    text: str
    kind: str = "call"
    """`call`, `reply` or `push`; of a remark `small`, `good` or `bad`."""


class Calls(NamedTuple):
    """A diagram of calls."""

    title: str
    lanes: tuple[str, ...]
    steps: tuple[Step, ...]


def note(lane: int, text: str, kind: str = "small") -> Step:
    return Step(lane, lane, text, kind)


def reply(start: int, end: int, text: str) -> Step:
    return Step(start, end, text, "reply")


HIT: Final = Calls(
    "A hit in each tier",
    ("your call", "front tier", "Redis", "your function"),
    (
        Step(0, 1, "get_user(7)"),
        reply(1, 0, "a copy: about 0.2 µs"),
        note(1, "no copy, or coherence is in doubt"),
        Step(0, 2, "GET user:7, with its tags"),
        reply(2, 0, "an entry: about 20 µs and the network"),
        note(1, "keeps a copy for the next call"),
        note(2, "absent, stale, or a dead tag"),
        Step(0, 3, "run, and store"),
        reply(3, 0, "the value"),
    ),
)
STAMPEDE: Final = Calls(
    "A miss that a hundred callers share",
    ("99 callers", "one caller", "Redis", "your function"),
    (
        Step(1, 2, "SET marker NX; GET: mine"),
        Step(1, 3, "run, once"),
        Step(0, 1, "same process: wait for that load"),
        Step(0, 2, "other processes: GET: a marker"),
        note(0, "wait, for a bounded time"),
        reply(3, 1, "the value"),
        Step(1, 2, "store, if the marker is still mine"),
        reply(1, 0, "the value, a copy for each"),
        Step(2, 0, "push, or the next poll: the value", "push"),
    ),
)
RACE: Final = Calls(
    "An invalidation that races a load",
    ("reader", "Redis", "writer", "database"),
    (
        Step(0, 1, "put marker A"),
        Step(0, 3, "read: old"),
        Step(2, 3, "write: new, commit"),
        Step(2, 1, "DEL: marker A is gone"),
        Step(0, 1, "store old, if A is there"),
        reply(1, 0, "no: not stored"),
        note(0, "this caller gets the old value,", "small"),
        note(0, "nobody after it does", "good"),
        Step(0, 1, "next call: marker B"),
        Step(0, 3, "read: new"),
        Step(0, 1, "store new, if B is there: yes"),
    ),
)
LOST: Final = Calls(
    "The front tier loses its stream of changes",
    ("your call", "front tier", "listener", "Redis"),
    (
        Step(2, 3, "PING, three times in max_staleness"),
        Step(3, 2, "all pushes so far, then PONG", "push"),
        Step(2, 1, "proved up to now"),
        Step(0, 1, "get_user(7): served"),
        note(3, "the link dies; nobody says so", "bad"),
        Step(2, 3, "PING: no answer"),
        note(1, "the proof is overdue: closed, emptied", "bad"),
        Step(0, 3, "get_user(7): reads Redis"),
        Step(2, 3, "connects again, pushes on"),
        note(1, "starts empty, then opens", "good"),
    ),
)
CALLS: Final = {"hit": HIT, "stampede": STAMPEDE, "race": RACE, "lost-stream": LOST}
LAYERS: Final = (
    (("cli", "dashboard", "integrations", "testing"), "import the public root only"),
    (("Cache", "cache.aio"), "the faces: methods of a few lines"),
    (("functions", "endpoints", "http"), "decorators, compiled for each function"),
    (("sync driver", "async driver", "backends"), "wait, lock, spawn, send: no decisions"),
    (("engine",), "every decision, as flows and plain functions: no I/O"),
    (("codecs", "keys", "options"), "values as bytes, calls as keys"),
    (("core",), "what all agree on: ops, entries, events, the stored form"),
)
"""The floors of the house, from the top. Imports only go down."""


def draw(diagram: Calls) -> str:
    """Draw a diagram of calls."""
    places = [MARGIN + LANE * lane + LANE / 2 for lane in range(len(diagram.lanes))]
    bottom = 96 + STEP * len(diagram.steps)
    parts = [text(MARGIN, 24, diagram.title, "head")]
    for name, x in zip(diagram.lanes, places, strict=True):
        parts += [
            f'<path class="lane" d="M{x} 72V{bottom - 12}"/>',
            f'<rect x="{x - 72}" y="42" width="144" height="28" rx="6"/>',
            text(x, 61, name, "head", "middle"),
        ]
    for number, step in enumerate(diagram.steps):
        y = 104 + STEP * number
        start, end = places[step.start], places[step.end]
        if step.start == step.end:
            anchor = "end" if step.start == len(places) - 1 else "start"
            x = start + (-10 if anchor == "end" else 10)
            parts.append(text(x, y, step.text, step.kind, anchor))
            continue
        shift = 4 if start < end else -4
        line = f'<path class="{step.kind}" d="M{start + shift} {y}H{end - shift}" fill="none" '
        parts.append(f'{line}marker-end="url(#{step.kind})"/>')
        parts.append(text((start + end) / 2, y - 6, step.text, "small", "middle"))
    return document(2 * MARGIN + LANE * len(places), bottom, parts)


def draw_layers() -> str:
    """Draw the floors of the house."""
    width, parts = 800, [text(MARGIN, 24, "The layers: imports only go down", "head")]
    for floor, (rooms, meaning) in enumerate(LAYERS):
        y = 42 + 52 * floor
        wide = (410 - 8 * (len(rooms) - 1)) / len(rooms)
        for place, room in enumerate(rooms):
            x = MARGIN + place * (wide + 8)
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="40" rx="6"/>')
            parts.append(text(x + wide / 2, y + 25, room, "head", "middle"))
        parts.append(text(MARGIN + 426, y + 25, meaning, "small"))
    return document(width, 52 + 52 * len(LAYERS), parts)


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def document(width: float, height: float, parts: list[str]) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    body = "\n".join(parts)
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return f"{begin}\n{STYLE}\n<defs>{ARROWS}</defs>\n{body}\n</svg>\n"


def drawn() -> dict[str, str]:
    """Return each diagram by the name of its file."""
    made = {f"{name}.svg": draw(diagram) for name, diagram in CALLS.items()}
    return made | {"layers.svg": draw_layers()}


if __name__ == "__main__":
    for name, picture in drawn().items():
        (Path(__file__).parent / name).write_text(picture, "utf-8")
