"""The progress of filling ahead."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["Warmed"]


class Warmed(Struct, frozen=True):
    """Counts of the calls that `warm` was given, by how they ended.

    `failed` counts all that failed. `errors` has the first of them, each with its arguments.
    """

    fresh: int = 0
    loaded: int = 0
    failed: int = 0
    errors: tuple[tuple[tuple[Any, ...], Exception], ...] = ()
