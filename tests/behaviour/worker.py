"""A process that loads on demand: `python -m tests.behaviour.worker URL COLOUR CALLERS OPTIONS`.

For each line `n` it says `ready`, then has so many callers at once ask for `user(n)`, and prints
their results on one line. The load counts itself under `loads:n`, reads `source:n`, tells
`started:n` and waits for `gate:n`. The options of `user` are JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis

from dualcache import Cache
from tests.patience import patient


def read_source(client: redis.Redis, n: int) -> str:
    client.incr(f"loads:{n}")
    value: Any = client.get(f"source:{n}")
    client.rpush(f"started:{n}", "1")
    client.blpop([f"gate:{n}"], 20)
    return str(value.decode())


def main(url: str, colour: str, callers: int, options: dict[str, Any]) -> None:
    client = redis.Redis.from_url(url, socket_timeout=60)  # longer than a gate is waited for
    with Cache(patient(url), namespace="shop") as cache, client:

        @cache(key="user:{n}", tags=["users", "user:{n}"], **options)
        def in_thread(n: int) -> str:
            return read_source(client, n)

        @cache(key="user:{n}", tags=["users", "user:{n}"], **options)
        async def in_task(n: int) -> str:
            return await asyncio.to_thread(read_source, client, n)

        async def serve_tasks() -> None:
            async with cache.aio:
                await cache.aio.ping()
                while line := await asyncio.to_thread(next_line):
                    calls = [in_task(int(line)) for _ in range(callers)]
                    print(*await asyncio.gather(*calls), flush=True)

        def serve_threads() -> None:
            with ThreadPoolExecutor(callers) as pool:
                cache.ping()
                while line := next_line():
                    print(*pool.map(in_thread, [int(line)] * callers), flush=True)

        if colour == "async":
            asyncio.run(serve_tasks())
        else:
            serve_threads()


def next_line() -> str:
    print("ready", flush=True)
    return sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
