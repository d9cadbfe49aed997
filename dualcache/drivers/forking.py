"""Objects of one process: they begin anew in a forked child, and are neither copied nor pickled.

No thread or connection of the parent works in a child; what may hold a lock holds still at a fork.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, SupportsIndex
from weakref import WeakSet

from dualcache.errors import UsageError

if TYPE_CHECKING:

    class Renewable(Protocol):
        def after_fork(self) -> None: ...

    class Holding(Protocol):
        def stop(self) -> None: ...

        def resume(self) -> None: ...


__all__ = ["OfOneProcess", "hold_still_at_forks", "renew_in_children"]

THINGS: Final[WeakSet[Renewable]] = WeakSet()
WORKING: Final[WeakSet[Holding]] = WeakSet()


class OfOneProcess:
    """Something of which there is no copy, in this process or another."""

    def __reduce_ex__(self, _: SupportsIndex) -> NoReturn:
        """Refuse to be copied or pickled, for which both ask here."""
        raise UsageError(
            "a cache can be neither copied nor pickled: its connections, locks and running loads "
            "belong to one process",
            code="DC180",
            help="create it once at module level and import it; leave it out of objects that are "
            "copied or pickled, in their __getstate__",
        )


def renew_in_children(thing: Renewable) -> None:
    """Have `thing.after_fork()` called in each forked child, as long as it lives."""
    THINGS.add(thing)


def hold_still_at_forks(thing: Holding) -> None:
    """Have `thing.stop()` called before each fork, and `thing.resume()` in the parent after it.

    What its thread holds at the moment of a fork would be held for ever in the child.
    """
    WORKING.add(thing)


def _stop_all() -> None:
    """Hold still for a fork."""
    for thing in list(WORKING):
        thing.stop()


def _resume_all() -> None:
    """Go on in the parent after a fork."""
    for thing in list(WORKING):
        thing.resume()


def _renew_all() -> None:
    """Begin anew in a forked child."""
    for thing in list(THINGS):
        thing.after_fork()


# Not on Windows, which has no fork. Python calls hooks of `before` in reverse order, the others in
# order; each of ours is registered once, since nothing can be taken back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_stop_all, after_in_parent=_resume_all, after_in_child=_renew_all)
