"""The command `dualcache`, as an installation makes it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint

from dualcache import __version__
from tests.docs.pages import ROOT


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
