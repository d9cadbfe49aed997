"""Readers of the values that most functions store, by the first four bytes of their entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.codecs.annotated import AnnotatedForm
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import HEADER_BYTES, PlainReader
from dualcache.core.envelope import LONGEST_PLAIN, read_plain_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PlainReaders"]

_CODECS = frozenset(map(int, CodecId))


class PlainReaders(dict[bytes, PlainReader | None]):
    """A `PlainReader` for each head that was read before; `None` where there is none.

    Of `shape` is what the reader takes; empty: whatever shape an entry has.
    """

    def __init__(
        self, readers: Mapping[int, Callable[[Any], Any]], shape: bytes, max_bytes: int
    ) -> None:
        super().__init__()
        self._readers = readers
        self._shape = shape
        self._longest = min(LONGEST_PLAIN, HEADER_BYTES + max_bytes)

    def __missing__(self, head: bytes) -> PlainReader | None:
        made = self._made(head)
        # There are few heads with a known codec: what a stranger writes cannot fill the memory.
        if made is not None or (len(head) > 2 and head[2] in _CODECS):
            self[head] = made
        return made

    def _made(self, head: bytes) -> PlainReader | None:
        found = read_plain_head(head)
        read = None if found is None else self._readers.get(found.codec)
        if found is None or read is None:
            return None
        form = getattr(read, "__self__", None)
        if isinstance(form, AnnotatedForm):
            read = form.own_reader(read)
        shape_at = found.shape_at if self._shape else found.shape_ends
        if self._shape and shape_at == found.shape_ends:  # of no shape: not for this type to read
            return None
        return PlainReader(
            read, self._shape, shape_at, found.shape_ends, found.payload_at, self._longest
        )
