"""Fixtures of the tests of behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.colours import AsyncColour, SyncColour

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def threads() -> Iterator[SyncColour]:
    """The sync face, for what is asked of threads alone."""
    adapter = SyncColour()
    yield adapter
    adapter.close()


@pytest.fixture
def tasks() -> Iterator[AsyncColour]:
    """The async face, for what is asked of tasks alone."""
    adapter = AsyncColour()
    yield adapter
    adapter.close()
