"""Starting a thread while a signal handler may raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Thread

__all__ = ["start"]


def start(thread: Thread) -> None:
    """Start a thread; what a signal handler raises meanwhile comes out as it is.

    CPython makes a KeyError of an exception that comes just when the thread has begun: its `start`
    takes the thread off a list a second time.
    """
    try:
        thread.start()
    except KeyError as error:
        if error.__context__ is None:
            raise
        raise error.__context__ from None
