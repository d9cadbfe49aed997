"""What one process tells the others: which names it revoked, as a message on a channel.

For services whose servers do not say themselves what changed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from msgspec import MsgspecError
from msgspec.msgpack import Decoder, Encoder

__all__ = ["Revocation", "Told", "channel_of", "from_message", "life_key", "to_message"]


class Revocation(NamedTuple):
    """Names in full, and patterns without the namespace, to be told on `channel`."""

    channel: str
    names: tuple[str, ...]
    patterns: tuple[str, ...] = ()


Told = tuple[tuple[str, ...], tuple[str, ...]]
_ENCODER: Final = Encoder()
_DECODER: Final = Decoder(Told)


def channel_of(prefix: str) -> str:
    """Return the channel on which the processes of a namespace tell each other."""
    return f"{prefix}~c"


def life_key(prefix: str) -> str:
    """Return the key whose content is drawn anew whenever all keys of the server are gone."""
    return f"{prefix}~e"


def to_message(notice: Revocation) -> bytes:
    """Write what a notice tells."""
    return _ENCODER.encode((notice.names, notice.patterns))


def from_message(message: bytes) -> Told | None:
    """Read the names and patterns of a notice; `None`: not ours, so anything may be meant."""
    try:
        told: Told = _DECODER.decode(message)
    # msgspec lets text that is no UTF-8 through to Python's own error.
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return told
