"""Caches in Redis, and what people write by hand, for `async def`."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.bench import Bench, Function, Maker

TTL: Final = 600


def by_hand(
    function: Function,
    prefix: str,
    get: Callable[[str], Awaitable[Any]],
    put: Callable[[str, bytes], Awaitable[Any]],
) -> Function:
    """Return get, pickle, set as people write it, around a client's two calls."""

    async def get_user(user_id: int, page: int = 1) -> Any:
        key = f"{prefix}:{user_id}:{page}"
        found = await get(key)
        if found is not None:
            return pickle.loads(found)
        value = await function(user_id, page)
        await put(key, pickle.dumps(value, 5))
        return value

    return get_user


def redis_pickle(function: Function, bench: Bench) -> Function:
    client = redis.asyncio.Redis(port=bench.server.port, max_connections=2_000)
    bench.on_close(client.aclose)
    return by_hand(function, "ahand", client.get, lambda key, data: client.set(key, data, ex=TTL))


def open_cashews(bench: Bench) -> Any:
    cache: Any = import_module("cashews").Cache()
    # Within its own time-outs it cannot open 1 000 connections on a busy machine; it then loads.
    cache.setup(
        bench.server.url, max_connections=2_000, socket_connect_timeout=60, socket_timeout=60
    )
    bench.run(cache.init())
    bench.on_close(cache.close)
    return cache


def cashews(name: str, **options: Any) -> Maker:
    def make(function: Function, bench: Bench) -> Function:
        cache = open_cashews(bench)
        key = f"{name}:{{user_id}}:{{page}}"
        made: Function = cache(ttl=TTL, key=key, **options)(function)
        return made

    return make


def aiocache(function: Function, bench: Bench) -> Function:
    module = import_module("aiocache")
    serializer = import_module("aiocache.serializers").PickleSerializer()
    made: Function = module.cached(
        ttl=TTL,
        cache=module.RedisCache,
        endpoint="127.0.0.1",
        port=bench.server.port,
        pool_max_size=2_000,
        serializer=serializer,
        namespace="aiocache",
    )(function)
    return made


def glide(function: Function, bench: Bench) -> Function:
    module = import_module("glide")
    address = module.NodeAddress("127.0.0.1", bench.server.port)
    # Beyond its 250 ms it would give up where the machine is busy with something else.
    config = module.GlideClientConfiguration(
        [address], inflight_requests_limit=4_000, request_timeout=10_000
    )
    client = bench.run(module.GlideClient.create(config))
    bench.on_close(client.close)
    return by_hand(function, "aglide", client.get, client.set)


class RawProtocol(asyncio.Protocol):
    """The limit: one asyncio transport, hiredis, a future for each command."""

    def __init__(self) -> None:
        module = import_module("hiredis")
        self._pack = module.pack_command
        self._reader = module.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._unsent: list[bytes] = []
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(reply)

    def ask(self, *command: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if not self._unsent:
            loop.call_soon(self._flush)
        self._unsent.append(self._pack(command))
        replied = loop.create_future()
        self._waiting.append(replied)
        return replied

    def close(self) -> None:
        self._transport.close()

    def _flush(self) -> None:
        self._transport.write(b"".join(self._unsent))
        self._unsent.clear()


def raw_protocol(function: Function, bench: Bench) -> Function:
    async def connect() -> RawProtocol:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(RawProtocol, "127.0.0.1", bench.server.port)
        return protocol

    raw: RawProtocol = bench.run(connect())
    bench.on_close(raw.close)
    return by_hand(
        function,
        "araw",
        lambda key: raw.ask("GET", key),
        lambda key, data: raw.ask("SET", key, data),
    )


READS: Final[dict[str, Maker]] = {
    "redis.asyncio get": redis_pickle,
    "cashews": cashews("cashews"),
    "aiocache": aiocache,
    "valkey-glide": glide,
    "asyncio Protocol + hiredis": raw_protocol,
}
MISSES: Final[dict[str, Maker]] = {
    "unprotected GET + SET": redis_pickle,
    "cashews": cashews("plain"),
    "cashews lock": cashews("locked", lock=True),
}
