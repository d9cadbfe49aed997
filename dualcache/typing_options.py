"""The options of caches, functions and direct calls, for type checkers. Nothing here runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

__all__ = [
    "CacheOptions",
    "DecoratorOptions",
    "FunctionOptions",
    "HttpOptions",
    "LoadOptions",
    "ManyOptions",
    "PolicyOptions",
    "StoreOptions",
]


class SharedOptions(TypedDict, total=False):
    """The options that a cache, a decorated function and a direct load have in common."""

    jitter: float
    stale_if_error: Any
    stale_while_revalidate: Any
    early: float
    timeout: Any
    hard_timeout: Any
    stale_on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], object] | None
    compress_above: int | None
    max_value_bytes: int
    shape_check: bool


class PolicyOptions(SharedOptions, total=False):
    """The options of a direct load, apart from `ttl`, `tags` and `type`."""

    verify: float
    refresh_from: Callable[..., Any] | None
    cache_exceptions: type[Exception] | Collection[type[Exception]] | None
    negative_ttl: Any
    condition: Callable[..., object] | None
    codec: Any
    check: bool
    front: bool


class LoadOptions(PolicyOptions, total=False):
    """Every option of a direct load."""

    ttl: Any
    tags: Iterable[str]
    type: Any


class StoreOptions(TypedDict, total=False):
    """The options of a direct store, apart from `ttl` and `tags`."""

    stale_if_error: Any
    stale_while_revalidate: Any
    compress_above: int | None
    check: bool


class CacheOptions(SharedOptions, total=False):
    """The options of `Cache(...)` apart from its named arguments: policy and connection."""

    strict: bool
    publish: bool | None
    fleet_stats: bool
    client: Any
    async_client: Any
    credential_provider: Any
    sentinel_credential_provider: Any
    db: int | str
    username: str
    password: Any
    max_connections: int | str
    socket_timeout: float | str
    socket_connect_timeout: float | str
    call_timeout: float | str
    health_check_interval: float | str
    retry_on_timeout: bool | str
    socket_keepalive: bool | str
    protocol: int | str
    client_name: str
    ssl_ca_certs: str
    ssl_ca_path: str
    ssl_ca_data: str
    ssl_certfile: str
    ssl_keyfile: str
    ssl_cert_reqs: str
    ssl_check_hostname: bool | str
    ssl_min_version: str
    sentinel_username: str
    sentinel_password: str
    sentinel_ssl: bool | str
    max_entries: int | str
    max_bytes: int | str


class FunctionOptions(SharedOptions, total=False):
    """The options of a function that is not an endpoint; the reference explains each."""

    ttl: Any
    expiration: Any
    key: str
    tags: Any
    condition: Callable[..., object] | None
    ignore: Sequence[str]
    vary: Callable[..., Any]
    version: object
    typed_key: bool
    name: str
    codec: Any
    check: bool
    front: Any


class ManyOptions(FunctionOptions, total=False):
    """The options of `cache.many(...)`."""

    missing: None


class DecoratorOptions(FunctionOptions, total=False):
    """The options of `cache(...)`."""

    verify: float
    refresh_from: Callable[..., Any] | None
    cache_exceptions: type[Exception] | Collection[type[Exception]] | None
    negative_ttl: Any
    key_prefix: str
    resource_id_name: str | tuple[str, ...] | None
    resource_id_type: type | tuple[type, ...]
    to_invalidate_extra: dict[str, str] | None
    pattern_to_invalidate_extra: list[str] | None
    query: bool | str | Sequence[str] | None


class HttpOptions(TypedDict, total=False):
    """The options of `cache.http(...)`."""

    ttl: Any
    client_ttl: Any
    vary: Sequence[str] | Callable[[Any], object]
    public: bool
    key: str | Callable[[Any], str] | None
    tags: Sequence[str]
    query: bool | str | Sequence[str]
    honor_request: bool
    shared: bool
    invalidates: Sequence[str]
    stale_while_revalidate: Any
    stale_if_error: Any
    statuses: Sequence[int]
