"""What flows ask of the front tier: ports, and the tier that is not there.

The machine that decides is in `engine/coherence.py`, the store in `front/store.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dualcache.core.entry import Stored
    from dualcache.core.policy import Call

__all__ = ["NO_FRONT", "UNTRACKED", "FrontPort", "FrontTiers", "NoFront", "Read"]


UNTRACKED: Final = 0
"""No stream: the server does not track the connection that read."""


class Read(NamedTuple):
    """What was read, and under which tickets; `life_ms=None` may be kept for ever.

    `push_epoch` is the one for which the server tracks the connections that read it; `None` where
    it tracks none.
    """

    tickets: Sequence[Any]
    stored: Stored
    life_ms: int | None
    push_epoch: int | None


class FrontPort(Protocol):
    """One function's part of the front tier."""

    def find(self, call: Call) -> Any:
        """Return the caller's own value, or MISSING."""

    def holds(self, call: Call) -> bool:
        """Tell whether a call would be answered from here."""
        ...

    def begin_read(self, names: Iterable[str]) -> Any:
        """Return a ticket for names that are about to be read."""

    def install(self, call: Call, value: Any, read: Read) -> None:
        """Keep what was read, if nothing of it can have changed since its tickets."""


class FrontTiers(Protocol):
    """The front tier of a whole cache."""

    def drop(self, names: Iterable[str]) -> None:
        """Forget these keys, and whatever has these tags; nothing read before is kept."""

    def drop_matching(self, matches: Callable[[str], bool]) -> None:
        """Forget the keys and tags of such names; nothing read before is kept."""

    def drop_all(self) -> None:
        """Forget everything; nothing read before is kept."""

    def mark(self, name: str) -> int | None:
        """Return a number that rises when a name may have changed; `None` if nobody tells."""


class NoFront:
    """The front tier of a cache that has none."""

    def drop(self, names: Iterable[str]) -> None:
        """Nothing is kept."""

    def drop_matching(self, matches: Callable[[str], bool]) -> None:
        """Nothing is kept."""

    def drop_all(self) -> None:
        """Nothing is kept."""

    def mark(self, name: str) -> None:
        """Nobody tells."""


NO_FRONT = NoFront()
