"""What processes share of their statistics: a hash for each minute, a field for each process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.errors import classify

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["read_shares", "write_shares"]


def write_shares(
    client: Any, shares: Sequence[tuple[str, bytes]], process: str, life_ms: int
) -> None:
    """Write the shares of one process, each under its key; raises a `BackendError`.

    A field is overwritten, so a write that was lost or repeated counts nothing twice.
    """
    from redis.exceptions import RedisError

    pipeline = client.pipeline(transaction=False)
    for key, blob in shares:
        pipeline.hset(key, process, blob)
        pipeline.pexpire(key, life_ms)
    try:
        pipeline.execute()
    except (OSError, RedisError) as error:
        raise classify(error) from error


def read_shares(client: Any, keys: Sequence[str]) -> list[list[bytes]]:
    """Return the shares of all processes under each key, in one pipeline; raises as above."""
    from redis.exceptions import RedisError

    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hvals(key)
    try:
        replies: list[list[bytes]] = pipeline.execute()
    except (OSError, RedisError) as error:
        raise classify(error) from error
    return replies
