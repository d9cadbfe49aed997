"""Which rights of a server's user one cache needs, by what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.backends.redis.wire.rights import RIGHTS, Feature

if TYPE_CHECKING:
    from dualcache.backends.redis.wire.rights import Right
    from dualcache.options.front_tier import FrontTier
    from dualcache.options.target import Target

__all__ = ["needed_rights"]

_BY_TRANSPORT = {
    "auto": {Feature.TRACKING},
    "tracking": {Feature.TRACKING},
    "broadcast": {Feature.BROADCAST},
    "pubsub": {Feature.PUBSUB},
}


def needed_rights(
    target: Target, prefix: str, front: FrontTier | None, *, is_publishing: bool, is_sharing: bool
) -> tuple[Right, ...]:
    """Return the rows of the table of rights that a cache uses, its namespace written in."""
    wanted = {Feature.CACHE, Feature.PATTERNS, Feature.SCRIPTS}
    if front is not None:
        wanted |= _BY_TRANSPORT.get(front.transport, set())
    if target.db:
        wanted.add(Feature.DATABASE)
    if target.nodes:
        wanted.add(Feature.CLUSTER)
    if target.sentinels:
        wanted.add(Feature.SENTINEL)
    if is_publishing:
        wanted.add(Feature.PUBLISH)
    if is_sharing:
        wanted.add(Feature.FLEET)
    return tuple(
        right._replace(rule=right.rule.replace("<namespace>:", prefix))
        for right in RIGHTS
        if wanted.intersection(right.features)
    )
