from __future__ import annotations

import asyncio
import threading

import pytest

from dualcache.backends.redis.daemon import in_daemon


def test_a_result_that_comes_in_the_turn_in_which_its_caller_is_cancelled_is_discarded() -> None:
    discarded: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(in_daemon(lambda: "socket", discard=discarded.append))
        await asyncio.sleep(0)
        for thread in threading.enumerate():
            if thread.name == "dualcache-connect":
                thread.join()  # the result waits in the loop, which does not run meanwhile
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert discarded == ["socket"]


def test_an_error_is_raised_where_it_is_awaited() -> None:
    def failing() -> str:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        asyncio.run(in_daemon(failing, discard=lambda _: None))
