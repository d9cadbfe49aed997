"""The diagrams in the pages are those that their source draws."""

from __future__ import annotations

import runpy
from xml.etree import ElementTree as ET

from tests.docs.pages import ROOT

PICTURES = ROOT / "docs/pictures"


def test_each_diagram_is_drawn_from_its_source() -> None:
    drawn = runpy.run_path(str(PICTURES / "diagrams.py"))["drawn"]()
    assert len(drawn) == 5
    stored = {name: (PICTURES / name).read_text("utf-8") for name in drawn}
    assert [name for name in drawn if drawn[name] != stored[name]] == []
    for picture in drawn.values():
        ET.fromstring(picture)
