"""Memory and its end: limits, policies, and what was evicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.doctor.asking import number, size, text
from dualcache.doctor.findings import fault, good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

NEARLY_FULL: Final = 0.9
TABLE_FULL: Final = 0.9
UNBOUNDED: Final = "0 0 0"


def examine_memory(node: Node) -> Iterator[Finding]:
    """Look at what bounds the server's memory."""
    info = node.info
    if "maxmemory" not in info:
        yield unknown("maxmemory", "the server does not say")
        return
    limit, used = number(info["maxmemory"]), number(info.get("used_memory"))
    policy = text(info.get("maxmemory_policy", "?"))
    if limit == 0:
        yield warning(
            "maxmemory",
            f"no limit, {size(used)} used: it grows until the machine kills it",
            "CONFIG SET maxmemory 2gb, and in its file",
        )
    else:
        yield good("maxmemory", f"{size(used)} of {size(limit)} used")
    yield policy_of(policy, is_full=bool(limit) and used > NEARLY_FULL * limit)
    yield from examine_rates(node)
    yield from examine_bounds(node)


def policy_of(policy: str, *, is_full: bool) -> Finding:
    """Judge what happens when the memory is full."""
    fix = "CONFIG SET maxmemory-policy allkeys-lfu, and in its file"
    if policy != "noeviction":
        return good("policy", policy)
    if is_full:
        return fault("policy", "noeviction, and nearly full: nothing new will be stored", fix)
    return warning("policy", "noeviction: a full server stores nothing new", fix)


def examine_rates(node: Node) -> Iterator[Finding]:
    """Tell how many keys end by their ttl, and how many for want of memory."""
    info = node.info
    seconds = max(1, number(info.get("uptime_in_seconds")))
    evicted, expired = number(info.get("evicted_keys")), number(info.get("expired_keys"))
    rates = f"{evicted / seconds:.1f} keys/s evicted, {expired / seconds:.1f} expired"
    told = f"{rates}, since it started"
    if evicted > expired and evicted > 0:
        yield warning("evictions", told, "raise maxmemory, or shorten ttls: entries end too early")
    else:
        yield good("evictions", told)
    refused = number(info.get("rejected_connections"))
    if refused:
        cause = f"{refused} connections were refused: maxclients was reached"
        yield warning("connections", cause, "raise maxclients, or lower max_connections")
    else:
        yield good("connections", f"{number(info.get('connected_clients'))} open, none refused")


def examine_bounds(node: Node) -> Iterator[Finding]:
    """Look at the table of tracked keys, and at the buffers of those that read slowly."""
    table = node.setting("tracking-table-max-keys")
    tracked = number(node.info.get("tracking_total_keys"))
    if table is None:
        yield unknown("tracking-table", "CONFIG GET is refused", "check it with your provider")
        return
    if number(table) and tracked > TABLE_FULL * number(table):
        yield warning(
            "tracking-table",
            f"{tracked} of {table} keys: when it is full, front tiers lose copies",
            f"CONFIG SET tracking-table-max-keys {2 * number(table)}",
        )
    else:
        yield good("tracking-table", f"{tracked} of {table} keys" if number(table) else "unbounded")
    normal = buffer_of(node.setting("client-output-buffer-limit") or "", "normal")
    if normal == UNBOUNDED:
        yield good("buffers", "of normal clients without a limit, as Redis has it by default")
    else:
        yield good("buffers", f"of normal clients up to {normal}")


def buffer_of(text_of_all: str, kind: str) -> str:
    """Return the three numbers of a kind of client."""
    words = text_of_all.split()
    return " ".join(words[words.index(kind) + 1 :][:3]) if kind in words else "?"
