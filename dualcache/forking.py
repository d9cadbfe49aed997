"""What belongs to one process: it begins anew in a forked child, and is neither copied nor pickled.

No thread or connection of the parent works in a child.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, SupportsIndex
from weakref import WeakSet

from dualcache.errors import UsageError

if TYPE_CHECKING:

    class Renewable(Protocol):
        def renew(self) -> None: ...


THINGS: Final[WeakSet[Renewable]] = WeakSet()


class OfOneProcess:
    """Something of which there is no copy, in this process or another."""

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled, for which both ask here."""
        raise UsageError(
            "a cache can be neither copied nor pickled: its connections, locks and flights belong "
            "to one process",
            code="DC180",
            help="make it once at module level and import it there; leave it out of objects that "
            "are copied or pickled (__getstate__ tells what is)",
        )


def renew_in_children(thing: Renewable) -> None:
    """Have `thing.renew()` called in each forked child, as long as it lives."""
    THINGS.add(thing)


def renew_all() -> None:
    """Begin anew in a forked child."""
    for thing in list(THINGS):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_all)
