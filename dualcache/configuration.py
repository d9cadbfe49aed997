"""What a `Cache` is told, checked and completed from the environment: no I/O but reading that."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.codecs.recipe import LIMITS
from dualcache.core.callables import refuse_async
from dualcache.core.entry import MISSING
from dualcache.core.policy import Options, to_stale_on
from dualcache.errors import UsageError
from dualcache.observability.stats import log
from dualcache.options.checks import meant, to_bool, to_namespace, to_share
from dualcache.options.durations import to_ms
from dualcache.options.front_tier import FrontTier, to_front
from dualcache.options.settings import Settings, likely_address, read_environment
from dualcache.options.target import Target, parse_url, scheme_of
from dualcache.options.target_options import CHECKS, refuse_tls_option
from dualcache.options.workers import is_one_of_several

if TYPE_CHECKING:
    from dualcache.typing import Url

DEFAULT_TTL: Final = 3600
LEAST_STALENESS_MS: Final = 50
DEFAULT_JITTER: Final = 0.05
POLICY_OPTIONS: Final = (
    *("jitter", "stale_if_error", "stale_on", "strict", "publish", "client", "async_client"),
    *LIMITS,
)
NAMED_OPTIONS: Final = (
    *("url", "namespace", "front", "ttl", "codec", "secret", "max_staleness", "settings", "clock"),
)


class Configuration(NamedTuple):
    """Everything that a cache is made of."""

    target: Target
    prefix: str
    defaults: Options
    limits: dict[str, Any]
    is_enabled: bool
    is_strict: bool
    is_publishing: bool
    client: Any
    async_client: Any
    front: FrontTier | None
    max_staleness: float


def configure(
    url: Url | None,
    *,
    namespace: str,
    ttl: Any,
    front: FrontTier | int | None,
    max_staleness: Any,
    settings: object,
    options: dict[str, Any],
) -> Configuration:
    """Check the arguments of `Cache`, and take from the environment where they are silent."""
    known = (
        settings
        if isinstance(settings, Settings)
        else read_environment(os.environ if settings is None else settings)
    )
    for warning in known.warnings:
        log("WARNING", "%s", warning)
    split = split_options(options, scheme_of(known.url if url is None else url) or "memory")
    client, async_client = split.policy.get("client"), split.policy.get("async_client")
    target = target_of(url, known, split)
    if target.scheme == "memory" and url is None and known.url is None and settings is None:
        tell_of_likely_address()
    name = to_namespace(namespace or known.namespace)
    ttl = (DEFAULT_TTL if known.ttl is None else known.ttl) if ttl is MISSING else ttl
    if callable(ttl):
        refuse_async(ttl, option="ttl", owner="Cache()")
    else:
        to_ms(ttl, option="ttl", owner="Cache()", allow_none=True)
    jitter = split.policy.get("jitter", DEFAULT_JITTER)
    to_share(jitter, "jitter", owner="Cache()")
    stale_if_error = split.policy.get("stale_if_error", 0)
    to_ms(stale_if_error, option="stale_if_error", owner="Cache()")
    stale_on = split.policy.get("stale_on")
    to_stale_on(stale_on, "Cache()")
    tier = to_front(known.front if front is None else front)
    return Configuration(
        target,
        f"{name}:" if name else "",
        Options(ttl, jitter, stale_if_error, stale_on=stale_on),
        {name: split.policy[name] for name in LIMITS if name in split.policy},
        known.enabled,
        to_bool(split.policy.get("strict", False), "strict", owner="Cache()"),
        to_publish(split.policy.get("publish"), tier),
        client,
        async_client,
        tier,
        to_staleness(max_staleness),
    )


def to_publish(value: Any, front: FrontTier | None) -> bool:
    """Return whether others are told what this cache revokes; who hears them tells them too."""
    is_hearing = front is not None and front.transport == "pubsub"
    if value is None:
        return is_hearing
    is_publishing = to_bool(value, "publish", owner="Cache()")
    if is_hearing and not is_publishing:
        raise UsageError(
            "publish=False of Cache() and FrontTier(transport='pubsub') contradict each other",
            code="DC166",
            help="leave publish out: what is told on a channel must be told by everybody",
        )
    return is_publishing


def to_staleness(value: Any) -> float:
    """Return the bound on staleness in seconds."""
    bound_ms = to_ms(value, option="max_staleness", owner="Cache()")
    if bound_ms < LEAST_STALENESS_MS:
        raise UsageError(
            "max_staleness of Cache() is too short to be proved",
            code="DC165",
            help=f"give at least {LEAST_STALENESS_MS} ms, or do without a front tier",
        )
    return bound_ms / 1000


class Split(NamedTuple):
    """Options of the connection apart from those of the policy."""

    connection: dict[str, Any]
    policy: dict[str, Any]


def split_options(options: dict[str, Any], scheme: str) -> Split:
    """Tell connection options from policy options; refuse what is neither.

    `scheme` is that of the URL: advice names what it takes.
    """
    for name in options:
        if name not in CHECKS and name not in POLICY_OPTIONS:
            refuse_tls_option((name,), scheme, owner="Cache()")
            known = [*CHECKS, *POLICY_OPTIONS, *NAMED_OPTIONS]
            if scheme != "memory":
                known.remove("max_entries")
            likely = meant(name, known)
            raise UsageError(
                f"Cache() has no option {name}",
                code="DC151",
                help=f"did you mean {likely}?" if likely else "see the reference of Cache",
            )
    connection = {name: value for name, value in options.items() if name in CHECKS}
    return Split(connection, {k: v for k, v in options.items() if k not in connection})


def target_of(url: Url | None, known: Settings, split: Split) -> Target:
    """Return where the cache lives: a client's server, the URL, the environment's, or memory."""
    client, async_client = split.policy.get("client"), split.policy.get("async_client")
    if client is not None or async_client is not None:
        from dualcache.backends.redis.given_client import target_of_clients

        if url is not None:
            raise UsageError(
                "Cache() is given both a URL and a client",
                code="DC188",
                help="leave one of them out: each says where the cache lives",
            )
        return target_of_clients(client, async_client, split.connection)
    if url is None:
        url = known.url
    if url is None:
        tell_of_memory()
        url = "memory://"
    target = parse_url(url, **split.connection)
    for warning in target.warnings:
        log("WARNING", "%s", warning)
    return target


def tell_of_likely_address() -> None:
    """Log that the environment names a server under a name that is not read."""
    name = likely_address(os.environ)
    if name is not None:
        log("WARNING", "%s is set, but not read; did you mean DUALCACHE_URL?", name)


def tell_of_memory() -> None:
    """Log that nothing says where the cache lives; with several workers each has its own."""
    if is_one_of_several(os.environ, sys.argv, sys.modules):
        log(
            "WARNING",
            "no URL is configured, and there are several worker processes: each has a cache of "
            "its own in its memory, and does not see what another invalidates; give Cache a URL, "
            "or set DUALCACHE_URL",
        )
    else:
        log("INFO", "no URL is configured: the cache lives in the memory of this process")
