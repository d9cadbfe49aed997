"""Invalidations that wait for a commit, gathered by cache; one for each open transaction."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import concurrency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.orm import SessionTransaction

    from dualcache import Cache

__all__ = ["Gathered", "Pending"]


@dataclass(slots=True)
class Gathered:
    """Keys, tags and patterns of one cache, each once, and the keys to hold by their hold."""

    keys: dict[str, None] = field(default_factory=dict[str, None])
    tags: dict[str, None] = field(default_factory=dict[str, None])
    patterns: dict[str, None] = field(default_factory=dict[str, None])
    held: dict[Any, dict[str, None]] = field(default_factory=dict[Any, dict[str, None]])

    def add(
        self, keys: Iterable[str], tags: Iterable[str], patterns: Iterable[str], hold: Any = 0
    ) -> None:
        """Gather more of them."""
        self.keys.update(dict.fromkeys(keys))
        self.tags.update(dict.fromkeys(tags))
        self.patterns.update(dict.fromkeys(patterns))
        if hold:
            self.held.setdefault(hold, {}).update(dict.fromkeys(keys))

    def merge(self, other: Gathered) -> None:
        """Gather what a savepoint has gathered."""
        self.add(other.keys, other.tags, other.patterns)
        for hold, keys in other.held.items():
            self.held.setdefault(hold, {}).update(keys)

    def hold(self, cache: Cache) -> None:
        """Invalidate the keys to hold, so that nothing is stored under them for a while."""
        for hold, keys in self.held.items():
            _invalidate(cache, keys, hold=hold)

    def deliver(self, cache: Cache) -> None:
        """Send one invalidation for all of it."""
        _invalidate(cache, self.keys, tags=self.tags, patterns=self.patterns)


class Pending:
    """The invalidations of one session."""

    def __init__(self) -> None:
        self._gathered: dict[SessionTransaction | None, dict[Cache, Gathered]] = {}
        self._errors: list[Exception] = []

    def of(self, transaction: SessionTransaction | None, cache: Cache) -> Gathered:
        """Return the invalidations of a transaction for a cache; `None`: of the next one."""
        return self._gathered.setdefault(transaction, {}).setdefault(cache, Gathered())

    def begin(self, transaction: SessionTransaction) -> None:
        """Give the transaction that begins everything that was asked for before it."""
        for cache, gathered in self._gathered.pop(None, {}).items():
            self.of(transaction, cache).merge(gathered)

    def hold(self, transaction: SessionTransaction) -> None:
        """Hold the keys that are to be held, before the commit."""
        errors: list[Exception] = []
        _each(self._gathered.get(transaction, {}), Gathered.hold, errors)
        if errors:
            raise errors.pop(0)

    def commit(self, transaction: SessionTransaction) -> None:
        """Invalidate after the outermost commit; before it, hand over to the outer transaction."""
        found = self._gathered.pop(transaction, {})
        outer = _enclosing(transaction)
        if outer is None:
            # At once, and not when the transaction ends: a task that is cancelled, or a database
            # that goes away, while the connection is handed back would leave that out. What the
            # cache raises waits until then, since a session cannot go on from an error here.
            _each(found, Gathered.deliver, self._errors)
            return
        for cache, gathered in found.items():
            self.of(outer, cache).merge(gathered)

    def end(self, transaction: SessionTransaction) -> None:
        """Forget a part that was rolled back; raise a cache's exception from after the commit."""
        self._gathered.pop(transaction, None)
        if transaction.parent is None and self._errors:
            errors, self._errors = self._errors, []
            raise errors.pop(0)


def _enclosing(transaction: SessionTransaction) -> SessionTransaction | None:
    """Return the savepoint or the transaction around, past the transactions of flushes."""
    outer = transaction.parent
    while outer is not None and outer.parent is not None and not outer.nested:
        outer = outer.parent
    return outer


def _each(
    found: dict[Cache, Gathered],
    step: Callable[[Gathered, Cache], None],
    errors: list[Exception],
) -> None:
    """Take a step for each cache, for the others too where one fails; raise an interrupt last."""
    interrupts: list[BaseException] = []
    for cache, gathered in found.items():
        try:
            step(gathered, cache)
        except Exception as error:  # noqa: BLE001  the caller raises it
            errors.append(error)
        except BaseException as interrupt:  # noqa: BLE001  raised below
            interrupts.append(interrupt)
    if interrupts:
        raise interrupts.pop(0)


def _invalidate(cache: Cache, keys: Iterable[str], **more: Any) -> None:
    # An AsyncSession runs its session in a greenlet of the loop's thread: the sync face would hold
    # up the loop for a trip, so the greenlet gives way to the loop, as for the database. Without
    # the library for greenlets, which SQLAlchemy needs for that alone, asking would raise.
    if "greenlet" in sys.modules and concurrency.in_greenlet():
        _await(cache.aio.invalidate(*keys, **more))
    else:
        cache.invalidate(*keys, **more)


_await: Callable[[Any], Any] = getattr(concurrency, "await_", None) or concurrency.await_only
"""SQLAlchemy 2.0 has it under its old name alone."""
