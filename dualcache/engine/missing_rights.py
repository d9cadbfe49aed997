"""Rights that the user of the server lacks: each is reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.events import RightMissing

if TYPE_CHECKING:
    from dualcache.engine.env import Env

__all__ = ["note_missing_right"]


def note_missing_right(env: Env, right: str, without: str, *, is_replaced: bool) -> None:
    """Report to observers that a right is missing, once."""
    # `setdefault` is one step: two threads that meet the same refusal do not both tell of it.
    told = object()
    if env.health.missing_rights.setdefault(right, told) is told:
        env.emit(RightMissing(right=right, without=without, is_replaced=is_replaced))
