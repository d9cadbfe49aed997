"""What to write instead of what, for each cache that people come from.

A rule is found by the full name of what is used: `functools.lru_cache`, or for a method the name
of its class and its own, `dogpile.cache.CacheRegion.get_or_create`. A handle of a decorated
function follows the decorator and `()`: `dogpile.cache.CacheRegion.cache_on_arguments().set`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KEEP: Final = "(unchanged)"


class Argument(NamedTuple):
    """An argument of theirs: by its keyword, or its position; and what it is called here."""

    theirs: str
    position: int | None = None
    ours: str = ""
    """Empty: it is not needed here."""


class Rule(NamedTuple):
    """One name of theirs."""

    name: str
    write: str
    """A decorator such as `@cache`, or text. The arguments are added to a decorator."""
    arguments: tuple[Argument, ...] = ()
    note: str = ""


class Library(NamedTuple):
    """One cache that people come from."""

    title: str
    page: str
    rules: tuple[Rule, ...]
    same: dict[str, str] = {}  # noqa: RUF012  a NamedTuple's default, never changed
    """Other names under which the library exports the same."""
    returns: dict[str, str] = {}  # noqa: RUF012
    """Constructors whose result is not of a class of their own name."""
    settings: dict[str, str] = {}  # noqa: RUF012
    """Values of the settings that name a backend, with the value to write."""


def _ttl(theirs: str, position: int | None = None) -> Argument:
    return Argument(theirs, position, "ttl")


FUNCTOOLS: Final = Library(
    "functools.lru_cache",
    "lru-cache",
    (
        Rule(
            "functools.lru_cache",
            "@cache",
            (Argument("maxsize", 0), Argument("typed", 1)),
            "maxsize: Cache(…, front=N); entries end after an hour unless you write ttl=",
        ),
        Rule("functools.cache", "@cache", (), "entries end after an hour unless you write ttl="),
    ),
)
CACHETOOLS: Final = Library(
    "cachetools",
    "cachetools",
    (
        Rule(
            "cachetools.cached",
            "@cache",
            (
                Argument("cache", 0, "ttl"),
                Argument("key", 1, "key"),
                Argument("lock", 2),
                Argument("condition", 3),
                Argument("info", 4),
            ),
            'key= is a template here: key="user:{user_id}"; maxsize: Cache(…, front=N)',
        ),
        Rule("cachetools.cached().cache.pop", "f.invalidate(…)"),
        Rule("cachetools.cached().cache.clear", "f.cache_clear()"),
        Rule("cachetools.cached().cache_key", "f.key_for(…)"),
        Rule(
            "cachetools.cachedmethod",
            "@cache",
            (Argument("cache", 0), Argument("key", 1), Argument("lock", 2)),
            'name the object in the key: key="shop:{self.id}:…"',
        ),
        Rule(
            "cachetools.func.ttl_cache",
            "@cache",
            (Argument("maxsize", 0), _ttl("ttl", 1), Argument("timer", 2), Argument("typed", 3)),
        ),
        Rule("cachetools.func.lru_cache", "@cache", (Argument("maxsize", 0),)),
        Rule("cachetools.func.lfu_cache", "@cache", (Argument("maxsize", 0),)),
        Rule("cachetools.func.fifo_cache", "@cache", (Argument("maxsize", 0),)),
        Rule("cachetools.func.rr_cache", "@cache", (Argument("maxsize", 0),)),
    ),
)
FASTAPI_CACHE: Final = Library(
    "fastapi-cache2",
    "fastapi-cache",
    (
        Rule(
            "fastapi_cache.decorator.cache",
            "@cache",
            (
                Argument("expire", 0, "ttl"),
                Argument("coder", 1),
                Argument("key_builder", 2, "vary"),
                Argument("namespace", 3, "key_prefix"),
                Argument("injected_dependency_namespace"),
            ),
            "on an endpoint: add key_prefix=…, or write @cache.http(ttl=…)",
        ),
        Rule(
            "fastapi_cache.FastAPICache.init",
            'cache = Cache("redis://…", namespace="…"); FastAPI(lifespan=cache.lifespan)',
        ),
        Rule(
            "fastapi_cache.FastAPICache.clear",
            'await cache.aio.invalidate(tags=["…"]), or patterns=["…:*"]',
        ),
        Rule(
            "fastapi_cache.FastAPICache.get_backend",
            "cache.aio",
            (),
            "get, set(…, ttl=…) and invalidate take values, not bytes",
        ),
        Rule("fastapi_cache.FastAPICache.reset", "await cache.aio.aclose()"),
    ),
)
_CASHEWS_DIRECT: Final = (
    Rule("cashews.Cache.setup", 'cache = Cache("redis://…")', (), "client_side=True: front=10_000"),
    Rule("cashews.Cache.invalidate", '@cache.invalidates("…")'),
    Rule("cashews.Cache.delete_tags", 'await cache.aio.invalidate(tags=["…"])'),
    Rule("cashews.Cache.delete_match", 'await cache.aio.invalidate(patterns=["…"])'),
    Rule("cashews.Cache.delete_many", 'await cache.aio.invalidate("…", "…")'),
    Rule("cashews.Cache.delete", 'await cache.aio.invalidate("…")'),
    Rule("cashews.Cache.get_or_set", "await cache.aio.get_or_load(key, loader, ttl=…)"),
    Rule("cashews.Cache.get_many", "await cache.aio.get_many([…])"),
    Rule("cashews.Cache.set_many", "await cache.aio.set_many({…}, ttl=…)"),
    Rule("cashews.Cache.get", "await cache.aio.get(…)"),
    Rule("cashews.Cache.set", "await cache.aio.set(…, ttl=…)"),
    Rule("cashews.Cache.incr", "await cache.aio.incr(…)"),
    Rule("cashews.Cache.exists", "await cache.aio.contains(…)"),
    Rule("cashews.Cache.expire", "await cache.aio.touch(…, ttl=…)"),
    Rule("cashews.Cache.clear", "await cache.aio.clear()"),
    Rule("cashews.Cache.disabling", "with cache.disabled():"),
    Rule("cashews.Cache.iterator", "cache a list", (), "an iterator cannot be stored"),
    Rule("cashews.Cache.get_expire", "await cache.aio.ttl(…)"),
    Rule("cashews.Cache.scan", "cache.aio.keys(pattern)"),
    Rule("cashews.Cache.get_match", "cache.aio.keys(pattern), then get_many"),
    Rule("cashews.Cache.ping", "await cache.aio.ping()"),
    Rule("cashews.Cache.close", "await cache.aio.aclose()"),
    Rule("cashews.Cache.transaction", "@cache.invalidates(…)", (), "it deletes after success"),
    Rule("cashews.Cache.lock", "a lock of redis-py on cache.aio.client"),
    Rule("cashews.Cache.slice_rate_limit", KEEP, (), "dualcache limits no rates"),
    Rule("cashews.Cache.rate_limit", KEEP, (), "dualcache limits no rates"),
    Rule("cashews.Cache.circuit_breaker", KEEP, (), "dualcache breaks no circuits of yours"),
    Rule("cashews.Cache.bloom", KEEP, (), "dualcache has no Bloom filters"),
)
_CASHEWS_COMMON: Final = (
    _ttl("ttl", 0),
    Argument("key", 1, "key"),
    Argument("condition", None, "condition"),
    Argument("tags", None, "tags"),
    Argument("prefix"),
    Argument("lock"),
)
_CASHEWS_KEY: Final = "{x:hash} in the key is {x!digest}"
CASHEWS: Final = Library(
    "cashews",
    "cashews",
    (
        Rule("cashews.Cache", "@cache", _CASHEWS_COMMON, _CASHEWS_KEY),
        Rule("cashews.Cache.dynamic", "@cache", _CASHEWS_COMMON, _CASHEWS_KEY),
        Rule("cashews.new", 'Cache("redis://…")'),
        Rule(
            "cashews.Cache.early",
            "@cache",
            (*_CASHEWS_COMMON, Argument("early_ttl")),
            "add early=1",
        ),
        Rule(
            "cashews.Cache.soft",
            "@cache",
            (_ttl("soft_ttl", 2), *_CASHEWS_COMMON[1:]),
            "add stale_if_error=, the rest of your ttl",
        ),
        Rule(
            "cashews.Cache.hit",
            "@cache",
            (_CASHEWS_COMMON[0], Argument("key", 3, "key"), *_CASHEWS_COMMON[2:]),
            "add early=1",
        ),
        Rule(
            "cashews.Cache.failover",
            "@cache",
            (Argument("ttl", 0, "stale_if_error"), Argument("key", 2, "key")),
            "add ttl=; exceptions= is stale_on=",
        ),
        Rule("cashews.Cache.locked", "@cache", _CASHEWS_COMMON[1:], "one load per key is built in"),
        Rule(
            "cashews.thunder_protection",
            "@cache",
            (Argument("key", 0, "key"),),
            "one load per key is built in",
        ),
        *_CASHEWS_DIRECT,
    ),
    same={
        "cashews.cache": "cashews.Cache",
        "cashews.mem": "cashews.Cache",
        "cashews.Cache": "cashews.new",
        "cashews.wrapper.Cache": "cashews.new",
    },
    returns={"cashews.new": "cashews.Cache"},
)
_AIOCACHE_COMMON: Final = (
    _ttl("ttl", 0),
    Argument("key", 1, "key"),
    Argument("namespace"),
    Argument("key_builder", None, "key"),
    Argument("skip_cache_func", None, "condition"),
    Argument("cache"),
    Argument("serializer"),
    Argument("plugins"),
    Argument("alias"),
    Argument("noself"),
    Argument("endpoint"),
    Argument("port"),
)
AIOCACHE: Final = Library(
    "aiocache",
    "aiocache",
    (
        Rule("aiocache.cached", "@cache", _AIOCACHE_COMMON, 'key= is a template: "user:{user_id}"'),
        Rule("aiocache.cached().cache.delete", "await f.invalidate(…)"),
        Rule("aiocache.cached().cache.clear", "f.cache_clear()"),
        Rule(
            "aiocache.cached_stampede",
            "@cache",
            (
                Argument("lease", 0),
                _ttl("ttl"),
                Argument("key", None, "key"),
                *_AIOCACHE_COMMON[2:],
            ),
            "one load per key is built in",
        ),
        Rule(
            "aiocache.multi_cached",
            "@cache.many",
            (Argument("keys_from_attr", 0), _ttl("ttl"), *_AIOCACHE_COMMON[2:]),
            'add key="user:{id}"',
        ),
        Rule("aiocache.Cache", 'Cache("redis://…"), or Cache("memory://")'),
        Rule("aiocache.caches.set_config", 'cache = Cache("redis://…")'),
        Rule("aiocache.Cache.get", "await cache.aio.get(…)"),
        Rule("aiocache.Cache.set", "await cache.aio.set(…, ttl=…)"),
        Rule("aiocache.Cache.multi_get", "await cache.aio.get_many([…])"),
        Rule("aiocache.Cache.multi_set", "await cache.aio.set_many({…})"),
        Rule("aiocache.Cache.add", "await cache.aio.add(…)", (), "False instead of a ValueError"),
        Rule("aiocache.Cache.delete", "await cache.aio.invalidate(…)"),
        Rule("aiocache.Cache.exists", "await cache.aio.contains(…)"),
        Rule("aiocache.Cache.increment", "await cache.aio.incr(…)"),
        Rule("aiocache.Cache.expire", "await cache.aio.touch(…, ttl=…)"),
        Rule("aiocache.Cache.clear", "await cache.aio.clear()"),
        Rule("aiocache.Cache.close", "await cache.aio.aclose()"),
        Rule("aiocache.Cache.raw", "cache.aio.client", (), "redis-py's client, with raw bytes"),
        Rule("aiocache.lock.RedLock", "a lock of redis-py on cache.aio.client"),
        Rule("aiocache.lock.OptimisticLock", "a lock of redis-py on cache.aio.client"),
    ),
    same={
        "aiocache.decorators.cached": "aiocache.cached",
        "aiocache.decorators.cached_stampede": "aiocache.cached_stampede",
        "aiocache.decorators.multi_cached": "aiocache.multi_cached",
        "aiocache.RedisCache": "aiocache.Cache",
        "aiocache.SimpleMemoryCache": "aiocache.Cache",
        "aiocache.backends.redis.RedisCache": "aiocache.Cache",
    },
    returns={"aiocache.Cache.from_url": "aiocache.Cache", "aiocache.caches.get": "aiocache.Cache"},
)
_REGION: Final = "dogpile.cache.CacheRegion"
DOGPILE: Final = Library(
    "dogpile.cache",
    "dogpile",
    (
        Rule("dogpile.cache.make_region", 'Cache("redis://…", ttl=…)'),
        Rule(
            f"{_REGION}.configure",
            "an argument of Cache(…)",
            (),
            "the backend is the scheme of the URL; expiration_time is ttl=",
        ),
        Rule(
            f"{_REGION}.configure_from_config",
            "Cache(settings=…)",
            (),
            "or DUALCACHE_URL in the environment",
        ),
        Rule(
            f"{_REGION}.cache_on_arguments",
            "@cache",
            (
                Argument("namespace", 0),
                _ttl("expiration_time", 1),
                Argument("should_cache_fn", 2, "condition"),
                Argument("to_str", 3),
                Argument("function_key_generator", 4, "key"),
            ),
        ),
        Rule(f"{_REGION}.cache_on_arguments().set", "f.store(value, …)"),
        Rule(f"{_REGION}.cache_on_arguments().get", "f.peek(…)", (), "an Entry, or None"),
        Rule(f"{_REGION}.cache_on_arguments().original", "f.__wrapped__(…)"),
        Rule(
            f"{_REGION}.cache_multi_on_arguments",
            "@cache.many",
            (Argument("namespace", 0), _ttl("expiration_time", 1)),
            'add key="user:{id}"; the function returns a mapping',
        ),
        Rule(f"{_REGION}.get_or_create", "cache.get_or_load(key, loader, ttl=…)"),
        Rule(
            f"{_REGION}.get_or_create_multi",
            "cache.get_or_load_many(keys, loader)",
            (),
            "the loader gets a list and returns a mapping",
        ),
        Rule(f"{_REGION}.get", "cache.get(key, MISSING)"),
        Rule(f"{_REGION}.set", "cache.set(key, value, ttl=…)"),
        Rule(f"{_REGION}.delete", "cache.invalidate(key)"),
        Rule(f"{_REGION}.get_multi", "cache.get_many(keys)"),
        Rule(f"{_REGION}.set_multi", "cache.set_many(values)"),
        Rule(f"{_REGION}.delete_multi", "cache.invalidate(*keys)"),
        Rule(
            f"{_REGION}.invalidate",
            "cache.clear(), or a tag",
            (),
            "in all processes; hard=False is cache.expire(key) for each key",
        ),
        Rule(f"{_REGION}.get_value_metadata", "cache.peek(key)"),
        Rule(f"{_REGION}.key_is_locked", "not there", (), "one load per key is built in"),
    ),
    same={"dogpile.cache.region.make_region": "dogpile.cache.make_region"},
    returns={"dogpile.cache.make_region": _REGION, f"{_REGION}.configure": _REGION},
)
_FLASK: Final = "flask_caching.Cache"
FLASK_CACHING: Final = Library(
    "Flask-Caching",
    "flask-caching",
    (
        Rule(
            _FLASK,
            'Cache("redis://…", namespace="…")',
            (),
            'or keep it: CACHE_TYPE = "dualcache.integrations.flask.Backend"',
        ),
        Rule(
            f"{_FLASK}.cached",
            "@cache",
            (
                Argument("timeout", 0, "expiration"),
                Argument("key_prefix", 1, "key_prefix"),
                Argument("unless", 2),
                Argument("forced_update", 3),
                Argument("response_filter", None, "condition"),
                Argument("query_string", None, "query"),
            ),
            "a view needs key_prefix=; timeout=0 is expiration=None; unless= is cache.disabled()",
        ),
        Rule(
            f"{_FLASK}.memoize",
            "@cache",
            (
                _ttl("timeout", 0),
                Argument("make_name", 1),
                Argument("unless", 2),
                Argument("response_filter", None, "condition"),
                Argument("args_to_ignore", None, "ignore"),
            ),
            "timeout=0 is ttl=None; unless= is cache.disabled()",
        ),
        Rule(f"{_FLASK}.memoize().uncached", "f.__wrapped__(…)"),
        Rule(f"{_FLASK}.delete_memoized", "f.invalidate(…), or f.cache_clear()"),
        Rule(f"{_FLASK}.delete_memoized_verhash", "f.cache_clear()"),
        Rule(f"{_FLASK}.get", "cache.get(…)"),
        Rule(f"{_FLASK}.set", "cache.set(…, ttl=…)"),
        Rule(f"{_FLASK}.add", "cache.add(…, ttl=…)"),
        Rule(f"{_FLASK}.delete", "cache.invalidate(…)"),
        Rule(f"{_FLASK}.get_many", "cache.get_many([…])", (), "a dict instead of a list"),
        Rule(f"{_FLASK}.set_many", "cache.set_many({…}, ttl=…)"),
        Rule(f"{_FLASK}.delete_many", "cache.invalidate(…)"),
        Rule(f"{_FLASK}.unlink", "cache.invalidate(…)"),
        Rule(f"{_FLASK}.has", "cache.contains(…)"),
        Rule(f"{_FLASK}.get_dict", "cache.get_many([…])", (), "without the keys that are missing"),
        Rule(f"{_FLASK}.clear", "cache.clear()", (), "the namespace only"),
    ),
    settings=dict.fromkeys(
        (
            "RedisCache",
            "RedisClusterCache",
            "RedisSentinelCache",
            "flask_caching.backends.RedisCache",
            "flask_caching.backends.RedisClusterCache",
            "flask_caching.backends.RedisSentinelCache",
        ),
        '"dualcache.integrations.flask.Backend", and the server in CACHE_REDIS_URL',
    ),
)
DJANGO: Final = Library(
    "Django",
    "django",
    (
        Rule(
            "django_redis.get_redis_connection",
            'dualcache_of("default").client',
            (),
            "from dualcache.integrations.django import dualcache_of",
        ),
    ),
    settings=dict.fromkeys(
        (
            "django_redis.cache.RedisCache",
            "django.core.cache.backends.redis.RedisCache",
            "redis_cache.RedisCache",
        ),
        '"dualcache.integrations.django.DualCache"',
    ),
)
JOBLIB: Final = Library(
    "joblib.Memory",
    "joblib",
    (
        Rule("joblib.Memory", 'Cache("redis://…")'),
        Rule(
            "joblib.Memory.cache",
            "@cache",
            (
                Argument("ignore", None, "ignore"),
                Argument("cache_validation_callback", None, "ttl"),
                Argument("verbose"),
                Argument("mmap_mode"),
            ),
            "without ttl=None, results end after an hour",
        ),
        Rule("joblib.Memory.cache().call", "f.refresh(…)", (), "the result alone, no pair"),
        Rule("joblib.Memory.cache().check_call_in_cache", "f.peek(…) is not None"),
        Rule("joblib.Memory.cache().call_and_shelve", "f.key_for(…)", (), "a name for the result"),
        Rule("joblib.Memory.cache().clear", "f.cache_clear()"),
        Rule("joblib.Memory.clear", "cache.clear()"),
        Rule("joblib.Memory.reduce_size", "maxmemory of the server"),
        Rule("joblib.Memory.eval", "cache.memoize(f)(…)"),
    ),
    same={"joblib.memory.Memory": "joblib.Memory"},
)
BOILERPLATE: Final = Library(
    "the FastAPI boilerplate",
    "boilerplate",
    (
        Rule(
            "app.core.utils.cache.cache",
            "@cache",
            tuple(
                Argument(name, place, name)
                for place, name in enumerate(
                    (
                        "key_prefix",
                        "resource_id_name",
                        "expiration",
                        "resource_id_type",
                        "to_invalidate_extra",
                        "pattern_to_invalidate_extra",
                    )
                )
            ),
            "the same arguments; only the import changes",
        ),
    ),
)
LIBRARIES: Final = (
    FUNCTOOLS,
    CACHETOOLS,
    FASTAPI_CACHE,
    CASHEWS,
    AIOCACHE,
    DOGPILE,
    FLASK_CACHING,
    DJANGO,
    JOBLIB,
    BOILERPLATE,
)
