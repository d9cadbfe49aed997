"""redis-py connections and clients for a `Target`.

redis is imported inside the functions: `memory://` never needs it. Nothing here connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from dualcache.backends.redis.redis_py import accepted, import_redis, without_extras
from dualcache.backends.redis.wire.resp import pack

if TYPE_CHECKING:
    import redis
    import redis.asyncio as redis_asyncio
    from redis.asyncio.connection import UnixDomainSocketConnection

    from dualcache.backends.redis.async_connections import DialledPlain, DialledTls
    from dualcache.backends.redis.sync_connections import BoundedPlain, BoundedTls, BoundedUnix
    from dualcache.options.target import Target

    Connection: TypeAlias = BoundedPlain | BoundedTls | BoundedUnix
    AsyncConnection: TypeAlias = DialledPlain | DialledTls | UnixDomainSocketConnection


__all__ = [
    "make_async_client",
    "make_async_connection",
    "make_client",
    "make_connection",
    "pool_arguments",
    "tls_arguments",
]


def make_connection(target: Target) -> Connection:
    """Make a connection that is not connected yet, and that never sends a command twice.

    Connecting is bounded as a whole; a call is from its `begin()` on.
    """
    import_redis()
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from dualcache.backends.redis.sync_connections import BoundedPlain, BoundedTls, BoundedUnix

    kind = _kind(target, BoundedPlain, BoundedTls, BoundedUnix)
    own = {"call_timeout": target.longest_call, "command_packer": _CommandPacker()}
    arguments = _arguments(target, kind) | own
    # redis-py 8 sends a failed command up to ten times more by default: a token would come twice,
    # and a server that hangs would cost eleven time-outs.
    made: Connection = kind(**arguments, retry=Retry(NoBackoff(), 0))
    return made


def make_async_connection(target: Target) -> AsyncConnection:
    """Make the asyncio twin, to be shared by many callers: its reads have no time-out.

    redis-py counts a read's time-out while nothing is asked, and would disconnect an idle reader.
    Only opening the socket is bounded here; the caller bounds the handshake and each reply.
    """
    import_redis()
    from redis.asyncio.connection import UnixDomainSocketConnection
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from dualcache.backends.redis.async_connections import DialledPlain, DialledTls

    kind = _kind(target, DialledPlain, DialledTls, UnixDomainSocketConnection)
    arguments = _arguments(target, kind)
    arguments["socket_timeout"] = None
    made: AsyncConnection = kind(**arguments, retry=Retry(NoBackoff(), 0))
    return made


def make_client(target: Target) -> redis.Redis:
    """Make the client that users get as `cache.client`; closing it closes its pool."""
    import_redis()
    import redis
    from redis import connection, retry

    # redis-py's other pool raises where all connections are in use, instead of waiting for one.
    pool = redis.BlockingConnectionPool(**pool_arguments(target, connection, retry.Retry))
    # A client made with `connection_pool=` would leave the pool open when it is closed.
    return redis.Redis.from_pool(pool)


def make_async_client(target: Target) -> redis_asyncio.Redis:
    """Make the client that users get as `cache.aio.client`; it belongs to one event loop."""
    import_redis()
    from redis import asyncio
    from redis.asyncio import connection, retry

    pool = asyncio.BlockingConnectionPool(**pool_arguments(target, connection, retry.Retry))
    return asyncio.Redis.from_pool(pool)


class _CommandPacker:
    """Packs the commands that redis-py sends by itself: the handshake's.

    hiredis 3.5 would pack them where it is installed, and crashes the interpreter where a signal
    handler raises at that moment, as a soft time limit of Celery does.
    """

    def pack(self, *args: Any) -> list[bytes]:
        """Pack one command; the words of its name may come as one text, as redis-py has them."""
        name, *rest = args
        return [pack((*name.split(), *rest))]


def _kind(target: Target, plain: Any, tls: Any, unix: Any) -> Any:
    if target.path is not None:
        return unix
    return tls if target.is_tls else plain


def _arguments(target: Target, kind: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "db": target.db,
        "username": target.username,
        "password": target.password,
        "socket_timeout": target.socket_timeout,
        "socket_connect_timeout": target.socket_connect_timeout,
        # redis-py would send a PING before a command and wait for it; our time-outs find a dead
        # connection without a trip.
        "health_check_interval": 0,
        "protocol": target.protocol,
        "client_name": target.client_name,
        "decode_responses": False,
        **without_extras(kind),
    }
    # What a client of the user's was given comes last: it may replace what is said here.
    # Certificates may be for its Sentinels alone.
    given = {
        name: value
        for name, value in target.redis_arguments.items()
        if target.is_tls or not name.startswith("ssl_")
    }
    if target.path is not None:
        return arguments | {"path": target.path} | given
    place = {
        "host": target.host,
        "port": target.port or 0,  # Sentinels tell it later
        "socket_keepalive": target.socket_keepalive,
    }
    known = accepted(kind)
    tls = tls_arguments(target) if target.is_tls else {}
    tls = {name: value for name, value in tls.items() if value is not None or name in known}
    made = arguments | place | tls | given
    if made.get("ssl_certfile") and not made.get("ssl_keyfile"):
        # The file holds both. redis-py 5's asyncio connection shows no certificate without a key.
        made["ssl_keyfile"] = made["ssl_certfile"]
    return made


def tls_arguments(target: Target) -> dict[str, Any]:
    """Return redis-py's arguments for TLS."""
    from ssl import TLSVersion

    versions = {None: None, "TLSv1.2": TLSVersion.TLSv1_2, "TLSv1.3": TLSVersion.TLSv1_3}
    return {
        "ssl_ca_certs": target.ssl_ca_certs,
        "ssl_ca_path": target.ssl_ca_path,
        "ssl_ca_data": target.ssl_ca_data,
        "ssl_certfile": target.ssl_certfile,
        "ssl_keyfile": target.ssl_keyfile,
        "ssl_cert_reqs": target.ssl_cert_reqs,
        # OpenSSL refuses to check a name on a certificate that it does not verify.
        "ssl_check_hostname": target.ssl_check_hostname and target.ssl_cert_reqs == "required",
        "ssl_min_version": versions[target.ssl_min_version],
    }


def pool_arguments(target: Target, connection: Any, retry: Any) -> dict[str, Any]:
    """Return the arguments of a pool; `connection` and `retry` are redis-py's of its colour."""
    from redis.backoff import NoBackoff
    from redis.exceptions import TimeoutError as RedisTimeoutError

    plain, tls = connection.Connection, connection.SSLConnection
    kind = _kind(target, plain, tls, connection.UnixDomainSocketConnection)
    # redis-py's AuthenticationError is a ConnectionError, which it retries by default: it would
    # send a wrong password again, eleven times since version 8, and accounts lock.
    retried = (RedisTimeoutError,)
    return _arguments(target, kind) | {
        "connection_class": kind,
        "max_connections": target.max_connections,
        "retry": retry(NoBackoff(), int(target.retry_on_timeout), retried),
        "retry_on_error": list(retried) if target.retry_on_timeout else [],
        "timeout": target.socket_timeout,
        "health_check_interval": target.health_check_interval,
    }
