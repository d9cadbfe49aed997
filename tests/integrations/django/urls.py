"""The URLs of the tests; each test of views has views of its own."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []
