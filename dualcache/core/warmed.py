"""How far filling ahead has come."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Warmed"]


class Warmed(Struct, frozen=True):
    """Counts of the calls that `warm` was given, by how they ended.

    `errors` are the first of those that failed, each with its arguments; `failed` counts them all.
    """

    fresh: int = 0
    loaded: int = 0
    failed: int = 0
    errors: tuple[tuple[tuple[Any, ...], Exception], ...] = ()
