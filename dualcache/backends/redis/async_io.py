"""The I/O of an asyncio connection, as its owner sees it.

There are two: `TransportIO` speaks to the transport itself, `ReaderTaskIO` has redis-py read and
write. Both take packed commands, and give replies in the order in which they came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.errors import BackendError

__all__ = ["ConnectionIO", "Owner", "loop_ends"]


class Owner(Protocol):
    """A connection as its I/O calls it, always from the event loop."""

    def receive(self, replies: Sequence[Any]) -> None:
        """Take replies that came, an error as the exception that redis-py makes of it."""

    def pause(self) -> None:
        """Have new callers wait: the socket takes no more."""

    def resume(self) -> None:
        """Write the commands that are queued: the socket takes more again."""

    def fail(self, error: BackendError) -> None:
        """End the connection; a second call does nothing."""


class ConnectionIO(Protocol):
    """The bytes of one connection, out and in."""

    heard_at: float
    """When bytes last came, by the clock of the loop."""
    heard_bytes: int
    """How many bytes have come."""

    @property
    def unwritten(self) -> Callable[[], int]:
        """Returns how many bytes the socket has not taken yet."""
        ...

    def begin(self) -> None:
        """Start to give replies, those that came before included; never before it returns."""

    def write(self, commands: list[bytes]) -> None:
        """Send packed commands, all or as soon as the socket takes them; raises nothing."""

    async def room(self) -> None:
        """Wait until the socket takes more, or the connection ends."""

    def close(self) -> None:
        """End the connection at once, without sending the rest of its buffer."""

    async def ended(self) -> None:
        """Wait until nothing of it is left on the loop."""

    def forget(self) -> None:
        """Let go of everything without the loop, which has ended."""


def loop_ends() -> BackendUnavailable:
    """Return the error for commands in flight when the event loop ends."""
    return BackendUnavailable("the event loop ends", code="DC200")
