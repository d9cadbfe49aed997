"""Events to observers: in the caller's thread, unless that holds callers up."""

from __future__ import annotations

import os
from collections import deque
from threading import Lock, Thread
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from dualcache.core.callables import taking_of
from dualcache.core.events import Event, Hit, ObserverFailed
from dualcache.core.interrupts import interrupt_in
from dualcache.errors import UsageError
from dualcache.observability.lines import LINES, fields_of, logger_of
from dualcache.observability.logs import log

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.typing import Observer

__all__ = ["MOST_WAITING", "SLOW_CALLS", "SLOW_SECONDS", "Hearing", "Observers"]

SLOW_SECONDS: Final = 0.1
"""From here on an observer's call counts as slow."""
SLOW_CALLS: Final = 3
"""How many slow calls move an observer: one may be the machine's fault."""
MOST_WAITING: Final = 1_000
"""How many events wait for a slow observer; those that come then are not handed to it."""


class Hearing(NamedTuple):
    """Whether anybody listens at all, for hits, and for keys."""

    anything: bool
    hits: bool
    keys: bool


class Observers:
    """Hands events to observers; one that raises or is slow is counted, and harms nobody.

    `failures` counts what observers raised, and the events that a slow one did not get.
    """

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._observers: tuple[_Observer, ...] = ()
        self._now = now
        self.failures = 0

    def add(self, observer: Any, kinds: Any = None, *, include_keys: bool = False) -> object:
        """Have an observer called with each event from now on; return the handle for `remove`.

        With `kinds` it is called with events of these classes only.
        """
        made = _Observer(_to_observer(observer), self._call, _to_kinds(kinds), include_keys)
        self._observers = (*self._observers, made)
        return made

    def remove(self, added: object) -> None:
        """Call an observer no more."""
        self._observers = tuple([each for each in self._observers if each is not added])

    def emit(self, event: Event, server: str = "") -> None:
        """Log changes of the state of `server`, and call every observer."""
        line = LINES.get(type(event))
        if line is not None:
            level, text = line(event, server)
            log(level, "%s", text, logger=logger_of(event), fields=fields_of(event, server))
        key = getattr(event, "key", "")
        for observer in self._observers:
            if not isinstance(event, observer.kinds):
                continue
            told = event if observer.include_keys or not key else _without_key(event)
            if observer.is_slow:
                if not observer.hand_over(told):
                    self.failures += 1
                continue
            began = self._now()
            self._call(observer, told)
            if self._now() - began >= SLOW_SECONDS:
                observer.note_slow()

    @property
    def hearing(self) -> Hearing:
        """What observers listen for: no event is made that nobody hears."""
        observers = self._observers
        hits = any(issubclass(Hit, each.kinds) for each in observers)
        return Hearing(bool(observers), hits, any(each.include_keys for each in observers))

    def _call(self, observer: _Observer, event: Event) -> None:
        try:
            observer.function(event)
        except Exception as error:
            if interrupt_in(error) is not None:
                raise
            # The observer's own: the caller must not notice.
            self.failures += 1
            if not isinstance(event, ObserverFailed):
                self.emit(ObserverFailed(error=type(error).__name__))


class _Observer:
    """One observer. When it has been slow, a thread of its own calls it, in the order of events.

    The thread ends when no event waits, so there is nothing to stop; in a forked child another one
    begins.
    """

    def __init__(
        self,
        function: Observer,
        call: Callable[[_Observer, Event], None],
        kinds: tuple[type[Event], ...],
        include_keys: bool,
    ) -> None:
        self.function = function
        self.kinds = kinds
        self.include_keys = include_keys
        self.is_slow = False
        self._call = call
        self._slow_calls = 0
        self._process = 0
        self._is_running = False
        self._lock = Lock()
        self._waiting: deque[Event] = deque()

    def note_slow(self) -> None:
        """Count a slow call; move the observer to a thread if that was not the first."""
        self._slow_calls += 1
        if self._slow_calls < SLOW_CALLS or self.is_slow:
            return
        self.is_slow = True
        log(
            "WARNING",
            "the observer %s has delayed callers %d times by more than %g s; a thread calls it "
            "from now on, and drops events while %d wait: let it put them into a queue",
            getattr(self.function, "__qualname__", type(self.function).__name__),
            SLOW_CALLS,
            SLOW_SECONDS,
            MOST_WAITING,
        )

    def hand_over(self, event: Event) -> bool:
        """Let the thread call the observer with an event; False: too many wait."""
        if self._process != os.getpid():  # the first, or forked: the parent's thread is not here
            self._process, self._is_running = os.getpid(), False
            self._lock, self._waiting = Lock(), deque()
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(event)
            if self._is_running:
                return True
            self._is_running = True
        try:
            Thread(target=self._work, name="dualcache-observer", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            self._is_running = False
        return True

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                event = self._waiting.popleft()
            try:
                self._call(self, event)
            except BaseException:  # an interrupt that the observer raised
                self._is_running = False
                raise


def _without_key(event: Any) -> Event:
    """Return an event without its key, for an observer that has not asked for keys."""
    bare: Event = replace(event, key="")
    return bare


def _to_observer(observer: Any) -> Observer:
    """Check an observer of events; one that takes no event is called without."""
    if not callable(observer):
        raise UsageError(
            "the observer of on_event() is not callable",
            code="DC154",
            help="give a function of one event: @cache.on_event above it, or on_event(function)",
        )
    taking = taking_of(observer, (), option="the observer", owner="on_event()", first="event")
    takes_event = taking is None or taking.takes_result
    called: Any = observer if takes_event else lambda _: observer()
    return called  # type: ignore[no-any-return]  # which of them it is, was looked at


def _to_kinds(kinds: Any) -> tuple[type[Event], ...]:
    """Check which events an observer is called with."""
    if kinds is None:
        return (Event,)
    given = (kinds,) if isinstance(kinds, type) else tuple(kinds)
    wrong = [each for each in given if not (isinstance(each, type) and issubclass(each, Event))]
    if wrong or not given:
        raise UsageError(
            "events= of on_event() takes classes of events",
            code="DC485",
            help="name them: on_event(function, events=[Loaded, LoadFailed])",
        )
    return given
