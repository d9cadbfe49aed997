"""Every option once: default, check, where it may be written, and its line of the reference.

Every list of options is a query of this table. Signatures and `TypedDict`s spell options out for
type checkers; tests compare them with it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from dualcache.core.codec_ids import DEFAULT_MAX_BYTES
from dualcache.core.entry import MISSING
from dualcache.options.checks import to_bool, to_int, to_namespace, to_share, to_size
from dualcache.options.durations import to_ms
from dualcache.options.endpoint_checks import (
    to_extra_keys,
    to_id_names,
    to_id_types,
    to_patterns,
    to_prefix,
    to_query_names,
)
from dualcache.options.front_tier import to_front
from dualcache.options.option import Option, Part, Where
from dualcache.options.policy_checks import (
    to_beta,
    to_cache_exceptions,
    to_condition,
    to_missing,
    to_stale_on,
    to_staleness,
    to_ttl,
)
from dualcache.options.target_checks import (
    to_client_name,
    to_count,
    to_interval,
    to_resp,
    to_text,
    to_tls_version,
    to_verification,
    to_wait,
)

__all__ = ["OPTIONS", "SPELLINGS", "checked", "names"]

_CACHE, _ENVIRONMENT, _URL = Where.CACHE, Where.ENVIRONMENT, Where.CACHE | Where.URL
_FUNCTION, _ENDPOINT, _MANY = Where.DECORATOR, Where.ENDPOINT, Where.MANY
_LOAD, _STORE, _COUNT = Where.LOAD, Where.STORE, Where.COUNT

# fmt: off
# One row reads as one: name, part, where, default; the line of the reference; check, unit.
_ROWS: Final = (
    # Where the cache lives
    Option("url", Part.CACHE, _CACHE | _ENVIRONMENT, None,
        "where the cache is; `None`: as the environment says, otherwise in memory",
        elsewhere=("host", "port", "location", "backend", "endpoint", "dsn")),
    Option("namespace", Part.CACHE, _CACHE | _ENVIRONMENT, "",
        "put before every key with a `:`; letters, digits and `._-`",
        to_namespace, elsewhere=("prefix", "key_prefix", "global_prefix")),
    Option("enabled", Part.CACHE, _ENVIRONMENT, True,
        "`false` turns every cache into `null://`",
        to_bool),
    Option("client", Part.CACHE, _CACHE, None,
        "a `redis.Redis` or `redis.RedisCluster` that you made, instead of a URL",
        elsewhere=("redis", "connection", "redis_client")),
    Option("async_client", Part.CACHE, _CACHE, None,
        "the same, from `redis.asyncio`"),
    Option("credential_provider", Part.CACHE, _CACHE, None,
        "a credential provider as in redis-py: `get_credentials()` or `get_credentials_async()` "
        "is called before each connection, and returns user and password",
        elsewhere=("credentials", "token_provider", "auth_provider")),
    Option("sentinel_credential_provider", Part.CACHE, _CACHE, None,
        "the same for the Sentinels of the URL"),
    Option("settings", Part.CACHE, _CACHE, None,
        "a `Settings`, a mapping, or a settings object (such as pydantic's), instead of the "
        "environment"),
    Option("clock", Part.CACHE, _CACHE, None,
        "a callable that gives seconds, for tests on `memory://`: `clock=lambda: time.time()` "
        "follows freezegun and time-machine",
        elsewhere=("timer", "time_func")),

    # How long values last, and when they are served
    Option("ttl", Part.POLICY, _CACHE | _ENVIRONMENT | _FUNCTION | _LOAD | _STORE | _COUNT, 3600,
        'lifetime: seconds, `"5m"`, a `timedelta`, `None` for ever, or a callable of (result, '
        "*arguments); with `0` nothing is stored, and callers still share the load",
        to_ttl, "ms", takes_result=True, spellings=("expiration",),
        elsewhere=("expire", "expires", "default_timeout", "default_ttl", "expiration",
            "seconds", "cache_time", "expire_after", "expire_time", "max_age", "lifetime")),
    Option("jitter", Part.POLICY, _CACHE | _FUNCTION | _LOAD, 0.05,
        "the largest share of a ttl to take away at random, so that entries stored together do "
        "not expire together",
        to_share),
    Option("condition", Part.POLICY, _FUNCTION | _LOAD, None,
        "a callable of (result, *arguments): stored only if it is true",
        to_condition, takes_result=True,
        elsewhere=("unless", "skip_cache_func", "cache_if", "when", "if_")),
    Option("stale_if_error", Part.POLICY, _CACHE | _FUNCTION | _LOAD | _STORE, 0,
        "how long after its ttl an entry can be served if its load fails",
        to_ms, "ms", elsewhere=("stale", "grace", "stale_ttl")),
    Option("stale_while_revalidate", Part.POLICY, _CACHE | _FUNCTION | _LOAD | _STORE, 0,
        "how long after its ttl an entry is served at once, while one process loads it again in "
        "the background",
        to_ms, "ms", elsewhere=("swr", "soft_ttl", "refresh_ttl")),
    Option("early", Part.POLICY, _CACHE | _FUNCTION | _LOAD, 0,
        "how early before the end of its ttl an entry is loaded again in the background, in load "
        "times (the beta of XFetch): `1` is the optimum, `0` never",
        to_beta, elsewhere=("beta", "xfetch", "early_expiration")),
    Option("timeout", Part.POLICY, _CACHE | _FUNCTION | _LOAD, None,
        "how long a caller waits before it gets the stale value, if there is one; the load goes "
        "on in the background. `None`: no limit",
        partial(to_ms, allow_none=True), "ms", elsewhere=("soft_timeout",)),
    Option("hard_timeout", Part.POLICY, _CACHE | _FUNCTION | _LOAD, None,
        "how long a caller waits before it gets a `LoaderTimeout`, with or without a stale value; "
        "the load goes on in the background. `None`: no limit",
        partial(to_ms, allow_none=True), "ms", elsewhere=("loader_timeout",)),
    Option("verify", Part.POLICY, _FUNCTION | _LOAD, 0,
        "the share of hits, such as `0.001`, after which the function runs again in the "
        "background; a `Differed` event reports a difference that no invalidation explains",
        to_share),
    Option("refresh_from", Part.POLICY, _FUNCTION | _LOAD, None,
        "a callable of (entry, *arguments) that loads instead of the function if there is an old "
        "entry; it may return `NOT_MODIFIED`",
        to_condition, takes_result=True, may_be_async=True,
        elsewhere=("conditional", "revalidate")),
    Option("stale_on", Part.POLICY, _CACHE | _FUNCTION | _LOAD, None,
        "which exceptions count as failures: a subclass of `Exception`, a tuple of them, or a "
        "callable of the exception. `None`: all except answers of the source, which are "
        "exceptions with a `status_code` below 500 (such as `HTTPException(404)`), those of "
        "Flask's `abort(404)`, and Django's `Http404`",
        to_stale_on),

    Option("negative_ttl", Part.POLICY, _FUNCTION | _LOAD, None,
        "how long an exception of `cache_exceptions` is remembered; write both, never one alone",
        partial(to_ms, allow_none=True), "ms", needs="cache_exceptions",
        elsewhere=("error_ttl", "ttl_on_error", "negative_timeout")),
    Option("cache_exceptions", Part.VALUE, _FUNCTION | _LOAD, None,
        "which exceptions are remembered for `negative_ttl`: a subclass of `Exception`, or a "
        "tuple of them; a hit raises an equal exception. List each subclass too",
        to_cache_exceptions, needs="negative_ttl",
        elsewhere=("exceptions", "negative_exceptions", "cached_exceptions")),

    Option("missing", Part.CACHE, _MANY, MISSING,
        "`None`: a value that is missing in the function's mapping is stored and returned as "
        "`None`. Left out: the function is asked for it again each time",
        to_missing),

    # Keys and tags
    Option("key", Part.KEY, _FUNCTION, None,
        "full template: `{param}`, `{req.user.id}`, `{page:03d}`, `{{` and `}}` for braces; "
        "`None`: module, qualified name and all arguments make the key",
        elsewhere=("key_builder", "make_cache_key", "key_func", "cache_key")),
    Option("tags", Part.KEY, _FUNCTION | _LOAD | _STORE | _COUNT, (),
        "templates; or a callable of (result, *arguments) that returns names",
        takes_result=True),
    Option("ignore", Part.KEY, _FUNCTION, (),
        'parameters that are not part of the key: `ignore=("db",)`; names in `**kwargs` work too',
        elsewhere=("exclude", "args_to_ignore", "ignore_args", "noself")),
    Option("vary", Part.KEY, _FUNCTION, None,
        "a callable of the arguments; its result becomes part of the key: a user, a language, a "
        "tenant",
        elsewhere=("key_builder", "make_cache_key", "key_func", "cache_key")),
    Option("version", Part.KEY, _FUNCTION, None,
        "part of the key: raise it when the meaning of the result changes and its type does not, "
        "such as from seconds to milliseconds"),
    Option("typed_key", Part.KEY, _FUNCTION, False,
        'makes `1` and `"1"` differ in a template, too'),
    Option("name", Part.KEY, _FUNCTION, None,
        "replaces module and qualified name in the key"),
    Option("type", Part.CACHE, _LOAD, MISSING,
        "the annotation to store and read the value as"),

    # How values become bytes
    Option("codec", Part.VALUE, _CACHE | _FUNCTION | _LOAD, None,
        "how values become bytes; `None`: MessagePack that keeps exact types",
        elsewhere=("serializer", "coder", "encoder", "pickler")),
    Option("secret", Part.VALUE, _CACHE, None,
        "signs every value; text, bytes or a `SecretStr`, or a list of them, newest first",
        elsewhere=("signing_key", "secret_key")),
    Option("compress_above", Part.VALUE, _CACHE | _FUNCTION | _LOAD | _STORE, None,
        "larger values, in bytes, are compressed (zstd) if that makes them smaller; `None`: never",
        partial(to_size, allow_none=True), "bytes"),
    Option("max_value_bytes", Part.VALUE, _CACHE | _FUNCTION | _LOAD, DEFAULT_MAX_BYTES,
        "a larger value, in bytes, is returned but not stored, and is not read",
        partial(to_size, minimum=1), "bytes"),
    Option("check", Part.VALUE, _FUNCTION | _LOAD | _STORE, True,
        "`False`: do not decode a stored value again to compare it"),
    Option("shape_check", Part.VALUE, _CACHE | _FUNCTION | _LOAD, True,
        "`False`: read entries even if they were stored for a type with other fields",
        to_bool),

    # The front tier, and what other processes hear
    Option("front", Part.CACHE, _CACHE | _ENVIRONMENT | _FUNCTION | _LOAD, None,
        "copies of values in this process: a number of entries, or a `FrontTier`; `False`: none. "
        "For a function: a separate store with these limits",
        to_front, elsewhere=("local", "l1", "local_cache", "maxsize", "max_size")),
    Option("max_staleness", Part.CACHE, _CACHE, 5,
        "how long a front tier can miss changes of other processes before it notices; at least 50 "
        "ms",
        to_staleness, unit="s"),
    Option("publish", Part.CACHE, _CACHE, None,
        'publish the names that this process invalidates, for front tiers that use `"pubsub"`; '
        "`None`: only if this cache has such a front tier",
        to_bool),
    Option("strict", Part.CACHE, _CACHE, False,
        "an invalidation that cannot be delivered raises `BackendUnavailable`; it is kept all the "
        "same",
        to_bool),

    Option("fleet_stats", Part.CACHE, _CACHE, False,
        "share the statistics of this process with the others every five seconds, for "
        "`stats(fleet=True)`",
        to_bool),

    # Endpoints
    Option("key_prefix", Part.ENDPOINT, _ENDPOINT, MISSING,
        'template; the key is `"{key_prefix}:{resource id}"`',
        to_prefix, elsewhere=("prefix", "global_prefix")),
    Option("resource_id_name", Part.ENDPOINT, _ENDPOINT, None,
        "the parameter that is the id, or several; `None`: the one that is called `id` or ends in "
        "`_id`, and has the type",
        to_id_names, needs="key_prefix"),
    Option("resource_id_type", Part.ENDPOINT, _ENDPOINT, int,
        "the type of the id, or several",
        to_id_types, needs="key_prefix"),
    Option("to_invalidate_extra", Part.ENDPOINT, _ENDPOINT, None,
        "a dict from prefix template to id template, deleted after a write",
        to_extra_keys, needs="key_prefix"),
    Option("pattern_to_invalidate_extra", Part.ENDPOINT, _ENDPOINT, None,
        "patterns, deleted after a write; `*`, `?` and `[…]` in a value are not wildcards; a "
        "pattern without a wildcard at its end matches every key that begins with it",
        to_patterns, needs="key_prefix"),
    Option("query", Part.ENDPOINT, _ENDPOINT, None,
        "whether query string and path of the request are part of a read's key: `True`, `False`, "
        "the names that count, or `None`: only where the framework binds no query to parameters "
        "(Flask, plain Starlette routes)",
        to_query_names, needs="key_prefix"),

    # The connection
    Option("socket_timeout", Part.CONNECTION, _URL, 0.25,
        'how long a call may wait for the next byte, in seconds or as `"250ms"`',
        to_wait, "s"),
    Option("call_timeout", Part.CONNECTION, _URL, None,
        "how long a call may take in total; by default four times `socket_timeout`",
        to_wait, "s"),
    Option("socket_connect_timeout", Part.CONNECTION, _URL, 0.25,
        "how long connecting may take: name, all its addresses, TLS and handshake",
        to_wait, "s"),
    Option("max_connections", Part.CONNECTION, _URL, 20,
        "connections of the sync face; the async face shares one per event loop, and one for "
        "large values",
        to_count),
    Option("health_check_interval", Part.CONNECTION, _URL, 0.0,
        "for `cache.client` only: ping a connection that was idle for this long",
        to_interval, "s"),
    Option("retry_on_timeout", Part.CONNECTION, _URL, False,
        "for `cache.client` only: send a command once more after a time-out",
        to_bool),
    Option("socket_keepalive", Part.CONNECTION, _URL, True,
        "TCP keep-alive",
        to_bool),
    Option("db", Part.CONNECTION, _URL, 0,
        "the database, if the path of the URL does not name it; a URL that names it twice is "
        "refused",
        to_int),
    Option("username", Part.CONNECTION, _URL, None,
        "the user, if the URL does not name it",
        to_text),
    Option("password", Part.CONNECTION, _URL, None,
        "the password, if it is not in the URL",
        to_text),
    Option("client_name", Part.CONNECTION, _URL, None,
        "the name that `CLIENT LIST` shows",
        to_client_name),
    Option("protocol", Part.CONNECTION, _URL, 3,
        "`2` for servers and proxies that do not speak RESP3",
        to_resp),
    Option("ssl_ca_certs", Part.TLS, _URL, None,
        "a file of trusted certificates",
        to_text),
    Option("ssl_ca_path", Part.TLS, _URL, None,
        "a folder of trusted certificates",
        to_text),
    Option("ssl_ca_data", Part.TLS, _URL, None,
        "trusted certificates, as text",
        to_text),
    Option("ssl_certfile", Part.TLS, _URL, None,
        "the file of the client's certificate",
        to_text),
    Option("ssl_keyfile", Part.TLS, _URL, None,
        "the file of the client's key",
        to_text),
    Option("ssl_cert_reqs", Part.TLS, _URL, "required",
        "`none` and `optional` accept any server that answers, and log a warning",
        to_verification),
    Option("ssl_check_hostname", Part.TLS, _URL, True,
        "whether the certificate must name the host",
        to_bool),
    Option("ssl_min_version", Part.TLS, _URL, None,
        "`TLSv1.2` or `TLSv1.3`",
        to_tls_version),

    # The Sentinels
    Option("sentinel_username", Part.SENTINEL, _URL, None,
        "the user for the Sentinels; the one in the URL is for the master",
        to_text),
    Option("sentinel_password", Part.SENTINEL, _URL, None,
        "the password for the Sentinels; the one in the URL is for the master",
        to_text),
    Option("sentinel_ssl", Part.SENTINEL, _URL, None,
        "`False` under `rediss+sentinel://`: no TLS for the Sentinels; `None`: the same as for "
        "the master, with the same certificates",
        to_bool),

    # The store in memory
    Option("max_entries", Part.MEMORY, _URL, 100_000,
        "limit of `memory://`, in entries",
        to_count, "entries", elsewhere=("maxsize", "max_size")),
    Option("max_bytes", Part.MEMORY, _URL, None,
        "limit of `memory://`, in bytes",
        to_count, "bytes"),
)
# fmt: on

OPTIONS: Final = {option.name: option for option in _ROWS}
SPELLINGS: Final = {other: option.name for option in _ROWS for other in option.spellings}
"""Other spellings that the decorator takes, and the options that they stand for."""


def names(where: Where, *parts: Part) -> tuple[str, ...]:
    """Return the options that may be written in any of these places, and become one of `parts`."""
    return tuple(
        option.name
        for option in _ROWS
        if option.where & where and (not parts or option.part in parts)
    )


def checked(name: str, value: Any, *, owner: str = "") -> Any:
    """Return the clean value of an option; a `UsageError` names it, and `owner` if it is known."""
    return OPTIONS[name].check(value, name, owner=owner)
