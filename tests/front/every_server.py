"""Fixtures of the tests whose subject are pushes: those run on each kind of server that is found.

Pushes are the servers' own doing. What the front tier does with them is the same on all of them, so
the other tests of this folder run on one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers import Server

__all__ = ["own_server", "redis_server"]


@pytest.fixture
def redis_server(any_server: Server) -> Server:
    return any_server


@pytest.fixture
def own_server(any_own_server: Server) -> Server:
    return any_own_server
