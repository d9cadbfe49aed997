"""Every flow of the async face under trio, cancelled at each op, whatever the server does then."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import BackendTimeout, BackendUnavailable
from dualcache.drivers import async_driver
from tests.drivers.test_async_driver import FLOWS, MOST_OPS, STATES, Site

if TYPE_CHECKING:
    from dualcache import Cache
    from dualcache.core.ops import Op

trio = pytest.importorskip("trio")

NAME: Final = "dualcache"
"""How the system tasks of a cache begin."""


class Server:
    """A memory store behind a link: op number `at` is cancelled, later ones meet `state`.

    `has_arrived`: the op that is cancelled was carried out, and only its reply is missing.
    """

    def __init__(self, cache: Cache, at: int, state: str, *, has_arrived: bool) -> None:
        self._perform = cache._runtime.backend._store.perform  # type: ignore[union-attr]
        self._at = at
        self._state = state
        self._has_arrived = has_arrived
        self._asked = 0
        self._hang_ends = trio.Event()
        self.reached = trio.Event()

    async def perform(self, op: Op[Any]) -> Any:
        self._asked += 1
        if self._asked == self._at:
            if self._has_arrived:
                self._perform(op)
            self.reached.set()
            await trio.sleep_forever()
        if self.reached.is_set():
            if self._state == "hung":
                await self._hang_ends.wait()
                raise BackendTimeout("late", code="DC201")
            if self._state == "refusing":
                raise BackendUnavailable("refused", code="DC200")
        await trio.lowlevel.checkpoint()
        return self._perform(op)

    def end_hang(self) -> None:
        """Let every wait for the server end, as the time-out of a connection does."""
        self._hang_ends.set()


async def attempt(name: str, at: int, state: str, *, has_arrived: bool) -> bool:
    """Make a call, and cancel it at that op; return whether it came to it."""
    site = Site()
    await site.prepare(name)
    server = Server(site.cache, at, state, has_arrived=has_arrived)
    site.behind(server)
    has_returned = False

    async def call() -> None:
        nonlocal has_returned
        await FLOWS[name](site)
        has_returned = True

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        while not has_returned and not server.reached.is_set():
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert has_returned is not server.reached.is_set()
    server.end_hang()
    await tasks_ended()
    assert len(site.cache._runtime.backend.flights) == 0
    site.behind(None)
    if state == "healthy" and not has_returned:  # the lease was given back: this load is stored
        await site.plain()
        assert await site.aio.get("k") in {"loaded", "set"}
    await site.aio.aclose()
    await tasks_ended()
    return not has_returned


async def tasks_ended() -> None:
    """Wait until no system task of a cache is left."""
    root = trio.lowlevel.current_root_task()

    def left(task: Any) -> list[Any]:
        children = [each for nursery in task.child_nurseries for each in nursery.child_tasks]
        beneath = [each for child in children for each in left(child)]
        return [*beneath, *(each for each in children if each.name.startswith(NAME))]

    with trio.fail_after(10):
        while left(root):
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", list(FLOWS))
def test_a_call_cancelled_at_any_op_raises_and_leaves_neither_flight_nor_task(
    monkeypatch: pytest.MonkeyPatch, name: str, state: str
) -> None:
    monkeypatch.setattr(async_driver, "CLEAN_UP_SECONDS", 0.002)

    async def every_op() -> int:
        for at in count(1):
            reached = [await attempt(name, at, state, has_arrived=each) for each in (False, True)]
            if not any(reached):
                return at - 1
            assert at < MOST_OPS
        raise AssertionError("unreachable")

    assert trio.run(every_op) >= 1
