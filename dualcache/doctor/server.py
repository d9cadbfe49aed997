"""What the server is, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis.exceptions import NoScriptError, RedisError

from dualcache.doctor.asking import PROBE, number, text
from dualcache.doctor.findings import fault, good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

OLDEST: Final = (6, 2)


def examine_server(node: Node, namespace: str) -> Iterator[Finding]:
    """Tell kind and release, and try what the cache makes use of."""
    yield kind_and_release(node)
    hello = node.answer("HELLO")
    if isinstance(hello, RedisError):
        yield warning(
            "resp3", "refused: changes cannot be pushed", 'use FrontTier(transport="pubsub")'
        )
    else:
        yield good("resp3", "spoken")
    tracking = node.answer("CLIENT", "TRACKINGINFO")
    if isinstance(tracking, RedisError):
        yield warning(
            "tracking",
            "CLIENT TRACKING is refused: a front tier does not hear of changes by it",
            'allow +client|tracking, or use FrontTier(transport="pubsub")',
        )
    else:
        yield good("tracking", "a front tier can hear of changes")
    yield from examine_storing(node, f"{namespace}:{PROBE}" if namespace else PROBE)


def kind_and_release(node: Node) -> Finding:
    """Tell what the server is."""
    info = node.info
    if not info:
        return unknown("server", "INFO is refused", "allow +info to the user of the doctor")
    is_valkey = "valkey_version" in info
    release = text(info.get("valkey_version") or info.get("redis_version", "?"))
    mode = text(info.get("redis_mode", "standalone"))
    told = f"{'Valkey' if is_valkey else 'Redis'} {release}, {mode}"
    if mode == "cluster" and not node.label:
        cause = f"{told}: a URL for one server reaches only the keys of this node"
        return fault("server", cause, "write redis+cluster:// in the URL")
    numbers = tuple(number(part) for part in release.split(".")[:2])
    if not is_valkey and numbers < OLDEST:
        return warning("server", told, "upgrade to Redis 6.2 or later: older ones are not tested")
    return good("server", told)


def examine_storing(node: Node, key: str) -> Iterator[Finding]:
    """Find how values are stored under a compare: by SET IFEQ, a script, or a transaction."""
    # The key is not there, so nothing is stored. It is one of the namespace: a user may have no
    # rights to others.
    compared = node.answer("SET", key, "1", "IFEQ", "0", "PX", "1")
    # No script has this name: the answer to who may run it is NOSCRIPT.
    scripted = node.answer("EVALSHA", "0" * 40, "0")
    can_compare = not isinstance(compared, RedisError)
    can_script = isinstance(scripted, NoScriptError)
    yield good("ifeq", "SET compares" if can_compare else "not there: a script compares")
    if can_script:
        yield good("scripts", "allowed")
    elif can_compare:
        yield good("scripts", "refused, and not needed: SET compares")
    else:
        yield warning(
            "scripts",
            "refused, so a value is stored by WATCH, MULTI and EXEC: two trips more",
            "allow +evalsha, +script|load and +getrange, or upgrade to Redis 8.4 or Valkey 8.1",
        )
