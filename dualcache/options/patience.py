"""How long a call waits for the server: numbers that both colours share.

A call waits at most `socket_timeout` since the last byte that moved, and at most `call_timeout` in
all; connecting, with all that belongs to it, takes at most `socket_connect_timeout`.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CALL_TIMEOUTS", "LARGE_BYTES", "LEAST_BYTES_PER_SECOND", "extra_seconds"]

CALL_TIMEOUTS: Final = 4
"""The default of `call_timeout`, in `socket_timeout`s."""
LARGE_BYTES: Final = 65_536
"""From here on a command or a reply is large: it may take longer than the server's answer."""
LEAST_BYTES_PER_SECOND: Final = 4 * 1024 * 1024


def extra_seconds(sent_bytes: int) -> float:
    """Return how much longer the answer to a command of this size may take.

    The kernel takes megabytes long before the server has them, and nobody tells when they arrive;
    so a link of at least this speed is assumed.
    """
    return sent_bytes / LEAST_BYTES_PER_SECOND if sent_bytes > LARGE_BYTES else 0.0
