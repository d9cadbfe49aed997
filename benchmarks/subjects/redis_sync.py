"""Caches in Redis, and what people write by hand, for `def`."""

from __future__ import annotations

import pickle
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import redis

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench, Function, Maker

TTL: Final = 600
MOST_CONNECTIONS: Final = 64


def by_hand(
    function: Function,
    prefix: str,
    get: Callable[[str], Any],
    put: Callable[[str, bytes], Any],
) -> Function:
    """Return get, pickle, set as people write it, around a client's two calls."""

    def get_user(user_id: int, page: int = 1) -> Any:
        key = f"{prefix}:{user_id}:{page}"
        found = get(key)
        if found is not None:
            return pickle.loads(found)
        value = function(user_id, page)
        put(key, pickle.dumps(value, 5))
        return value

    return get_user


def redis_pickle(function: Function, bench: Bench) -> Function:
    client = redis.Redis(port=bench.server.port, max_connections=MOST_CONNECTIONS)
    bench.on_close(client.close)
    return by_hand(function, "hand", client.get, lambda key, data: client.set(key, data, ex=TTL))


def redis_client_side(function: Function, bench: Bench) -> Function:
    """Return redis-py with its client-side cache, which the server invalidates."""
    config = import_module("redis.cache").CacheConfig(max_size=10_000)
    client = redis.Redis(port=bench.server.port, protocol=3, cache_config=config)
    bench.on_close(client.close)
    return by_hand(function, "tracked", client.get, lambda key, data: client.set(key, data, ex=TTL))


def redis_lock(function: Function, bench: Bench) -> Function:
    """Return the miss as redis-py's documentation suggests it: a Lock around a second look."""
    client: Any = redis.Redis(port=bench.server.port)
    bench.on_close(client.close)

    def get_user(user_id: int, page: int = 1) -> Any:
        key = f"locked:{user_id}:{page}"
        if (found := client.get(key)) is not None:
            return pickle.loads(found)
        with client.lock(f"lock:{key}", timeout=5):
            if (found := client.get(key)) is not None:
                return pickle.loads(found)
            value = function(user_id, page)
            client.set(key, pickle.dumps(value, 5), ex=TTL)
            return value

    return get_user


def dogpile(name: str, **arguments: Any) -> Maker:
    def make(function: Function, bench: Bench) -> Function:
        region = import_module("dogpile.cache").make_region(key_mangler=lambda key: f"{name}:{key}")
        where = {"host": "127.0.0.1", "port": bench.server.port, "redis_expiration_time": TTL}
        region.configure("dogpile.cache.redis", expiration_time=TTL, arguments=where | arguments)
        bench.on_close(region.backend.writer_client.close)
        made: Function = region.cache_on_arguments()(function)
        return made

    return make


def flask_caching(function: Function, bench: Bench) -> Function:
    app = import_module("flask").Flask("benchmarks")
    cache = import_module("flask_caching").Cache(
        app,
        config={
            "CACHE_TYPE": "RedisCache",
            "CACHE_REDIS_URL": bench.server.url,
            "CACHE_DEFAULT_TIMEOUT": TTL,
            "CACHE_KEY_PREFIX": "flask:",
        },
    )
    bench.closing.enter_context(app.app_context())
    made: Function = cache.memoize()(function)
    return made


def django_cache(bench: Bench) -> Any:
    """Return django-redis' cache backend, with its defaults."""
    settings = import_module("django.conf").settings
    if not settings.configured:
        settings.configure()
    return import_module("django_redis.cache").RedisCache(bench.server.url, {"TIMEOUT": TTL})


def django_redis(function: Function, bench: Bench) -> Function:
    cache = django_cache(bench)
    bench.on_close(cache.close)
    nothing = object()

    def get_user(user_id: int, page: int = 1) -> Any:
        key = f"django:{user_id}:{page}"
        found = cache.get(key, nothing)
        if found is nothing:
            found = function(user_id, page)
            cache.set(key, found)
        return found

    return get_user


def glide(function: Function, bench: Bench) -> Function:
    module = import_module("glide_sync")
    address = module.NodeAddress("127.0.0.1", bench.server.port)
    # Beyond its 250 ms it would give up where the machine is busy with something else.
    config = module.GlideClientConfiguration([address], request_timeout=10_000)
    client = module.GlideClient.create(config)
    bench.on_close(client.close)
    return by_hand(function, "glide", client.get, client.set)


def raw_socket(function: Function, bench: Bench) -> Function:
    """Return the limit: a GET written by hand to a socket, hiredis for the reply, pickle."""
    hiredis = import_module("hiredis")
    link = socket.create_connection(("127.0.0.1", bench.server.port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    bench.on_close(link.close)
    reader = hiredis.Reader()
    pack = hiredis.pack_command

    def ask(*command: Any) -> Any:
        link.sendall(pack(command))
        while (reply := reader.gets()) is False:
            reader.feed(link.recv(65_536))
        return reply

    return by_hand(
        function, "raw", lambda key: ask("GET", key), lambda key, data: ask("SET", key, data)
    )


READS: Final[dict[str, Maker]] = {
    "redis.get + pickle": redis_pickle,
    "dogpile redis": dogpile("dogpile"),
    "Flask-Caching memoize": flask_caching,
    "django-redis": django_redis,
    "valkey-glide": glide,
    "raw socket + hiredis": raw_socket,
}
MISSES: Final[dict[str, Maker]] = {
    "unprotected GET + SET": redis_pickle,
    "redis-py Lock": redis_lock,
    "dogpile redis": dogpile("plain"),
    "dogpile distributed lock": dogpile(
        "dist", distributed_lock=True, lock_timeout=5, thread_local_lock=False
    ),
}
