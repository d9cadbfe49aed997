"""Fixtures of the tests of behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.colours import SyncColour, async_colour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour


@pytest.fixture
def threads() -> Iterator[SyncColour]:
    """The sync face, for what is asked of threads alone."""
    adapter = SyncColour()
    yield adapter
    adapter.close()


@pytest.fixture
def tasks(pytestconfig: pytest.Config) -> Iterator[Colour]:
    """The async face, for what is asked of tasks alone."""
    adapter = async_colour(pytestconfig)
    yield adapter
    adapter.close()
