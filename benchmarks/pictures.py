"""The pictures of the README: the demo as a terminal shows it, and the summary of speed as bars.

`python -m benchmarks pictures` runs the demo, reads the summary of docs/performance.md, and writes
docs/pictures/*.svg and the README's table between its marks. No number is typed by hand.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import svg, table
from benchmarks.page import SUMMARY, put_between

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[1]
SPEED: Final = ("<!-- speed begin -->", "<!-- speed end -->")
PLACES: Final = ("a hit in process", "a hit in Redis")
MANY: Final = re.compile(r"(\d+) tasks at once")
COLUMNS: Final = 84
LINE_HEIGHT: Final = 19
CHARACTER: Final = 8.05
"""Width of a character of 13.4 px; `textLength` holds it whatever font the reader has."""
PAPER, INK, GOOD, FAINT = "#16181d", "#d7dae0", "#7bd88f", "#868e96"


class Peer(NamedTuple):
    """A row of the summary: what is replaced, where, and how much faster each case is."""

    today: str
    where: str
    told: str

    def ratios(self) -> list[float]:
        """Return how many times as fast dualcache is, case by case; below 1 it is slower."""
        numbers = [float(each) for each in re.findall(r"\d+(?:\.\d+)?", self.told)]
        return [1 / each for each in numbers] if "slower" in self.told else numbers


def write(root: Path = ROOT) -> None:
    """Write both pictures, and the README's table of speed."""
    folder = root / "docs" / "pictures"
    folder.mkdir(exist_ok=True)
    peers = summary_of((root / "docs" / "performance.md").read_text("utf-8"))
    (folder / "demo.svg").write_text(terminal("dualcache demo", demo()), "utf-8")
    (folder / "speed.svg").write_text(svg.draw(groups_of(peers)), "utf-8")
    readme = root / "README.md"
    readme.write_text(put_between(SPEED, speed_table(peers), readme.read_text("utf-8")), "utf-8")


def demo() -> list[str]:
    """Run the demo on memory://, and return the lines that it prints."""
    command = [sys.executable, "-m", "dualcache", "demo"]
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "NO_COLOR": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    return done.stdout.rstrip().splitlines()


def terminal(command: str, lines: Sequence[str]) -> str:
    """Draw a terminal in which a command has printed these lines."""
    shown = [f"$ {command}", *lines]
    width = round(CHARACTER * max(map(len, shown))) + 36
    height = LINE_HEIGHT * len(shown) + 56
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="ui-monospace,Menlo,Consolas,monospace" font-size="13.4"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
        f'<rect width="{width}" height="{height}" rx="8" fill="{PAPER}"/>',
        *[
            f'<circle cx="{20 + 18 * place}" cy="20" r="5.5" fill="{FAINT}" fill-opacity=".6"/>'
            for place in range(3)
        ],
    ]
    for number, line in enumerate(shown):
        y = 52 + LINE_HEIGHT * number
        parts += [written(start, y, words) for start, words in words_of(line)]
    return "\n".join([*parts, "</svg>\n"])


def words_of(line: str) -> list[tuple[int, str]]:
    """Return the runs of a line that no two spaces divide, with the column each begins at."""
    return [(found.start(), found[0]) for found in re.finditer(r"\S+(?: \S+)*", line)]


def written(column: int, y: float, words: str) -> str:
    ink = GOOD if words == "ok" or words.endswith("as promised") else INK
    x, length = 18 + CHARACTER * column, CHARACTER * len(words)
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{ink}" textLength="{length:.1f}">{escape(words)}</text>'
    )


def summary_of(page: str) -> list[Peer]:
    """Return the rows of the summary that the benchmarks have written into the page."""
    begin, end = SUMMARY
    rows = [line for line in page.partition(begin)[2].partition(end)[0].splitlines() if line]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
    return [Peer(today, where, told) for today, where, told, _ in cells]


def groups_of(peers: Sequence[Peer]) -> list[svg.Bars]:
    """Return the bars of hits in process, and of hits in Redis."""
    return [bars_of(place, [peer for peer in peers if place in peer.where]) for place in PLACES]


def bars_of(place: str, peers: Sequence[Peer]) -> svg.Bars:
    """Return a bar for each peer, by its last case: the one with the most callers at once."""
    bars = [svg.Bar("dualcache", 1.0, "1", is_ours=True)]
    for peer in peers:
        name = peer.today.replace("`", "").removesuffix(" and pickle")
        many = f", {callers[1]} tasks" if (callers := MANY.search(peer.where)) else ""
        times = peer.ratios()[-1]
        bars.append(svg.Bar(name + many, times, table.number(times), is_ours=False))
    meaning = "times as long as dualcache; shorter is faster"
    return svg.Bars(f"The time of {place}", meaning, bars)


def speed_table(peers: Sequence[Peer]) -> str:
    lines = [["instead of", "for", "dualcache is"]]
    return table.piped([*lines, *[list(peer) for peer in peers]])
