"""The front tier put together: what decides, what stores, and what hears the pushes."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from weakref import WeakSet

from msgspec import Struct

from dualcache.codecs.recipe import is_immutable
from dualcache.core.durations import to_ms
from dualcache.core.entry import MISSING
from dualcache.core.options import to_int
from dualcache.engine.coherence import CLOSED, Coherence
from dualcache.errors import UsageError
from dualcache.tiers.front import FrontEntry, FrontStore, Owner, Tags, index_key, make_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dualcache.core.front import Read
    from dualcache.core.policy import Call
    from dualcache.drivers.changes import Changes
    from dualcache.engine.coherence import Ticket

Transport = Literal["auto", "tracking", "broadcast", "ttl"]
TRANSPORTS: Final = ("auto", "tracking", "broadcast", "ttl")
JITTER: Final = 0.1
"""Share of a kept copy's life that chance takes away, so that copies do not end together."""
COPIED: Final[dict[type, Callable[[Any], Any]]] = {
    dict: dict.copy,
    list: list.copy,
    set: set.copy,
    bytearray: bytearray.copy,
}


class FrontTier(Struct, frozen=True):
    """The in-process tier: how much it keeps, and for how long.

    At most `max_entries`, and `max_bytes` of keys and encoded values where that is given; no copy
    is older than `max_age` seconds (`None`: as old as its entry in the backend), however long that
    lives. `transport` says how changes made by other processes are heard: `"tracking"`,
    `"broadcast"`, `"ttl"` (not at all: `max_age` is then the bound), `"auto"` tries and chooses.
    """

    max_entries: int = 10_000
    max_bytes: int | None = None
    max_age: Any = 60
    transport: Transport = "auto"

    def __post_init__(self) -> None:
        to_int(self.max_entries, "max_entries", owner="FrontTier()", minimum=1)
        if self.max_bytes is not None:
            to_int(self.max_bytes, "max_bytes", owner="FrontTier()", minimum=1)
        to_ms(self.max_age, option="max_age", owner="FrontTier()", allow_none=True)
        if self.transport not in TRANSPORTS:
            raise UsageError(
                f"FrontTier() knows no transport {self.transport}",
                code="DC164",
                help=f"one of {', '.join(TRANSPORTS)}",
            )


def to_front(front: FrontTier | int | None) -> FrontTier | None:
    """Return the tier that `front=` asks for; a number is that of its entries."""
    if front is None or front is False:
        return None
    if isinstance(front, FrontTier):
        return front
    return FrontTier(max_entries=to_int(front, "front", owner="Cache()", minimum=1))


class Front:
    """The front tier of one cache: one machine, one stream of pushes, a store for each limit.

    `lock` guards stores and machine; it is never held while user code runs or anybody waits.
    """

    def __init__(
        self,
        options: FrontTier,
        *,
        max_staleness: float,
        now: Callable[[], float],
        draw: Callable[[], float],
        changes: Changes,
    ) -> None:
        self.options = options
        self.now = now
        self.draw = draw
        self.lock = RLock()
        self.coherence = Coherence(max_staleness)
        self.tags = Tags()
        self.is_bounded = False
        self.transport: str = "none"
        self.reason = ""
        self.losses = 0
        self.on_choice: Callable[[str, str], None] = lambda _transport, _reason: None
        self.start: Callable[[], None] = lambda: None
        self._stores: WeakSet[StoreRef] = WeakSet()
        self._changes = changes
        self._bypassed = 0
        self.gate = Gate()
        self.shared = self.store_for(options)

    def store_for(self, options: FrontTier) -> StoreRef:
        """Return a store with its own limits."""
        made = StoreRef(make_store(options.max_entries, options.max_bytes), options)
        self._stores.add(made)
        return made

    # What the stream of pushes tells

    def connected(self, asked_at: float, *, is_tracked: bool) -> int:
        """Open the tier: the stream is complete since `asked_at`. Return its number."""
        with self.lock:
            self._empty()
            self.is_bounded = False
            stream = self.coherence.connected(asked_at, is_tracked=is_tracked)
            self._set_gate()
        self._changes.notify_all()
        return stream

    def lost(self) -> None:
        """Close and empty the tier: the stream may be incomplete."""
        with self.lock:
            was_up = self.coherence.is_up
            self.coherence.lost()
            self._set_gate()
            self._empty()
            self.losses += was_up
        self._changes.notify_all()

    def broken(self) -> None:
        """Empty the tier: a connection is gone whose reads may have changed unheard."""
        with self.lock:
            self.coherence.feed_all()
            self._empty()
            self.losses += 1
        self._changes.notify_all()

    def open_alone(self) -> None:
        """Open the tier of a store that only this process writes to."""
        self.coherence.connected(float("inf"))
        self.transport, self.reason = "local", "nobody else writes"
        self._set_gate()

    def open_for_ttl(self, reason: str) -> None:
        """Open the tier without pushes: each copy lives no longer than it may be stale."""
        with self.lock:
            self._empty()
            self.is_bounded = True
            self.coherence.connected(float("inf"))
            self._set_gate()
        self.chose("ttl", reason)

    def chose(self, transport: str, reason: str) -> None:
        """Note by which transport changes are heard, and why; tell when the first changes."""
        is_change = transport != self.transport or not self.reason
        self.transport, self.reason = transport, reason
        if is_change:
            self.on_choice(transport, reason)

    def proved(self, asked_at: float) -> None:
        """Note a proof that the stream is complete up to `asked_at`."""
        with self.lock:
            self.coherence.proved(asked_at)
            self._set_gate()

    def feed(self, names: Iterable[str] | None) -> None:
        """Take a push: these names have changed; `None`: any may have."""
        if names is None:
            self.drop_all()
            self._changes.notify_all()
            return
        changed = list(names)
        self.drop(changed)
        self._changes.notify(changed)

    # What flows ask (core.front.FrontTiers)

    def drop(self, names: Iterable[str]) -> None:
        """Forget these keys and whatever has these tags; keep nothing that was read before."""
        changed = list(names)
        with self.lock:
            self.coherence.feed(changed)
            self.tags.kill(changed)
            for store in self._stores:
                for name in changed:
                    store.entries.drop(name)

    def drop_matching(self, matches: Callable[[str], bool]) -> None:
        """Forget the keys and tags of such names; keep nothing that was read before."""
        with self.lock:
            self.coherence.feed_all()
            names = [*self.tags.names(), *(key for each in self._stores for key in each.entries)]
        self.drop([name for name in names if matches(name)])

    def drop_all(self) -> None:
        """Forget everything; keep nothing that was read before."""
        with self.lock:
            self.coherence.feed_all()
            self._empty()

    def mark(self, name: str) -> int | None:
        """Return the counter of a name while changes are heard."""
        return self.coherence.mark(name) if self.coherence.is_up else None

    # Switching

    def bypass(self, *, on: bool) -> None:
        """Let no hit be served outside of flows while somebody wants to see each call."""
        with self.lock:
            self._bypassed += 1 if on else -1
            self._set_gate()

    def renew(self) -> None:
        """Begin anew, empty and closed, in a forked child."""
        self.lock = RLock()
        self.coherence.lost()
        self._empty()
        self._set_gate()

    def sizes(self) -> tuple[int, int]:
        """Return how many entries are kept, and in how many bytes as far as they are counted."""
        with self.lock:
            stores = [store.entries for store in self._stores]
            return sum(map(len, stores)), sum(store.used_bytes for store in stores)

    def _empty(self) -> None:
        for store in self._stores:
            store.entries.drop_all()

    def _set_gate(self) -> None:
        self.gate.open_until = CLOSED if self._bypassed else self.coherence.open_until


class Gate:
    """Until when (steady clock, seconds) a compiled wrapper may serve hits on its own."""

    __slots__ = ("open_until",)

    def __init__(self) -> None:
        self.open_until = CLOSED


class StoreRef:
    """A store and its limits, hashable."""

    __slots__ = ("__weakref__", "entries", "max_age_ms")

    def __init__(self, entries: FrontStore, options: FrontTier) -> None:
        self.entries = entries
        self.max_age_ms = to_ms(options.max_age, option="max_age", allow_none=True)


class FunctionFront:
    """One function's part of the front tier (core.front.FrontPort).

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
        self.owner = Owner()
        self.store = front.shared if options is None else front.store_for(options)

    def find(self, call: Call) -> Any:
        """Return the caller's own value, or MISSING; count a hit."""
        entry = self._servable(call)
        if entry is None:
            return MISSING
        entry.hits += 1
        return entry.value if entry.thaw is None else entry.thaw(entry.value)

    def holds(self, call: Call) -> bool:
        """Tell whether a call would be answered from here."""
        return self._servable(call) is not None

    def begin_read(self, names: Iterable[str]) -> Begun:
        """Return a ticket for names that are about to be read; the first starts the listener."""
        front = self.front
        front.start()
        return Begun(front.now(), front.coherence.begin_read(names))

    def install(self, call: Call, value: Any, read: Read) -> None:
        """Keep what was read, if nothing of it can have changed since its tickets.

        The value is the caller's: what is kept is another copy, unless nobody can change it.
        """
        front = self.front
        if not front.coherence.is_up:
            return
        entry = self._entry(call, value, read)
        size_bytes = len(call.key) + payload_bytes(read)
        linked = self._index_key(call, read)
        with front.lock:
            coherence = front.coherence
            if all(coherence.may_install(begun.ticket, read.stream) for begun in read.tickets):
                entry.cells = front.tags.cells(tag.name for tag in read.stored.tags)
                self.store.entries.put(entry, size_bytes, entry if linked is None else linked)

    def clear_counters(self) -> None:
        """Begin counting anew."""
        with self.front.lock:
            self.owner.hits = 0
            for entry in self.owner.index.values():
                entry.hits = 0

    @property
    def size(self) -> int:
        """How many entries of this function are kept."""
        return len(self.owner.index)

    @property
    def hits(self) -> int:
        """Hits so far, of entries that are gone and of those that are there."""
        with self.front.lock:
            return self.owner.hits + sum(entry.hits for entry in self.owner.index.values())

    def _index_key(self, call: Call, read: Read) -> Any:
        if self.positions is None or (read.stored.tags and not self.is_tagged):
            return None
        return index_key([call.args[at] for at in self.positions], self.types)

    def _servable(self, call: Call) -> FrontEntry | None:
        entry = self.store.entries.find(call.key)
        if entry is None or entry.owner is not self.owner or not entry.is_alive:
            return None
        now = self.front.now()
        if entry.fresh_until <= now or self.front.coherence.open_until <= now:
            return None
        return entry

    def _entry(self, call: Call, value: Any, read: Read) -> FrontEntry:
        front = self.front
        bound_ms = front.coherence.max_staleness * 1000 if front.is_bounded else None
        limits = (read.life_ms, self.store.max_age_ms, bound_ms)
        lives_ms = [each for each in limits if each is not None]
        life = min(lives_ms) / 1000 * (1 - JITTER * front.draw()) if lives_ms else float("inf")
        kept, thaw = frozen_form(call, value, read)
        return FrontEntry(call.key, kept, thaw, read.tickets[0].at + life, self.owner, ())


class Begun(NamedTuple):
    """A ticket and the moment at which it was taken: what is read later lives from here."""

    at: float
    ticket: Ticket


def frozen_form(call: Call, value: Any, read: Read) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return what is kept of a value, and how each caller gets his own copy of it.

    A value that nobody can change is shared. A flat container is copied; anything else is kept as
    its bytes and decoded for each caller.
    """
    if is_immutable(value):
        return value, None
    recipe, key, stored = call.policy.recipe, call.key, read.stored
    copy = COPIED.get(type(value))
    if copy is not None and is_flat(value):
        return copy(value), copy
    return stored, lambda kept: recipe.unpack(key, kept)


def is_flat(value: Any) -> bool:
    """Tell whether a container holds only what nobody can change."""
    if type(value) is dict:
        return all(map(is_immutable, value)) and all(map(is_immutable, value.values()))
    return type(value) is bytearray or all(map(is_immutable, value))


def payload_bytes(read: Read) -> int:
    """Return the size of what was read; an object that rides along counts as one word."""
    payload = read.stored.payload
    return len(payload) if isinstance(payload, bytes | memoryview) else 8
