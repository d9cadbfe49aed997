"""One function's part of the front tier: it keeps values that were read, and serves copies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs.compare import is_immutable
from dualcache.core.entry import MISSING
from dualcache.core.scope import current_load
from dualcache.front.copies import copier_of
from dualcache.front.store import FrontEntry, FunctionEntries, TaggedEntry, index_key
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.front_ports import Read
    from dualcache.core.policy import Call
    from dualcache.engine.coherence import Ticket
    from dualcache.front.tier import Front
    from dualcache.options.front_tier import FrontTier

__all__ = ["FunctionFront"]

JITTER: Final = 0.1
"""Share of a kept copy's life that chance takes away, so that copies do not end together."""


class FunctionFront:
    """One function's part of the front tier (core.front_ports.FunctionPort).

    `positions` are those of the arguments that make the key, where they alone do; calls are then
    indexed by them, for a compiled wrapper to find. It looks at tags only where `is_tagged`.
    """

    def __init__(
        self,
        front: Front,
        positions: tuple[int, ...] | None = None,
        types: tuple[type | None, ...] = (),
        options: FrontTier | None = None,
        *,
        is_tagged: bool = False,
    ) -> None:
        self.front = front
        self.positions = positions
        self.types = types
        self.is_tagged = is_tagged
        self.owner = FunctionEntries()
        self.store = front.shared if options is None else front.store_for(options)
        max_age = (options or front.options).max_age
        self._max_age_ms = to_ms(max_age, option="max_age", allow_none=True)

    def find(self, call: Call) -> Any:
        """Return the caller's own value, or MISSING; count a hit."""
        entry = self._servable(call)
        if entry is None or not self.front.may_serve():
            return MISSING
        entry.hits += 1
        return entry.value if entry.copy_out is None else entry.copy_out(entry.value)

    def holds(self, call: Call) -> bool:
        """Tell whether a call would be answered from here."""
        load = current_load.get()
        is_kept_from = load is not None and not self.front.coherence.may_serve_load(load)
        return not is_kept_from and self._servable(call) is not None

    def begin_read(self, names: Iterable[str]) -> _TimedTicket:
        """Return a ticket for names that are about to be read; the first starts the listener."""
        front = self.front
        front.pushes.start()
        return _TimedTicket(front.now(), front.coherence.begin_read(names))

    def install(self, call: Call, value: Any, read: Read) -> None:
        """Keep a copy of a read value, if nothing of it can have changed since its tickets.

        The value is the caller's: what is kept is another copy, unless nobody can change it.
        """
        front = self.front
        if not front.coherence.is_up:
            return
        entry = self._entry(call, value, read)
        size_bytes = len(call.key) + _payload_bytes(read)
        linked = self._index_key(call, read)
        # The question and the installation are one step: a push between them would find nothing to
        # drop, and what it revoked would be kept.
        with front.lock:
            coherence = front.coherence
            if all(coherence.may_install(timed.ticket, read.push_epoch) for timed in read.tickets):
                if isinstance(entry, TaggedEntry):
                    entry.cells = front.tags.cells(tag.name for tag in read.stored.tags)
                entry.prove(coherence.open_until)
                self.store.put(entry, size_bytes, entry if linked is None else linked)

    def clear_counters(self) -> None:
        """Begin counting anew."""
        with self.front.lock:
            self.owner.hits = 0.0
            for entry in self.owner.index.values():
                entry.hits = 0.0

    @property
    def size(self) -> int:
        """How many entries of this function are kept."""
        return len(self.owner.index)

    @property
    def hits(self) -> int:
        """Hits so far, of entries that are gone and of those that are there."""
        with self.front.lock:
            return int(self.owner.hits + sum(entry.hits for entry in self.owner.index.values()))

    def _index_key(self, call: Call, read: Read) -> Any:
        if self.positions is None or (read.stored.tags and not self.is_tagged):
            return None
        return index_key([call.args[at] for at in self.positions], self.types)

    def _servable(self, call: Call) -> FrontEntry | None:
        entry = self.store.find(call.key)
        if entry is None or entry.owner is not self.owner or not entry.is_alive:
            return None
        front, now = self.front, self.front.now()
        if entry.ends_at <= now or front.coherence.open_until <= now:
            return None
        if entry.fresh_until <= now:
            # It lives, and a later proof is there. Under the lock, since a drop in another thread
            # must not be undone by it.
            with front.lock:
                entry.prove(front.coherence.open_until)
        return entry

    def _entry(self, call: Call, value: Any, read: Read) -> FrontEntry:
        front = self.front
        bound_ms = front.coherence.max_staleness * 1000 if front.is_bounded else None
        limits = (read.life_ms, self._max_age_ms, bound_ms)
        lives_ms = [each for each in limits if each is not None]
        # Counted from the ticket, before the read was sent: so a copy never outlives its entry.
        life = min(lives_ms) / 1000 * (1 - JITTER * front.draw()) if lives_ms else float("inf")
        kept, copy_out = _frozen_form(call, value, read)
        form = TaggedEntry if read.stored.tags else FrontEntry
        return form(call.key, kept, copy_out, read.tickets[0].at + life, self.owner)


class _TimedTicket(NamedTuple):
    """A ticket and its time, from which the life of a copy is counted."""

    at: float
    ticket: Ticket


def _frozen_form(call: Call, value: Any, read: Read) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return a value in the form that is kept, and the function that copies it for each caller.

    A value that nobody can change is shared. A small container is copied; anything else is kept as
    its bytes and decoded for each caller.
    """
    if is_immutable(value):
        return value, None
    value_codec, stored = call.policy.value_codec, read.stored
    copy = copier_of(value)
    if copy is not None:
        return copy(value), copy
    read_payload = value_codec.reader_of(stored)
    if read_payload is not None:
        return bytes(stored.payload), read_payload
    return stored.packed, value_codec.copy


def _payload_bytes(read: Read) -> int:
    """Return the size of a read payload; an object of this process counts as one word."""
    payload = read.stored.payload
    return len(payload) if isinstance(payload, bytes | memoryview) else 8
