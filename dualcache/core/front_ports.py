"""The front tier as flows and drivers see it: two ports, and the tier that is not there.

The machine that decides is in `engine/coherence.py`, the store in `front/store.py`. `FunctionFront`
and `Front` answer here, `NO_TIER` where a cache has no front tier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dualcache.core.entry import Stored

__all__ = ["NO_TIER", "UNTRACKED", "NoTier", "PushEpoch", "Read", "TierPort", "heard_together"]

PushEpoch: TypeAlias = "int | tuple[int, ...] | None"
"""Which streams of pushes tell of the changes of what was read.

The number of a server's stream; in a cluster those of all nodes that were read. `None`: pushes do
not depend on the connection.
"""
UNTRACKED: Final = 0
"""The push epoch of a read whose changes no stream tells."""


class Read(NamedTuple):
    """An entry that was read, and its tickets; `life_ms=None` may be kept for ever.

    `push_epoch` is that of all reads that the entry was made of.
    """

    tickets: Sequence[Any]
    stored: Stored
    life_ms: int | None
    push_epoch: PushEpoch


class TierPort(Protocol):
    """The front tier of a whole cache."""

    def drop(self, names: Iterable[str]) -> None:
        """Forget these keys, and all that carries these tags; keep nothing that was read before."""

    def drop_matching(self, pattern: str) -> None:
        """Forget what a pattern revokes (no namespace before it); keep nothing read before."""

    def drop_all(self) -> None:
        """Forget everything; keep nothing that was read before."""

    def mark(self, name: str) -> int | None:
        """Return a number that rises when a name may have changed; `None` if no push says so."""

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when all pushes of by now are fed. False: nothing is heard."""
        ...


class NoTier:
    """The front tier of a cache that has none."""

    def drop(self, names: Iterable[str]) -> None:
        """Nothing is kept."""

    def drop_matching(self, pattern: str) -> None:
        """Nothing is kept."""

    def drop_all(self) -> None:
        """Nothing is kept."""

    def mark(self, name: str) -> None:
        """No push says that it changed."""

    def ask_proof(self, wake: Callable[[], None]) -> bool:
        """Nothing is heard."""
        del wake
        return False


def heard_together(push_epochs: Iterable[PushEpoch]) -> PushEpoch:
    """Return the push epoch of several reads of one entry; `UNTRACKED` where they have none."""
    found = set(push_epochs)
    if len(found) == 1:
        return found.pop()
    heard: set[int] = set()
    for each in found:
        # A read without a stream leaves the entry without one, whoever tells of its other reads.
        if not each:
            return UNTRACKED
        heard.update(each if isinstance(each, tuple) else (each,))
    return tuple(sorted(heard))


NO_TIER: Final[TierPort] = NoTier()
