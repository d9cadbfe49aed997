"""Leases that may be at the server though nobody loads under them: their reply was lost.

Others would wait for such a load until its lease ends, and so would this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MOST_LOST", "LostLeases"]

MOST_LOST: Final = 1_000
"""The oldest of more are forgotten: they end by themselves."""


class LostLeases:
    """The tokens that are still to be given back, each with its key and its end.

    Threads may share it: each step is one of a dict, and a lease that is given back twice costs one
    compare.
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[str, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def keep(self, held: Mapping[bytes, str], ends_ms: int) -> None:
        """Keep tokens that may have arrived, each with its key, for as long as they can live."""
        for token, key in held.items():
            self._held.setdefault(token, (key, ends_ms))
            if len(self._held) > MOST_LOST:
                self._held.pop(next(iter(self._held)), None)

    def forget(self, token: bytes) -> None:
        """Forget a token that the server has answered for."""
        self._held.pop(token, None)

    def living(self, now_ms: int) -> dict[bytes, str]:
        """Return the leases to give back; forget those that have ended by themselves."""
        living = {}
        for token, (key, ends_ms) in tuple(self._held.items()):
            if ends_ms > now_ms:
                living[token] = key
            else:
                self.forget(token)
        return living
