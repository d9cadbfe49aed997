"""The command `dualcache`, as an installation makes it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING

from dualcache import __version__
from dualcache.cli.main import main
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    import pytest


def test_the_console_script_leads_to_the_command_line() -> None:
    described = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    place = described["project"]["scripts"]["dualcache"]
    assert callable(EntryPoint("dualcache", place, "console_scripts").load())
    module, _, name = place.partition(":")
    code = f"import sys; from {module} import {name}; sys.exit({name}())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, f"dualcache {__version__}\n")


def test_without_the_extra_the_demo_runs_and_the_rest_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    monkeypatch.setattr("dualcache.cli.demo.SLOW_SECONDS", 0.01)
    assert main(["demo", "--url", "memory://"]) == 0
    assert main(["doctor", "--url", "redis://localhost"]) == 2
    shown = capsys.readouterr()
    assert shown.err == 'dualcache doctor needs click and rich: pip install "dualcache[cli]"\n'
    assert main([]) == 0
    assert main(["--version"]) == 0
    assert main(["demo", "--urk"]) == 2
    assert main(["demo", "--url", "reddis://x"]) == 2
    assert "[DC160]" in capsys.readouterr().err


def test_the_shell_completes_commands_and_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_DUALCACHE_COMPLETE", "bash_complete")
    for typed, offered in {
        "dualcache inv": "invalidate",
        "dualcache explain DC10": "DC101",
    }.items():
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
        with contextlib.suppress(SystemExit):
            main([])
        assert f"plain,{offered}" in capsys.readouterr().out
