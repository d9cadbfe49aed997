"""What is installed is what is in the source tree."""

from __future__ import annotations

import tomllib
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_file_of_the_package() -> None:
    try:
        installed = {str(path) for path in files("dualcache") or ()}
    except PackageNotFoundError:
        pytest.skip("dualcache is not installed here; tox installs its wheel")
    if not any(name.startswith("dualcache/") for name in installed):
        pytest.skip("dualcache is installed as editable; tox installs its wheel")
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dualcache").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source <= installed
    assert "dualcache/cli/errors.md" in installed, "dualcache explain has no page to read"


def test_the_extra_all_brings_every_other_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    whole = extras.pop("all")
    assert whole == [f"dualcache[{','.join(sorted(extras))}]"]


def test_the_page_on_installing_names_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = (ROOT / "docs" / "install.md").read_text("utf-8").splitlines()
    named = {
        name
        for row in rows
        if row.startswith("| `")
        for name in row.split("|")[1].replace("`", "").replace(",", " ").split()
    }
    assert named == {*project["optional-dependencies"]}
