"""One process of a storm: `python -m tests.storms.worker CACHE_URL SOURCE_URL SEED UNTIL COLOUR`.

It reads through the cache, raises versions in the source and invalidates, and at the end prints
what it did, one JSON list a line: kind, key, start, end, version, and whether it was acknowledged
(a write; a read always is).
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import redis

from dualcache import Cache
from tests.behaviour.seen import settled
from tests.storms.ends import ending, enough

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


KEYS: Final = 6
CALLERS: Final = 3
WRITES: Final = 0.15
LEAST_STEPS: Final = 150
AT_WORK: Final = "at work"
"""A key of the source that counts the processes which have begun."""


class Actor:
    """What each caller of this process does, in either colour."""

    def __init__(self, cache_url: str, source_url: str, *, is_async: bool) -> None:
        self.cache = Cache(cache_url, namespace="storm", socket_timeout=0.1)
        self.source = redis.Redis.from_url(source_url)
        self.face: Any = self.cache.aio if is_async else self.cache
        self.history: list[tuple[str, int, float, float, int, bool]] = []
        wait: Callable[[float], Any] = asyncio.sleep if is_async else time.sleep

        async def body(n: int) -> int:
            version: Any = self.source.get(f"version:{n}")
            await settled(wait(random.random() * 0.003))
            return int(version or 0)

        async def later(n: int) -> int:
            return await body(n)

        def now(n: int) -> int:
            version: int = driven(body(n))
            return version

        tags = ["all", "item:{n}"]
        self.load = self.cache(key="item:{n}", tags=tags)(later if is_async else now)
        self.plain = self.cache(key="plain:{n}")(later if is_async else now)

        @self.cache.invalidates("plain:{n}", tags=["item:{n}"])
        def saved(n: int) -> None: ...

        async def saved_later(n: int) -> None: ...

        self.saved = (
            self.cache.invalidates("plain:{n}", tags=["item:{n}"])(saved_later)
            if is_async
            else saved
        )

    async def act(self, draw: random.Random, is_over: Callable[[], bool]) -> None:
        while not is_over():
            n = draw.randrange(KEYS)
            await (self.write(draw, n) if draw.random() < WRITES else self.read(draw, n))

    async def read(self, draw: random.Random, n: int) -> None:
        function = draw.choice([self.load, self.plain])
        start = time.monotonic()
        version = await settled(function(n))
        self.history.append(("read", n, start, time.monotonic(), version, True))

    async def write(self, draw: random.Random, n: int) -> None:
        version: Any = self.source.incr(f"version:{n}")
        face, start = self.face, time.monotonic()
        way = draw.randrange(6)
        if way == 0:
            done = await settled(face.invalidate(f"item:{n}", f"plain:{n}"))
        elif way == 1:
            done = await settled(face.invalidate(f"plain:{n}", tags=[f"item:{n}"]))
        elif way == 2:
            done = await settled(face.invalidate(patterns=[f"*:{n}"]))
        elif way == 3:
            done = await settled(face.clear())
        elif way == 4:
            one = await settled(self.load.invalidate(n))
            other = await settled(self.plain.invalidate(n))
            done = max(one, other, key=lambda each: each.pending)
        else:
            await settled(self.saved(n))
            done = None
        is_acknowledged = done is not None and done.pending == 0
        self.history.append(("write", n, start, time.monotonic(), version, is_acknowledged))


def driven(coroutine: Any) -> Any:
    """Run a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it suspends")


def in_threads(coroutines: Iterable[Any]) -> None:
    """Run each coroutine in a thread of its own; raise the first error."""
    errors: list[BaseException] = []

    def run(coroutine: Any) -> None:
        try:
            driven(coroutine)
        except BaseException as error:  # noqa: BLE001  raised again in the main thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=[each]) for each in coroutines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def main(cache_url: str, source_url: str, seed: str, until: str, colour: str) -> None:
    actor = Actor(cache_url, source_url, is_async=colour == "async")
    draws = [random.Random(f"{seed}-{number}") for number in range(CALLERS)]
    is_over = enough(actor.history, LEAST_STEPS, ending(until))
    actor.source.incr(AT_WORK)
    if colour == "async":

        async def together() -> None:
            async with actor.cache.aio:
                await asyncio.gather(*[actor.act(draw, is_over) for draw in draws])

        asyncio.run(together())
    else:
        in_threads([actor.act(draw, is_over) for draw in draws])
    actor.cache.close()
    for each in actor.history:
        print(json.dumps(each))


if __name__ == "__main__":
    main(*sys.argv[1:])
