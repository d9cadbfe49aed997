"""The pictures of the README show what was measured, and what the demo prints."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from benchmarks import pictures, svg
from benchmarks.page import put_between

README = (pictures.ROOT / "README.md").read_text("utf-8")
PEERS = pictures.summary_of((pictures.ROOT / "docs/performance.md").read_text("utf-8"))


def test_the_readme_has_the_numbers_of_the_page_on_performance() -> None:
    assert len(PEERS) > 5
    assert put_between(pictures.SPEED, pictures.speed_table(PEERS), README) == README


def test_the_chart_is_drawn_from_these_numbers() -> None:
    drawn = svg.draw(pictures.groups_of(PEERS))
    assert (pictures.ROOT / "docs/pictures/speed.svg").read_text("utf-8") == drawn


def test_a_peer_that_is_faster_has_a_shorter_bar_than_ours() -> None:
    assert pictures.Peer("lru_cache", "a hit in process", "4 times slower").ratios() == [0.25]
    assert pictures.Peer("cashews", "a hit", "3.3 / 9 times faster").ratios() == [3.3, 9.0]


def test_a_terminal_shows_each_word_at_its_column() -> None:
    drawn = ET.fromstring(pictures.terminal("x", ["  ok   two words   <3"]))
    texts = drawn.findall("{http://www.w3.org/2000/svg}text")
    assert [text.text for text in texts] == ["$ x", "ok", "two words", "<3"]
    columns = [round((float(text.get("x", 0)) - 18) / pictures.CHARACTER) for text in texts]
    assert columns == [0, 2, 7, 19]


def test_the_picture_of_the_demo_has_the_lines_that_the_demo_prints() -> None:
    drawn = (pictures.ROOT / "docs/pictures/demo.svg").read_text("utf-8")

    def words(text: str) -> list[str]:
        return re.findall(r"[^\d\s.]{2,}", text)  # times differ from run to run

    shown = [
        text.text or "" for text in ET.fromstring(drawn).iter() if text.text and text.text.strip()
    ]
    assert words(" ".join(shown[1:])) == words(" ".join(pictures.demo()))
