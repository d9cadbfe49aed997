"""Every flow of the async face, cancelled at each of its ops, whatever the server does then."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest

from dualcache import BackendTimeout, BackendUnavailable, Cache
from dualcache.core.front_ports import NO_TIER
from dualcache.drivers import async_driver
from dualcache.drivers.async_driver import AsyncDriver
from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dualcache.core.ops import Op

    Ask = Callable[["Site"], Awaitable[Any]]

MOST_OPS: Final = 30
STATES: Final = ("healthy", "hung", "refusing")
WAYS: Final = ("cancel", "wait_for", "timeout", "anyio")


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
        self._hung: list[asyncio.Future[Any]] = []
        self.reached = asyncio.Event()

    async def perform(self, op: Op[Any]) -> Any:
        self._asked += 1
        if self._asked == self._at:
            if self._has_arrived:
                self._perform(op)
            self.reached.set()
            return await self._never()
        if self.reached.is_set():
            if self._state == "hung":
                return await self._never()
            if self._state == "refusing":
                raise BackendUnavailable("refused", code="DC200")
        await asyncio.sleep(0)
        return self._perform(op)

    async def _never(self) -> Any:
        self._hung.append(asyncio.get_running_loop().create_future())
        return await self._hung[-1]

    async def end_hang(self) -> None:
        """Let every wait for the server end, as the watchdog of a link does."""
        while waiting := [each for each in self._hung if not each.done()]:
            for each in waiting:
                each.set_exception(BackendTimeout("late", code="DC201"))
            await asyncio.sleep(0)


class Site:
    """A cache of its own for one attempt, with what its functions need."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.cache = Cache("memory://", clock=lambda: self.now)
        self.aio = self.cache.aio

        @self.cache(key="k", tags=["t"])
        async def plain() -> str:
            return "loaded"

        @self.cache(key="k", stale_if_error=100, ttl=10, jitter=0)
        async def lasting() -> str:
            return "loaded"

        @self.cache(key="k", tags=lambda result: [result])
        async def tagged() -> str:
            return "loaded"

        self.plain: Any = plain
        self.lasting: Any = lasting
        self.tagged: Any = tagged

    def behind(self, server: Any | None) -> None:
        """Put a server before the store, or take it away."""
        backend = self.cache._runtime.backend
        if server is None:
            backend._async = None
        else:
            backend._async = AsyncDriver(server.perform, backend.flights, backend.changes, NO_TIER)

    async def prepare(self, name: str) -> None:
        if "stored" in name or "stale" in name:
            await self.lasting()
        if "stale" in name:
            self.now += 20
        if "cold" in name:
            for function in (self.plain, self.tagged):
                for _ in range(40):  # misses: the lease is asked for at once from now on
                    await function.invalidate()
                    await function()
                await function.invalidate()


async def many(names: list[str]) -> dict[str, str]:
    return dict.fromkeys(names, "loaded")


async def one() -> str:
    return "loaded"


FLOWS: Final[dict[str, Any]] = {
    "get, stored": lambda site: site.aio.get("k"),
    "get_many, stored": lambda site: site.aio.get_many(["k", "other"]),
    "peek, stored": lambda site: site.aio.peek("k"),
    "contains": lambda site: site.aio.contains("k"),
    "ttl": lambda site: site.aio.ttl("k"),
    "function": lambda site: site.plain(),
    "function, cold": lambda site: site.plain(),
    "function, stale": lambda site: site.lasting(),
    "function whose tags come with its result, cold": lambda site: site.tagged(),
    "refresh": lambda site: site.plain.refresh(),
    "refresh, stored": lambda site: site.lasting.refresh(),
    "get_or_load": lambda site: site.aio.get_or_load("k", one),
    "get_or_load_many": lambda site: site.aio.get_or_load_many(["k", "other"], many),
    "get_or_load_many, stored": lambda site: site.aio.get_or_load_many(["k", "other"], many),
    "set": lambda site: site.aio.set("k", "set", tags=["t"]),
    "set_many": lambda site: site.aio.set_many({"k": "set", "other": "set"}),
    "store": lambda site: site.plain.store("set"),
    "invalidate a key, stored": lambda site: site.aio.invalidate("k"),
    "invalidate a tag": lambda site: site.aio.invalidate(tags=["t"]),
    "invalidate a pattern, stored": lambda site: site.aio.invalidate(patterns=["k*"]),
    "invalidate of a function": lambda site: site.plain.invalidate(),
    "clear, stored": lambda site: site.aio.clear(everything=True),
    "ping": lambda site: site.aio.ping(),
}


class Interrupted:
    """A call in a task of its own, and the way in which that is told to stop."""

    def __init__(self, call: Callable[[], Awaitable[Any]], way: str) -> None:
        self._call = call
        self.has_returned = False
        self.raises: type[BaseException] = asyncio.CancelledError
        bodies = {"timeout": self._in_time, "anyio": self._in_scope}
        self.task = asyncio.create_task(bodies.get(way, self._caller)())
        self._stop: Callable[[], object] = self.task.cancel
        if way in {"timeout", "wait_for"}:
            self.raises = TimeoutError

    async def _caller(self) -> None:
        await self._call()
        self.has_returned = True

    async def _in_time(self) -> None:
        async with asyncio.timeout(None) as limit:
            self._stop = lambda: limit.reschedule(asyncio.get_running_loop().time())
            await self._caller()

    async def _in_scope(self) -> None:
        with anyio.CancelScope() as scope:
            self._stop = scope.cancel
            await self._caller()
        if scope.cancelled_caught:
            raise asyncio.CancelledError

    async def stop(self, way: str) -> None:
        """Cancel the call; fail unless that is what it raises."""
        if way != "wait_for":
            self._stop()
        with pytest.raises(self.raises):
            await (asyncio.wait_for(self.task, 0.001) if way == "wait_for" else self.task)
        assert not self.has_returned


async def was_interrupted(
    call: Callable[[], Awaitable[Any]], reached: asyncio.Event, way: str
) -> bool:
    """Make a call, and stop it once the server is asked that op; return whether it came to it."""
    interrupted = Interrupted(call, way)
    reaching = asyncio.create_task(reached.wait())
    await asyncio.wait([interrupted.task, reaching], return_when=asyncio.FIRST_COMPLETED)
    reaching.cancel()
    await asyncio.wait([reaching])
    if not reached.is_set():
        await interrupted.task
        return False
    await interrupted.stop(way)
    return True


async def tasks_ended() -> None:
    """Wait until no clean-up runs: where the thread stands still its caller goes on before."""
    async with asyncio.timeout(WAIT_SECONDS):
        while asyncio.all_tasks() - {asyncio.current_task()}:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", list(FLOWS))
def test_a_call_cancelled_at_any_op_raises_and_leaves_no_flight(
    monkeypatch: pytest.MonkeyPatch, name: str, state: str, way: str
) -> None:
    monkeypatch.setattr(async_driver, "CLEAN_UP_SECONDS", 0.002)

    async def attempt(at: int, *, has_arrived: bool) -> bool:
        site = Site()
        await site.prepare(name)
        server = Server(site.cache, at, state, has_arrived=has_arrived)
        site.behind(server)
        was_reached = await was_interrupted(lambda: FLOWS[name](site), server.reached, way)
        await server.end_hang()
        await tasks_ended()
        assert len(site.cache._runtime.backend.flights) == 0
        site.behind(None)
        if state == "healthy" and was_reached:  # the lease was given back: this load is stored
            await site.plain()
            assert await site.aio.get("k") in {"loaded", "set"}
        await site.aio.aclose()
        await tasks_ended()
        return was_reached

    async def every_op() -> int:
        for at in count(1):
            reached = [await attempt(at, has_arrived=each) for each in (False, True)]
            if not any(reached):
                return at - 1
            assert at < MOST_OPS
        raise AssertionError("unreachable")

    assert asyncio.run(every_op()) >= 1


@pytest.mark.parametrize("name", list(FLOWS))
def test_a_call_whose_coroutine_is_closed_at_any_op_leaves_no_flight(name: str) -> None:
    async def closed_at(at: int) -> bool:
        site = Site()
        await site.prepare(name)
        server = Server(site.cache, at, "healthy", has_arrived=False)
        site.behind(server)
        call = FLOWS[name](site).__await__()
        while not server.reached.is_set():
            try:
                next(call)
            except StopIteration:
                return False
        call.close()
        assert len(site.cache._runtime.backend.flights) == 0
        return True

    assert asyncio.run(closed_at(1))
    for at in range(2, MOST_OPS):
        if not asyncio.run(closed_at(at)):
            break


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("state", STATES)
def test_a_loop_that_ends_during_a_clean_up_leaves_no_flight(state: str, turns: int) -> None:
    sites: list[Site] = []

    async def ends_early() -> None:
        sites.append(Site())
        server = Server(sites[0].cache, 2, state, has_arrived=False)
        sites[0].behind(server)
        task = asyncio.create_task(sites[0].aio.get_or_load_many(["k", "other"], many))
        await server.reached.wait()
        task.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)

    asyncio.run(ends_early())
    assert len(sites[0].cache._runtime.backend.flights) == 0
