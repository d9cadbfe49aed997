"""What processes share of their statistics: a hash for each minute, a field for each process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dualcache.backends.redis.errors import classify

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

__all__ = ["read_shares", "write_shares"]


def write_shares(
    client: Callable[[], Any], shares: Sequence[tuple[str, bytes]], process: str, life_ms: int
) -> None:
    """Write the shares of one process, each under its key; raises a `BackendError`.

    A field is overwritten, so a write that was lost or repeated counts nothing twice.
    """
    with _classified():
        pipeline = client().pipeline(transaction=False)
        for key, blob in shares:
            pipeline.hset(key, process, blob)
            pipeline.pexpire(key, life_ms)
        pipeline.execute()


def read_shares(client: Callable[[], Any], keys: Sequence[str]) -> list[list[bytes]]:
    """Return the shares of all processes under each key, in one pipeline; raises as above."""
    with _classified():
        pipeline = client().pipeline(transaction=False)
        for key in keys:
            pipeline.hvals(key)
        replies: list[list[bytes]] = pipeline.execute()
    return replies


@contextmanager
def _classified() -> Generator[None]:
    """Raise what a client raises as a `BackendError`."""
    from redis.exceptions import RedisClusterException, RedisError

    try:
        yield
    # A client of a Cluster connects when it is made, and raises what is no RedisError.
    except (OSError, RedisError, RedisClusterException) as error:
        raise classify(error) from error
