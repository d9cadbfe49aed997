"""How many invalidations there were, and when the last one was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.counters import Tally
    from dualcache.core.events import Invalidated

__all__ = ["MOST_TEMPLATES", "InvalidationCounts"]

MOST_TEMPLATES: Final = 1_000
"""For how many templates invalidations are told apart."""


class InvalidationCounts:
    """Counts invalidations: all, and those by the handles of each function."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._all = (0, 0.0)
        self._by_template: dict[str, tuple[int, float]] = {}

    def note(self, event: Invalidated) -> None:
        """Count one invalidation."""
        now, known = self._now(), self._by_template
        self._all = (self._all[0] + 1, now)
        template = event.template
        if template in known or len(known) < MOST_TEMPLATES:
            known[template] = (known.get(template, (0, 0.0))[0] + 1, now)

    def add_to(self, tallies: Mapping[str, Tally]) -> None:
        """Put the counts into the statistics of each function."""
        for template, (count, at) in self._by_template.copy().items():
            if template in tallies:
                tallies[template].invalidations = count
                tallies[template].invalidated_at = at

    def add_all(self, total: Tally) -> None:
        """Put the count of all invalidations, also those by name, into the statistics of all."""
        total.invalidations, at = self._all
        total.invalidated_at = at or None
