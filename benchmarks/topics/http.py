"""A GET of a FastAPI route whose response is kept: without a socket, from the ASGI message on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio

from benchmarks.bench import Skip
from benchmarks.measure import compare
from benchmarks.subjects.ours import DUALCACHE
from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.measure import Burst
    from benchmarks.results import Row

    Decorate = Callable[[Callable[..., Any]], Callable[..., Any]]

PEER: Final = "fastapi-cache2"
ITEMS: Final = 20
FIELDS: Final = (
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-US,en;q=0.9"),
    (b"accept-encoding", b"gzip, deflate"),
)


@dataclass
class Item:
    item_id: int
    name: str
    price: float


def run(bench: Bench) -> list[Row]:
    if find_spec("fastapi") is None:
        raise Skip("FastAPI is not installed")
    rows: list[Row] = []
    for case, url in (("in memory", "memory://"), ("Redis", bench.server.url)):
        cache = Cache(url, namespace="http")
        bench.on_close(cache.aclose)
        subjects: dict[str, Decorate] = {
            DUALCACHE: cache.http(ttl=600),
            "no cache": lambda endpoint: endpoint,
        }
        if (peer := fastapi_cache(url, bench)) is not None:
            subjects[PEER] = peer
        bursts = {name: requests(decorate, bench) for name, decorate in subjects.items()}
        rows += compare(case, bursts, bench.plan)
    return rows


def fastapi_cache(url: str, bench: Bench) -> Decorate | None:
    """Return the decorator of a peer, which has one backend at a time for the whole process."""
    try:
        peer: Any = import_module("fastapi_cache")
        backends = "fastapi_cache.backends"
        if url == "memory://":
            backend = import_module(f"{backends}.inmemory").InMemoryBackend()
        else:
            client = redis.asyncio.from_url(url)
            bench.on_close(client.aclose)
            backend = import_module(f"{backends}.redis").RedisBackend(client)
        decorate: Decorate = import_module("fastapi_cache.decorator").cache(expire=600)
    except ImportError as error:
        bench.note(f"{PEER}: not installed ({error})")
        return None
    peer.FastAPICache.reset()
    peer.FastAPICache.init(backend)
    return decorate


def requests(decorate: Decorate, bench: Bench) -> Burst:
    """Return a burst of requests for one path of an application of its own."""
    from fastapi import FastAPI

    app = FastAPI()

    async def items(shop_id: int) -> list[Item]:
        return [Item(item_id=at, name=f"item {at} of {shop_id}", price=at) for at in range(ITEMS)]

    app.get("/shops/{shop_id}/items", response_model=list[Item])(decorate(items))

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    async def calls(count: int) -> int:
        for _ in range(count):
            await app(scope(), receive, send)
        return count

    return lambda count: bench.runner.run(calls(count))


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/shops/7/items",
        "raw_path": b"/shops/7/items",
        "query_string": b"page=2",
        "root_path": "",
        "headers": list(FIELDS),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
