"""The message by which a process tells the others which names it revoked, and its channel.

For services whose servers do not say themselves what changed.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Revocation",
    "Told",
    "channel_of",
    "from_message",
    "life_key",
    "life_keys",
    "to_message",
]


class Revocation(NamedTuple):
    """Names in full, and patterns without the namespace, to be published on `channel`."""

    channel: str
    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()


Told = tuple[tuple[str, ...], tuple[str, ...]]
"""The names and the patterns of one message."""
_ENCODER: Final = Encoder()
_DECODER: Final = Decoder(Told)
MOST_LIFE_KEYS: Final = 200_000
"""Among so many names each slot of a cluster has one; a node may have a single slot of 16 384."""


def channel_of(prefix: str) -> str:
    """Return the channel of a namespace; no key of a user begins with `~`."""
    return f"{prefix}~c"


def life_key(prefix: str) -> str:
    """Return the key whose content is drawn anew whenever all keys of the server are gone.

    Nothing is published at a flush: that this key is gone, or another one, is all that tells of it.
    """
    return f"{prefix}~e"


def life_keys(prefix: str) -> Iterable[str]:
    """Yield names of such keys: a node of a cluster has the first of them that has its slot there.

    All processes that see the same slots take the same one.
    """
    first = life_key(prefix)
    return chain((first,), (f"{first}:{number}" for number in range(MOST_LIFE_KEYS)))


def to_message(revocation: Revocation) -> bytes:
    """Encode the names and patterns of a revocation."""
    return _ENCODER.encode((revocation.names, revocation.patterns))


def from_message(message: bytes) -> Told | None:
    """Decode the names and patterns of a message; `None`: not ours, so it may mean anything."""
    try:
        told: Told = _DECODER.decode(message)
    # msgspec lets text that is no UTF-8 through to Python's own error.
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return told
