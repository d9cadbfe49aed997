"""Raises at every point where CPython lets a signal handler in: after calls into C, at the start of
functions and where generators go on. An interrupt anywhere else would be no signal's.
"""

from __future__ import annotations

import dis
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cachetools

import dualcache

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

PACKAGES: Final = tuple([str(Path(str(each.__file__)).parent) for each in (dualcache, cachetools)])


class Countdown:
    """Counts such points of our own code and cachetools', in this thread; raises at the `at`-th.

    `again_after`: and once more, so many points later.
    """

    def __init__(self, at: int, kind: type[BaseException], again_after: int | None = None) -> None:
        self.left = at
        self.kind = kind
        self.again_after = again_after
        self.raised_at = ""

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "c_return") or not frame.f_code.co_filename.startswith(PACKAGES):
            return
        if event == "call" and not is_checked(frame):
            return
        self.left -= 1
        if self.left:
            return
        self.raised_at += f"{frame.f_code.co_qualname}:{frame.f_lineno} after {event}; "
        again, self.again_after = self.again_after, None
        if again is not None:
            self.left = again
            # CPython takes a profiler away that raised: a trace function puts it back.
            sys.settrace(self._again)
        if issubclass(self.kind, Exception):
            signal.raise_signal(signal.SIGUSR1)  # only a handler's exceptions are interrupts then
        raise self.kind

    def _again(self, *_: Any) -> None:
        sys.settrace(None)
        sys.setprofile(self)


def is_checked(frame: FrameType) -> bool:
    """Tell whether signals are looked at here: not where an inner generator or await goes on."""
    code, at = frame.f_code.co_code, max(0, frame.f_lasti)
    return code[at] != dis.opmap["RESUME"] or code[at + 1] & 3 < 2


@contextmanager
def interrupted(
    at: int, kind: type[BaseException], again_after: int | None = None
) -> Generator[Countdown]:
    """Raise `kind` at the `at`-th point of what runs inside."""
    countdown = Countdown(at, kind, again_after)

    def handler(*_: object) -> None:
        raise kind

    before = signal.signal(signal.SIGUSR1, handler)
    tracer = sys.gettrace()  # where coverage is measured there is one
    sys.setprofile(countdown)
    try:
        yield countdown
    finally:
        sys.setprofile(None)
        sys.settrace(tracer)
        signal.signal(signal.SIGUSR1, before)
