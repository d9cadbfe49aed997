"""What the servers of a cache count, added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from dualcache import Cache

ADDED: Final = (
    "keyspace_hits",
    "keyspace_misses",
    "evicted_keys",
    "expired_keys",
    "total_commands_processed",
    "used_memory",
    "maxmemory",
    "connected_clients",
    "tracking_clients",
    "tracking_total_keys",
)


class Figures(NamedTuple):
    """Numbers of INFO, summed over the servers; without any where INFO is refused."""

    numbers: dict[str, int]
    keys: int
    uptime: int

    def told(self, before: Figures | None, passed: float) -> dict[str, Any]:
        """Return the figures to show; rates are those since `before`, `passed` seconds ago."""
        past: dict[str, int] = before.numbers if before is not None else {}
        during = passed if before is not None else float(max(1, self.uptime))
        grown = {name: number - past.get(name, 0) for name, number in self.numbers.items()}
        hits, misses = grown.get("keyspace_hits", 0), grown.get("keyspace_misses", 0)

        def rate(name: str) -> float | None:
            return grown[name] / during if name in grown else None

        return {
            "keys": self.keys,
            "memory bytes": self.numbers.get("used_memory"),
            "memory limit": self.numbers.get("maxmemory"),
            "hit ratio": hits / (hits + misses) if hits + misses else None,
            "reads/s": (hits + misses) / during,
            "commands/s": rate("total_commands_processed"),
            "evicted/s": rate("evicted_keys"),
            "expired/s": rate("expired_keys"),
            "clients": self.numbers.get("connected_clients"),
            "front tiers": self.numbers.get("tracking_clients"),
            "tracked keys": self.numbers.get("tracking_total_keys"),
            "uptime": self.uptime,
        }


def figures_of(cache: Cache) -> Figures:
    """Ask the server, or each primary of a cluster."""
    client: Any = cache.client
    primaries = client.get_primaries() if hasattr(client, "get_primaries") else ()
    clients = [node.redis_connection for node in primaries] or [client]
    numbers: dict[str, int] = {}
    keys, uptime = 0, 0
    for each in clients:
        try:
            told = each.info()
            keys += each.dbsize()
        except ResponseError:
            continue
        uptime = max(uptime, told.get("uptime_in_seconds", 0))
        for name in ADDED:
            if name in told:
                numbers[name] = numbers.get(name, 0) + told[name]
    return Figures(numbers, keys, uptime)
