"""Forks: what must begin anew in the child, where no thread or connection of the parent works."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakSet

if TYPE_CHECKING:

    class Renewable(Protocol):
        def renew(self) -> None: ...


THINGS: Final[WeakSet[Renewable]] = WeakSet()


def renew_in_children(thing: Renewable) -> None:
    """Have `thing.renew()` called in each forked child, as long as it lives."""
    THINGS.add(thing)


def renew_all() -> None:
    """Begin anew in a forked child."""
    for thing in list(THINGS):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=renew_all)
