"""The hash slots of a cluster: which of them a key belongs to."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

__all__ = ["SLOTS", "slot_of"]

SLOTS: Final = 16_384


def slot_of(key: str | bytes) -> int:
    """Return the slot of a key: the CRC16 of it, or of its hash tag.

    Rule: only what stands between the first `{` and the next `}` counts, unless that is nothing
    (Redis Cluster specification, "Hash tags").
    """
    raw = key.encode() if isinstance(key, str) else key
    begin = raw.find(b"{")
    if begin >= 0:
        end = raw.find(b"}", begin + 1)
        if end > begin + 1:
            raw = raw[begin + 1 : end]
    return crc_hqx(raw, 0) % SLOTS
