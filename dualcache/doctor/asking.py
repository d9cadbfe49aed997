"""Asking one server: its raw client, and answers that may be refused."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from dualcache import Cache

PROBE: Final = "~doctor"
"""The key that checks try; under `~`, where no key of a user is."""


class Node:
    """One server that keeps entries; `label` is its address where there are several."""

    def __init__(self, client: Any, label: str = "") -> None:
        self.client = client
        self.label = label

    @property
    def user(self) -> str:
        """The user that the URL names."""
        pool = getattr(self.client, "connection_pool", None)
        return str(getattr(pool, "connection_kwargs", {}).get("username") or "")

    @cached_property
    def info(self) -> dict[str, Any]:
        """What INFO tells; empty where it may not be asked."""
        told: dict[str, Any] = {}
        with suppress(RedisError):
            told = self.client.info()
        return told

    def setting(self, name: str) -> str | None:
        """Return a value of CONFIG GET; `None` where it may not be asked, or is not known."""
        with suppress(RedisError):
            told: dict[Any, Any] = self.client.config_get(name)
            found = {text(key): text(value) for key, value in told.items()}
            return found.get(name)
        return None

    def answer(self, *command: str) -> Any:
        """Return the answer to a command; an error of the server is returned, not raised."""
        try:
            return self.client.execute_command(*command)
        except RedisError as error:
            return error


def nodes_of(cache: Cache) -> list[Node]:
    """Return the servers that keep the entries of a cache: one, or each primary of a cluster."""
    client: Any = cache.client
    if hasattr(client, "get_primaries"):
        return [Node(node.redis_connection, node.name) for node in client.get_primaries()]
    return [Node(client)]


def text(value: Any) -> str:
    """Return bytes of the server as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def number(value: Any, default: int = 0) -> int:
    """Return a number as INFO and CONFIG write it."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return default


def size(number_of_bytes: int) -> str:
    """Write a number of bytes for people."""
    units = (("GB", 30), ("MB", 20), ("kB", 10))
    for unit, bits in units:
        if number_of_bytes >> bits:
            return f"{number_of_bytes / (1 << bits):.1f} {unit}"
    return f"{number_of_bytes} bytes"
