"""When to believe that a slot has another node: the node that had it must know, too.

A slot that is moved as a whole, and one whose replica is promoted, belongs to its new node at once.
The old node hears of that later than the others, and serves reads until then. If a deletion at the
new node were acknowledged in that time, others would still read the old value. The old node takes
no write in that time, so a caller that asks it waits for just long enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Handovers"]


class Handovers:
    """Takes the nodes' answers on all slots, except losses that the loser does not know yet.

    Others are believed after all if the loser has not answered for `max_staleness`.
    """

    __slots__ = ("_elapsed_ms", "_patience_ms", "_since_ms")

    def __init__(self, max_staleness: float, elapsed_ms: Callable[[], int]) -> None:
        self._patience_ms = round(max_staleness * 1_000)
        self._elapsed_ms = elapsed_ms
        self._since_ms: dict[str, dict[str, int]] = {}
        """Since when each teller has given slots of a node to others."""

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is not believed yet."""
        return any(self._since_ms.values())

    def believed(
        self, known: Sequence[str], told: Sequence[str], teller: str, sure: frozenset[str]
    ) -> Sequence[str]:
        """Return the slots that count from now on; `told` itself if all of it is believed.

        `sure` are nodes that may lose slots by anybody's word: one that does not answer, and the
        name that stands for none.
        """
        now_ms, before = self._elapsed_ms(), self._since_ms.pop(teller, {})
        for each in self._since_ms.values():
            each.pop(teller, None)  # it answers, so it may take its time
        losers = {old for old, new in zip(known, told, strict=True) if old != new}
        doubted = {node: before.get(node, now_ms) for node in losers - sure - {teller}}
        waiting = {node for node, since in doubted.items() if now_ms - since < self._patience_ms}
        if not waiting:
            return told
        self._since_ms[teller] = {node: doubted[node] for node in waiting}
        return tuple([old if old in waiting else new for old, new in zip(known, told, strict=True)])
