"""A connection that many tasks share: what becomes of them when it fails."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from dualcache.backends.redis.async_connection import MultiplexedConnection
from dualcache.errors import BackendUnavailable
from dualcache.options.target import parse_url


class FullConnection:
    """A connection whose socket takes nothing and gives nothing."""

    is_connected = True

    @property
    def transport(self) -> FullConnection:
        return self

    def close(self) -> None: ...

    async def send_packed_command(self, _: Any, *, check_health: bool) -> None:
        assert not check_health
        await asyncio.get_running_loop().create_future()

    async def read_response(self, *, disable_decoding: bool) -> Any:
        assert disable_decoding
        await asyncio.get_running_loop().create_future()

    async def disconnect(self, *, nowait: bool) -> None:
        assert nowait


def test_who_waits_for_room_is_not_cancelled_when_the_link_fails() -> None:
    async def fail_while_full() -> bool:
        connection = cast("Any", FullConnection())
        target = parse_url("redis://cache", socket_timeout=60)
        loop = asyncio.get_running_loop()
        link = MultiplexedConnection(
            connection,
            target,
            loop,
            began=loop.time(),
            on_end=lambda _: None,
            on_slow=lambda _: None,
        )
        replied = link.exchange(b"*1", 1)
        await asyncio.sleep(0)  # the turn ends: its commands are written
        await asyncio.sleep(0)
        waiting = asyncio.create_task(link.room())
        await asyncio.sleep(0)
        link.fail(BackendUnavailable("cut", code="DC200"))
        await waiting
        assert isinstance(replied.exception(), BackendUnavailable)
        return link.is_up

    assert not asyncio.run(fail_while_full())
