"""The connections of all event loops: each loop has its own, which go with it."""

from __future__ import annotations

from asyncio import _get_running_loop  # the public one raises where there is none
from contextlib import suppress
from sys import modules
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, ref

from dualcache.drivers.async_loop import asyncio_loop, is_trio, unknown_loop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from dualcache.core.ops import Op

__all__ = ["LoopConnections", "OfOneLoop"]


class OfOneLoop(Protocol):
    """The connections of one event loop: to a server, or to the nodes of a cluster."""

    until_loop_ends: AsyncGenerator[None] | None

    def perform(self, op: Op[Any]) -> Awaitable[Any]:
        """Perform one backend op; raise `BackendError`."""
        ...

    def drop(self) -> None:
        """Close the connections; commands in flight fail."""

    def loop_ends(self) -> None:
        """Close the connections in the last turns of their loop."""

    def forget(self) -> None:
        """Go without a word: the loop has ended, so nothing can be closed in it."""

    async def aclose(self) -> None:
        """Close the connections and wait for their end."""


class LoopConnections:
    """The connections of each event loop of this process, which `make` makes in that loop.

    trio has none: the function that `begin_on_trio` returns performs ops there.

    It goes with its loop, which it holds, so the weak key alone would keep both for ever. A loop
    that was closed without a word is found out when another loop asks for its own.
    """

    def __init__(
        self,
        make: Callable[[], OfOneLoop],
        begin_on_trio: Callable[[], Callable[[Op[Any]], Awaitable[Any]]],
    ) -> None:
        self._make = make
        self._begin_on_trio = begin_on_trio
        self._on_trio: Callable[[Op[Any]], Awaitable[Any]] | None = None
        self._by_loop: WeakKeyDictionary[AbstractEventLoop, OfOneLoop] = WeakKeyDictionary()
        self._of_parents: list[object] = []
        self._last: tuple[ref[AbstractEventLoop], OfOneLoop] | None = None

    def after_fork(self) -> None:
        """Begin anew in a forked child.

        The parent's connections are kept aside: collecting them would close and report its sockets.
        """
        self._of_parents.append(dict(self._by_loop))
        self._by_loop = WeakKeyDictionary()
        self._last = None

    def perform(self, op: Op[Any]) -> Awaitable[Any]:
        """Perform one backend op on the running loop's connection; under trio in a thread."""
        loop = _get_running_loop()
        if loop is None or ("trio" in modules and is_trio()):
            return self._perform_on_trio(op)
        known = self._last
        if known is None or known[0]() is not loop:
            known = self._last = (ref(loop), self._of(loop))
        return known[1].perform(op)

    def _perform_on_trio(self, op: Op[Any]) -> Awaitable[Any]:
        if not is_trio():
            raise unknown_loop()
        if self._on_trio is None:
            self._on_trio = self._begin_on_trio()
        return self._on_trio(op)

    def _of(self, loop: AbstractEventLoop) -> OfOneLoop:
        found = self._by_loop.get(loop)
        if found is None:
            self.forget_ended()
            found = self._make()
            self._by_loop[loop] = found
            found.until_loop_ends = _begun(_until_loop_ends(ref(self), ref(found)))
        return found

    def forget_ended(self) -> None:
        """Let the connections of loops that have ended go."""
        self._last = None
        for loop in list(self._by_loop):
            found = self._by_loop.pop(loop, None) if loop.is_closed() else None
            if found is not None:
                found.forget()

    def forget(self, ended: OfOneLoop) -> None:
        """Let the connection of one loop go."""
        self._last = None
        for loop, each in list(self._by_loop.items()):
            if each is ended:
                del self._by_loop[loop]

    def drop(self) -> None:
        """Close the connections of every loop, each in its own; the next caller connects again."""
        for loop, each in list(self._by_loop.items()):
            if loop is asyncio_loop():
                each.drop()
                continue
            with suppress(RuntimeError):  # the loop has ended, and its connections with it
                loop.call_soon_threadsafe(each.drop)

    async def aclose(self) -> None:
        """Close the running loop's connections."""
        self._last = None
        loop = asyncio_loop()
        found = None if loop is None else self._by_loop.pop(loop, None)
        if found is not None:
            await found.aclose()
            if found.until_loop_ends is not None:
                # Left to the collector, a task would end it, which this loop may not run any more.
                await found.until_loop_ends.aclose()


async def _until_loop_ends(
    owner: ref[LoopConnections], connection: ref[OfOneLoop]
) -> AsyncGenerator[None]:
    """Wait at its one `yield` for the end of the loop, and close the connections then.

    A loop that ends tells its tasks, by cancelling them, and then its asynchronous generators. This
    one needs no task, costs nothing meanwhile, and comes after the clean-up of the user's tasks.
    """
    try:
        yield
    finally:
        ended = connection()
        if ended is not None:
            ended.loop_ends()
            owners = owner()
            if owners is not None:
                owners.forget(ended)


def _begun(generator: AsyncGenerator[None]) -> AsyncGenerator[None]:
    """Run an asynchronous generator of the running loop up to its first `yield`."""
    # A loop that has told its generators already warns of one more; the next loop finds that out.
    with suppress(StopIteration, ResourceWarning):
        generator.__anext__().send(None)
    return generator
