"""The arguments of `Cache`, checked, and completed from the environment; no other I/O."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.backends.redis.push.transports import needs_publishers
from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.observability.logs import log
from dualcache.options.option import Part, Where
from dualcache.options.policy import Defaults, make_defaults
from dualcache.options.settings import Settings, likely_address, read_environment
from dualcache.options.table import OPTIONS, checked, names
from dualcache.options.target import (
    Target,
    parse_url,
    scheme_of,
    with_provider,
    with_sentinel_provider,
)
from dualcache.options.target_options import refuse_tls_option
from dualcache.options.workers import is_one_of_several
from dualcache.options.written import chosen, meant

if TYPE_CHECKING:
    from dualcache.options.front_tier import FrontTier
    from dualcache.typing import Url

__all__ = ["Configuration", "configure"]

_OWNER: Final = "Cache()"
_PROVIDERS: Final = {
    "credential_provider": with_provider,
    "sentinel_credential_provider": with_sentinel_provider,
}
_OF_URL: Final = names(Where.URL)
_OF_CACHE: Final = (*_OF_URL, *(name for name in names(Where.CACHE) if name not in _OF_URL))
_OF_POLICY: Final = names(Where.CACHE, Part.POLICY)
_OF_VALUES: Final = names(Where.CACHE, Part.VALUE)


class Configuration(NamedTuple):
    """Everything that a cache is made of."""

    target: Target
    prefix: str
    defaults: Defaults
    limits: dict[str, Any]
    is_enabled: bool
    is_strict: bool
    is_publishing: bool
    client: Any
    async_client: Any
    front: FrontTier | None
    max_staleness: float
    shares_stats: bool


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
    split = _split(options, scheme_of(known.url if url is None else url) or "memory")
    target = _target_of(url, known, split)
    if target.scheme == "memory" and url is None and known.url is None and settings is None:
        _tell_of_likely_address()
    name = checked("namespace", namespace or known.namespace, owner=_OWNER)
    if ttl is MISSING:
        ttl = OPTIONS["ttl"].default if known.ttl is None else known.ttl
    tier = checked("front", known.front if front is None else front, owner=_OWNER)
    return Configuration(
        target,
        f"{name}:" if name else "",
        make_defaults({**chosen(split.policy, _OF_POLICY), "ttl": ttl}, owner=_OWNER),
        chosen(split.policy, _OF_VALUES),
        known.enabled,
        checked("strict", split.policy.get("strict", OPTIONS["strict"].default), owner=_OWNER),
        _to_publish(split.policy.get("publish"), tier),
        split.policy.get("client"),
        split.policy.get("async_client"),
        tier,
        checked("max_staleness", max_staleness, owner=_OWNER),
        checked("fleet_stats", split.policy.get("fleet_stats", False), owner=_OWNER),
    )


def _to_publish(value: Any, front: FrontTier | None) -> bool:
    """Decide whether this cache publishes what it revokes; one that hears others always does."""
    transport = "" if front is None else front.transport
    is_hearing = needs_publishers(transport)
    if value is None:
        return is_hearing
    is_publishing: bool = checked("publish", value, owner=_OWNER)
    if is_hearing and not is_publishing:
        tier = f"FrontTier(transport={transport!r})"
        raise UsageError(
            f"publish=False of Cache() and {tier} contradict each other",
            code="DC166",
            help="leave publish out: with this transport every process has to publish",
        )
    return is_publishing


class _Split(NamedTuple):
    """Options of the connection apart from those of the policy."""

    connection: dict[str, Any]
    policy: dict[str, Any]


def _split(options: dict[str, Any], scheme: str) -> _Split:
    """Tell connection options from policy options; refuse what is neither.

    `scheme` is that of the URL: advice names what it takes.
    """
    for name in options:
        if name not in _OF_CACHE:
            refuse_tls_option((name,), scheme, owner=_OWNER)
            bound = "max_entries"  # with a server, who writes maxsize means the front tier's
            likely = meant(name, (n for n in _OF_CACHE if scheme == "memory" or n != bound))
            raise UsageError(
                f"{_OWNER} has no option {name}",
                code="DC151",
                help=f"did you mean {likely}?" if likely else "see the reference of Cache",
            )
    connection = {name: value for name, value in options.items() if name in _OF_URL}
    return _Split(connection, {k: v for k, v in options.items() if k not in connection})


def _target_of(url: Url | None, known: Settings, split: _Split) -> Target:
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
        for name in _PROVIDERS:
            if split.policy.get(name) is not None:
                raise UsageError(
                    f"{name} of Cache() and a client contradict each other",
                    code="DC188",
                    help="make the client with it",
                )
        return target_of_clients(client, async_client, split.connection)
    if url is None:
        url = known.url
    if url is None:
        _tell_of_memory(known)
        url = "memory://"
    target = parse_url(url, **split.connection)
    for name, put_into in _PROVIDERS.items():
        provider = split.policy.get(name)
        if provider is not None and target.kind == "redis":
            target = put_into(target, provider)
    for warning in target.warnings:
        log("WARNING", "%s", warning)
    return target


def _tell_of_likely_address() -> None:
    """Log that the environment names a server under a name that is not read."""
    name = likely_address(os.environ)
    if name is not None:
        log("WARNING", "%s is set, but not read; did you mean DUALCACHE_URL?", name)


def _tell_of_memory(known: Settings) -> None:
    """Log that nothing says where the cache lives; with several workers each has its own."""
    if not known.enabled:
        return
    if is_one_of_several(os.environ, sys.argv, sys.modules):
        log(
            "WARNING",
            "no URL is configured, and there are several worker processes: each has a separate "
            "cache in memory, and does not see the invalidations of the others; give Cache a URL, "
            "or set DUALCACHE_URL",
        )
    else:
        log("INFO", "no URL is configured: the cache is in the memory of this process")
