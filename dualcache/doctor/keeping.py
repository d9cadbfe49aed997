"""What survives: persistence, and replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.doctor.asking import number, text
from dualcache.doctor.findings import fault, good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

LAGGING_SECONDS: Final = 10


def examine_keeping(node: Node) -> Iterator[Finding]:
    """Look at persistence and at replicas."""
    if "role" not in node.info:
        yield unknown("persistence", "the server does not say")
        return
    yield persistence(node)
    yield replication(node)


def persistence(node: Node) -> Finding:
    """Tell what a restart begins with."""
    info = node.info
    has_log = bool(number(info.get("aof_enabled")))
    schedule = node.setting("save")
    failed = text(info.get("rdb_last_bgsave_status", "ok")) != "ok"
    if failed and schedule and (node.setting("stop-writes-on-bgsave-error") or "yes") == "yes":
        return fault(
            "persistence",
            "the last snapshot failed, so the server refuses writes",
            'see its log and disk; a cache needs none: CONFIG SET save ""',
        )
    kinds = [kind for kind, on in (("snapshots", bool(schedule)), ("a log", has_log)) if on]
    if schedule is None and not has_log:
        return unknown("persistence", "no append-only log; snapshots are unknown")
    if kinds:
        return good("persistence", f"{' and '.join(kinds)}; run dualcache clear after a restore")
    return good("persistence", "none: a restart begins with an empty cache")


def replication(node: Node) -> Finding:
    """Tell whether a failover can lose deletions."""
    info = node.info
    if text(info["role"]) != "master":
        return fault("replicas", "this server is a replica", "give the URL of the master")
    replicas = number(info.get("connected_slaves"))
    if not replicas:
        return good("replicas", "none")
    lags = [number(told.get("lag")) for name, told in info.items() if is_replica(name, told)]
    if any(lag > LAGGING_SECONDS for lag in lags):
        return warning(
            "replicas",
            f"{replicas}, the slowest {max(lags)} s behind: a failover forgets deletions",
            "see its log and the network; repl-backlog-size may be too small",
        )
    if node.setting("min-replicas-to-write") == "0":
        return warning(
            "replicas",
            f"{replicas}, and min-replicas-to-write is 0: a master that is cut off takes deletions"
            " that a failover forgets",
            "CONFIG SET min-replicas-to-write 1",
        )
    return good("replicas", f"{replicas}, at most {max(lags, default=0)} s behind")


def is_replica(name: str, told: object) -> bool:
    """Tell whether a line of INFO is about a replica."""
    return name.startswith("slave") and isinstance(told, dict)
