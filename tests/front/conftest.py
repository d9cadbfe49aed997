"""Fixtures of the tests of the front tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.behaviour.conftest import tasks, threads

if TYPE_CHECKING:
    from dualcache.options.front_tier import Transport

__all__ = ["tasks", "threads"]  # fixtures that live elsewhere


@pytest.fixture(params=["tracking", "broadcast"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """The two transports that hear every change."""
    made: Transport = request.param
    return made
