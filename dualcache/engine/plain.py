"""The entry that is fresh as long as it exists: most are, and such a hit costs least.

Nothing is decided here: this reads what `classify` in `serve.py` would find fresh, in a fraction of
the time, and leaves all else to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import MISSING
from dualcache.core.envelope import end_of_living, plain_payload
from dualcache.core.interrupts import interrupt_in

if TYPE_CHECKING:
    from dualcache.core.ops import RawRead
    from dualcache.core.policy import Call

__all__ = ["plain_value"]


def plain_value(call: Call, raw_read: RawRead) -> object:
    """Return the value of an entry that needs no clock to be fresh; MISSING: classify it."""
    raw = raw_read.raw
    if raw is None:
        return MISSING
    reader = call.policy.value_codec.plain_reader(raw[:4])
    if reader is None:
        return MISSING
    payload_at = reader.payload_at
    if call.tags:  # they begin where the shape ends, if the entry has any
        payload_at = 0 if payload_at else end_of_living(raw, reader.shape_ends, raw_read.tag_ids)
    if not payload_at:
        return MISSING
    payload = plain_payload(call.key, raw, reader, payload_at)
    if payload is None:
        return MISSING
    try:
        return reader.read(payload)
    except Exception as error:
        if interrupt_in(error) is not None:
            raise
        return MISSING  # it is read once more there, which tells what is wrong with it
