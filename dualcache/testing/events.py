"""Events, recorded while a test runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dualcache import Event, each_cache

if TYPE_CHECKING:
    from collections.abc import Generator

E = TypeVar("E", bound=Event)


class Events(list[Event]):
    """A list of events, in order."""

    def of(self, kind: type[E], template: str | None = None) -> list[E]:
        """Return the events of one type, of all templates or of one."""
        found = [event for event in self if isinstance(event, kind)]
        return [event for event in found if template in {None, event.template}]


@contextmanager
def recorded_events() -> Generator[Events]:
    """Record the events of each cache of the process inside, with all hits."""
    events = Events()
    with each_cache(lambda cache: cache.observed(events.append)):
        yield events
