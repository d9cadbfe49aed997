"""The checkers are there where types are checked (`tox -e types`), and not elsewhere."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore = [] if find_spec("mypy") and find_spec("pyright") else ["test_types.py"]
