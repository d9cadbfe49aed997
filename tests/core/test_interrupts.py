from __future__ import annotations

import functools
import signal
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.interrupts import interrupt_in, was_caught_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Limit(Exception):
    pass


def raising(*_: object) -> None:
    raise Limit


class Handlers:
    def method(self, *_: object) -> None:
        raise Limit

    def __call__(self, *_: object) -> None:
        raise Limit


@pytest.fixture(autouse=True)
def unchanged() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def caught(call: Callable[[], Any], kind: type[BaseException] = Exception) -> BaseException:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError("nothing was raised")


def interrupted() -> BaseException:
    return caught(lambda: signal.raise_signal(signal.SIGUSR1))


@pytest.mark.parametrize(
    "handler",
    [raising, functools.partial(raising, 1), Handlers().method, Handlers()],
    ids=["function", "partial", "method", "object"],
)
def test_what_a_signal_handler_raises_is_an_interrupt(handler: Callable[..., None]) -> None:
    signal.signal(signal.SIGUSR1, handler)
    error = interrupted()
    assert interrupt_in(error) is error


def test_what_is_no_exception_is_always_one() -> None:
    error = KeyboardInterrupt()
    assert interrupt_in(error) is error


def test_the_same_exception_raised_by_a_function_is_none() -> None:
    signal.signal(signal.SIGUSR1, Handlers())
    assert interrupt_in(caught(raising)) is None
    assert interrupt_in(Limit()) is None


def _raise(error: BaseException) -> None:
    raise error.with_traceback(error.__traceback__)


def test_an_interrupt_that_the_client_turned_into_its_own_error_is_found() -> None:
    signal.signal(signal.SIGUSR1, raising)
    made: dict[str, Any] = {"__name__": "redis.connection", "signal": signal}
    source = (
        "def read():\n try: signal.raise_signal(signal.SIGUSR1)\n"
        " except Exception: raise OSError from None"
    )
    exec(source, made)
    error = caught(made["read"])
    assert isinstance(error, OSError)
    assert isinstance(interrupt_in(error), Limit)


def test_what_the_caller_was_handling_already_is_no_interrupt() -> None:
    signal.signal(signal.SIGUSR1, raising)

    def fail_while_handling() -> None:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except Limit:
            _raise(OSError())

    error = caught(fail_while_handling)
    assert isinstance(error.__context__, Limit)
    assert interrupt_in(error) is None


def test_a_long_chain_is_not_searched_to_its_end() -> None:
    made: dict[str, Any] = {"__name__": "redis.connection"}
    source = (
        "def fail(depth):\n try:\n  if depth: fail(depth - 1)\n  raise KeyError\n"
        " except Exception: raise OSError"
    )
    exec(source, made)
    error = caught(lambda: made["fail"](20))
    assert interrupt_in(error) is None
    assert was_caught_here(error.__context__ or error)
    assert not was_caught_here(OSError())
