"""The adapter that gives one test body to both colours."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import typing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.colours import AsyncColour, SyncColour

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour

LANGUAGE = contextvars.ContextVar("LANGUAGE", default="none")


def language() -> str:
    return LANGUAGE.get()


class Post: ...


def plain(post: int, /, page: int = 1, *rest: str, user: Post | None = None) -> list[Any]:
    """Say what came in."""
    return [post, page, rest, user]


async def suspending(
    post: int, /, page: int = 1, *rest: str, user: Post | None = None
) -> list[Any]:
    """Say what came in."""
    return [post, page, rest, user]


@pytest.mark.parametrize("body", [plain, suspending])
def test_a_recoloured_body_is_the_same_function_in_the_other_colour(
    colour: Colour, body: Callable[..., Any]
) -> None:
    function = colour.function(body, yields=True)
    assert inspect.iscoroutinefunction(function) == colour.is_async
    assert inspect.signature(function) == inspect.signature(body)
    assert typing.get_type_hints(function) == typing.get_type_hints(body)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(function, name) == getattr(body, name)
    assert colour.run(function, 1, 2, "x", user=None) == [1, 2, ("x",), None]
    assert colour.run(function, 1) == [1, 1, (), None]


def test_a_gate_holds_bodies_while_the_test_acts(colour: Colour) -> None:
    gate = colour.gate()
    done: list[int] = []

    @colour.function
    async def body(number: int) -> int:
        await gate.passed()
        await colour.checkpoint()
        done.append(number)
        return number

    handles = [colour.start(partial(body, number)) for number in range(5)]
    gate.wait_until_entered(5)
    assert not done
    gate.open()
    assert [handle.result() for handle in handles] == [0, 1, 2, 3, 4]
    assert colour.run(body, 5) == 5


def test_gathered_calls_run_at_once_and_keep_their_order(colour: Colour) -> None:
    gate = colour.gate()

    @colour.function
    async def body(number: int) -> int:
        if number == 2:
            gate.wait_until_entered(1)
            gate.open()
            raise LookupError(number)
        await gate.passed()
        return number

    thunks = [partial(body, 1), partial(body, 2)]
    results = colour.gather(*thunks, return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], LookupError)
    with pytest.raises(LookupError):
        colour.gather(*thunks)


def test_a_call_sees_the_context_of_the_test(colour: Colour) -> None:
    body = colour.function(language)
    token = LANGUAGE.set("en")
    assert colour.run(body) == "en"
    assert colour.start(body).result() == "en"
    assert colour.gather(body, body) == ["en", "en"]
    LANGUAGE.reset(token)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_a_body_raises_comes_back_and_does_no_harm(
    colour: Colour, error: type[BaseException]
) -> None:
    @colour.function
    def body() -> None:
        raise error

    with pytest.raises(error):
        colour.run(body)
    assert isinstance(colour.start(body).error(), error)
    assert colour.run(colour.function(lambda: 1)) == 1


def test_a_task_that_outlives_the_caches_fails_the_test() -> None:
    colour = AsyncColour()
    forever = colour.gate()

    kept: list[asyncio.Future[None]] = []  # a task that nobody refers to may be collected first

    async def linger() -> None:
        kept.append(asyncio.get_running_loop().create_future())
        await kept[0]

    colour.start(linger)
    colour.start(forever.passed)
    forever.wait_until_entered()
    with pytest.raises(AssertionError, match="tasks outlive"):
        colour.close(grace=0.05)


def test_a_thread_that_outlives_the_caches_fails_the_test() -> None:
    colour = SyncColour()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="lingering")
    thread.start()
    with pytest.raises(AssertionError, match="lingering"):
        colour.close(grace=0.05)
    stop.set()
    thread.join()
