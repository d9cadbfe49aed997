"""Work done by several fresh processes that begin together."""

from __future__ import annotations

import multiprocessing
import traceback
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.synchronize import Barrier

PATIENCE_SECONDS: Final = 300.0


def together(work: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
    """Run `work(barrier, *arguments)` in so many new processes; return what each returns.

    `barrier` lets them begin at the same moment, as often as they like.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count)
    running = []
    for _ in range(count):
        here, there = context.Pipe()
        process = context.Process(target=entry, args=(there, barrier, work, arguments), daemon=True)
        process.start()
        there.close()
        running.append((process, here))
    found = checked([receive(connection) for _, connection in running])
    for process, connection in running:
        process.join(10)
        connection.close()
    return found


def entry(
    connection: Connection, barrier: Barrier, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    """Stand at the beginning of a new process."""
    try:
        connection.send(work(barrier, *arguments))
    except Exception:  # noqa: BLE001  the other side tells it
        barrier.abort()
        connection.send(Failure(traceback.format_exc()))


class Failure:
    """What a process died of, as text."""

    def __init__(self, text: str) -> None:
        self.text = text


def receive(connection: Connection) -> Any:
    if not connection.poll(PATIENCE_SECONDS):
        raise RuntimeError("a process of this benchmark gives no answer")
    return connection.recv()


def checked(replies: list[Any]) -> list[Any]:
    """Return the replies, or raise what the first process died of: the others only waited."""
    failures = [reply.text for reply in replies if isinstance(reply, Failure)]
    for text in sorted(failures, key=lambda text: BrokenBarrierError.__name__ in text):
        raise RuntimeError(f"a process of this benchmark failed:\n{text}")
    return replies
