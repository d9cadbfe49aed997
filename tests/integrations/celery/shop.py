"""The application of the workers: `celery -A tests.integrations.celery.shop worker -Q POOL`.

Its cache is used when the module is imported, so before a worker forks. Tasks put what they return
into a list of the server, where the tests wait for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final

import redis
from celery import Celery
from celery.signals import worker_ready

from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

URL: Final = os.environ["SHOP_URL"]
POOL: Final = os.environ["SHOP_POOL"]
WAIT_SECONDS: Final = 30

app = Celery("shop", broker=URL)
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
cache = Cache(URL, namespace=POOL, front=100, socket_timeout=3, socket_connect_timeout=3)


def server() -> redis.Redis:
    """Connect without the cache; the caller closes it."""
    return redis.Redis.from_url(URL, decode_responses=True, socket_timeout=None)


def row(item: str) -> str:
    with server() as client:
        client.incr(f"{POOL} loads {item}")
        return str(client.get(f"{POOL} row {item}"))


def passed(name: str) -> None:
    """Tell that this caller is there, and wait until the test lets it go on."""
    with server() as client:
        client.rpush(f"{POOL} at {name}", os.getpid())
        assert client.blpop([f"{POOL} gate {name}"], timeout=WAIT_SECONDS), name


def ready(**_: object) -> None:
    with server() as client:
        client.rpush(f"{POOL} at ready", os.getpid())


@cache(key="price:{item}", ttl="5m", tags=["prices"])
def price(item: str) -> str:
    return row(item)


@cache(key="async price:{item}", ttl="5m", tags=["prices"])
async def async_price(item: str) -> str:
    return row(item)


@cache(key="slow:{item}", ttl="5m")
def slow_price(item: str) -> str:
    passed("load")
    return row(item)


@cache.invalidates(tags=["prices"])
def change(item: str, value: str) -> None:
    with server() as client:
        client.set(f"{POOL} row {item}", value)


def task(body: Callable[..., Any]) -> Callable[..., Any]:
    """Make a task of a function; what it raises is an answer, too."""

    def run(*args: Any) -> None:
        try:
            answer = body(*args)
        except Exception as error:  # noqa: BLE001  the test sees it
            answer = repr(error)
        with server() as client:
            client.rpush(f"{POOL} answers", json.dumps([answer, os.getpid()]))

    made: Callable[..., Any] = app.task(run, name=body.__name__)
    return made


@task
def read(item: str) -> str:
    """Read in the process that gets this task, together with those in the others."""
    passed("read")
    cache.fence()
    return price(item)


@task
def read_async(item: str) -> list[str]:
    """Read in three loops, one after the other, and on the sync face."""
    return [*(asyncio.run(async_price(item)) for _ in range(3)), price(item)]


@task
def read_slowly(item: str) -> str:
    with server() as client:
        client.rpush(f"{POOL} at door", os.getpid())
    return slow_price(item)


@task
def write(item: str, value: str) -> None:
    change(item, value)


worker_ready.connect(ready)


async def _used() -> None:
    async with cache.aio:
        await cache.aio.set("before", POOL)


asyncio.run(_used())
cache.set("parent", os.getpid())
assert cache.get("parent") == os.getpid(), "the front tier listens before the fork"
