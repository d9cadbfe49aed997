"""Libraries that move the time of a test: which of them does so now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["time_traveller"]


def time_traveller(modules: Mapping[str, Any]) -> str | None:
    """Name the library among the imported `modules` that moves time at this moment."""
    if getattr(modules.get("freezegun.api"), "freeze_factories", None):
        return "freezegun"
    hatch = getattr(modules.get("time_machine"), "escape_hatch", None)
    return "time-machine" if hatch is not None and hatch.is_travelling() else None
