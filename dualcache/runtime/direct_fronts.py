"""The parts of the front tier that direct calls have: one for each codec they read with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from dualcache.front.of_function import FunctionFront

if TYPE_CHECKING:
    from dualcache.core.entry import ValueCodec
    from dualcache.front.tier import Front

__all__ = ["DirectFronts"]

MOST_CODECS: Final = 256
"""For how many codecs direct calls have a part of the front tier."""


class DirectFronts:
    """A part of the front tier for each codec, made when it is first read with."""

    def __init__(self, front: Front | None) -> None:
        self._front = front
        self._by_codec: LRUCache[ValueCodec, FunctionFront] = LRUCache(MOST_CODECS)

    def of(self, value_codec: ValueCodec) -> FunctionFront | None:
        """Return the part for a codec; `None` where there is no front tier."""
        if self._front is None:
            return None
        known = self._by_codec.get(value_codec)
        if known is None:
            known = self._by_codec[value_codec] = FunctionFront(self._front)
        return known

    @property
    def hits(self) -> int:
        """Hits of direct calls."""
        return sum([each.hits for each in list(self._by_codec.values())])
