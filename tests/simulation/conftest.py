"""Long searches may take longer than a test that hangs."""

from __future__ import annotations

import faulthandler

import pytest


@pytest.fixture(autouse=True)
def _let_long_searches_run(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("storm") is not None:
        faulthandler.cancel_dump_traceback_later()
