"""Caches in the memory of one process."""

from __future__ import annotations

import functools
import threading
import time
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.bench import Bench, Function, Maker

SIZE: Final = 10_000
TTL: Final = 600


def lru_cache(function: Function, _: Bench) -> Function:
    return functools.lru_cache(maxsize=SIZE)(function)


def bare(function: Function, _: Bench) -> Function:
    return function


class Held:
    """A value and when it ends."""

    __slots__ = ("ends", "value")

    def __init__(self, value: Any, ends: float) -> None:
        self.value = value
        self.ends = ends


def dict_by_hand(function: Function, _: Bench) -> Function:
    """Return the least that a wrapper in Python does: one dict, one look at the clock."""
    held: dict[tuple[Any, Any], Held] = {}
    now = time.monotonic

    def wrapper(first: Any, page: int = 1) -> Any:
        try:
            found = held[first, page]
        except KeyError:
            found = None
        if found is not None and found.ends > now():
            return found.value
        value = function(first, page)
        held[first, page] = Held(value, now() + TTL)
        return value

    return wrapper


def cachetools_ttl_lock(function: Function, _: Bench) -> Function:
    cachetools = import_module("cachetools")
    made: Function = cachetools.cached(cachetools.TTLCache(SIZE, TTL), lock=threading.Lock())(
        function
    )
    return made


def cachebox(function: Function, _: Bench) -> Function:
    module = import_module("cachebox")
    made: Function = module.cached(module.TTLCache(SIZE, TTL))(function)
    return made


def theine(function: Function, _: Bench) -> Function:
    made: Function = import_module("theine").Memoize(SIZE, timedelta(seconds=TTL))(function)
    return made


def moka(function: Function, _: Bench) -> Function:
    made: Function = import_module("moka_py").cached(maxsize=SIZE, ttl=TTL)(function)
    return made


def dogpile_memory(function: Function, _: Bench) -> Function:
    region = import_module("dogpile.cache").make_region()
    region.configure("dogpile.cache.memory", expiration_time=TTL)
    made: Function = region.cache_on_arguments()(function)
    return made


def async_lru(function: Function, _: Bench) -> Function:
    made: Function = import_module("async_lru").alru_cache(maxsize=SIZE, ttl=TTL)(function)
    return made


def aiocache_memory(function: Function, _: Bench) -> Function:
    made: Function = import_module("aiocache").cached(ttl=TTL)(function)
    return made


def cashews_memory(function: Function, bench: Bench) -> Function:
    cache: Any = import_module("cashews").Cache()
    cache.setup("mem://", size=SIZE)
    bench.on_close(cache.close)
    made: Function = cache(ttl=TTL, key="user:{user_id}:{page}")(function)
    return made


SYNC: Final[dict[str, Maker]] = {
    "functools.lru_cache": lru_cache,
    "dict + TTL by hand": dict_by_hand,
    "cachetools TTL + lock": cachetools_ttl_lock,
    "cachebox": cachebox,
    "theine": theine,
    "moka-py": moka,
    "dogpile memory": dogpile_memory,
}
ASYNC: Final[dict[str, Maker]] = {
    "bare await": bare,
    "cachebox": cachebox,
    "async_lru": async_lru,
    "theine": theine,
    "moka-py": moka,
    "aiocache": aiocache_memory,
    "cashews": cashews_memory,
}
