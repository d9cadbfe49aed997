"""The tutorial's two terminals, played by two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, blocks_of
from tests.docs.test_snippets import SERVER
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

BLOCKS = [block for block in blocks_of(ROOT / "docs/tutorial.md") if block.language == "python"]


class Terminal:
    """One `python -i shop.py`."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-q", "-i", "-u", "shop.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def type(self, line: str) -> list[str]:
        """Type a line; return the lines that it prints."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\nprint('done')\n")
        self.process.stdin.flush()
        shown: list[str] = []
        for printed in self.process.stdout:
            if printed == "done\n":
                return shown
            shown.append(printed.rstrip("\n"))
        raise AssertionError(f"the session ended at {line}")

    def close(self) -> None:
        self.process.communicate("exit()\n", timeout=30)


@pytest.fixture
def terminals(tmp_path: Path, redis_server: Server) -> Iterator[list[Terminal]]:
    program = next(block.text for block in BLOCKS if block.text.startswith("# shop.py"))
    (tmp_path / "shop.py").write_text(SERVER.sub(patient(redis_server.url), program), "utf-8")
    opened = [Terminal(tmp_path), Terminal(tmp_path)]
    yield opened
    for terminal in opened:
        terminal.close()


def test_two_terminals_show_what_the_tutorial_says(terminals: list[Terminal]) -> None:
    sessions = [block.text.splitlines() for block in BLOCKS if not block.is_run]
    assert len(sessions) == 3
    for number, session in enumerate(sessions):
        shown: list[str] = []
        for line in session:
            if line.startswith(">>> "):
                shown.append(line)
                shown += terminals[number % 2].type(line.removeprefix(">>> "))
        assert shown == session
