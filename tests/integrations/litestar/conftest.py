"""The tests of Litestar are left out where it is not installed."""

from __future__ import annotations

from importlib.util import find_spec

collect_ignore_glob = ["test_*.py"] if find_spec("litestar") is None else []
