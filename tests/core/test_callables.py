"""Options that are functions get what they take, and are refused where they cannot be called."""

from __future__ import annotations

import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.callables import adapted, checked_loader, taking_of
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

NAMES = ("user_id", "lang")


def called(function: Any, *values: Any, names: tuple[str, ...] = NAMES) -> Any:
    return adapted(function, names, option="condition", owner="load()")(*values)


def required(result: Any, *, lang: str) -> Any:
    return result, lang


def with_rest(result: Any, *rest: Any, lang: str) -> Any:
    return result, rest, lang


def in_order_alone(result: Any, first: Any, /) -> Any:
    return result, first


class Judge:
    def __call__(self, result: Any, lang: str) -> Any:
        return result, lang


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (lambda: "none", "none"),
        (lambda result: result, "r"),
        (lambda result, user_id: (result, user_id), ("r", 7)),
        (lambda result, lang: (result, lang), ("r", "en")),
        (lambda result, lang, user_id: (result, lang, user_id), ("r", "en", 7)),
        (lambda result, x: (result, x), ("r", 7)),
        (lambda result, x, y: (result, x, y), ("r", 7, "en")),
        (lambda result, least=10: (result, least), ("r", 10)),
        (lambda result, least=10, lang="": (result, least, lang), ("r", 10, "en")),
        (lambda *values: values, ("r", 7, "en")),
        (lambda result, *values: (result, values), ("r", (7, "en"))),
        (lambda result, **named: (result, named), ("r", {"user_id": 7, "lang": "en"})),
        (lambda result, x, **named: (result, x, named), ("r", 7, {"lang": "en"})),
        (lambda *, lang: lang, "en"),
        (required, ("r", "en")),
        (with_rest, ("r", (7, "en"), "en")),
        (in_order_alone, ("r", 7)),
        (Judge(), ("r", "en")),
        (partial(required), ("r", "en")),
        (Judge().__call__, ("r", "en")),
        (bool, True), (len, 1), (str, "r"), (operator.itemgetter(0), "r"),
        (operator.methodcaller("upper"), "R"),
    ],
)  # fmt: skip
def test_a_callable_is_given_what_it_takes(function: Any, answer: Any) -> None:
    assert called(function, "r", 7, "en") == answer


@pytest.mark.parametrize(
    "function",
    [
        lambda result, a, b, c: (result, a, b, c), lambda result, *, other: (result, other),
        lambda result, *rest, other: (result, rest, other),
        lambda result, a, /, b, c: (result, a, b, c),
    ],
)  # fmt: skip
def test_a_callable_that_wants_more_than_there_is_is_refused(function: Any) -> None:
    with pytest.raises(UsageError) as caught:
        adapted(function, NAMES, option="ttl", owner="load()")
    assert str(caught.value) == (
        "[DC130] ttl of load() takes more values than there are\n"
        "  given     (result, user_id, lang)\n"
        "  help      take fewer, or name its parameters after those of the function"
    )


async def later(result: Any) -> bool:
    return False


async def several_later(result: Any) -> AsyncIterator[bool]:
    yield False


def several(result: Any) -> Iterator[bool]:
    yield False


class Later:
    async def __call__(self, result: Any) -> bool:
        return bool(result)


@pytest.mark.parametrize(
    "function", [later, several, several_later, Later(), partial(later), Later().__call__]
)
def test_a_callable_that_has_to_be_awaited_is_refused(function: Any) -> None:
    with pytest.raises(UsageError, match=r"condition of load\(\) is async") as caught:
        adapted(function, NAMES, option="condition", owner="load()")
    assert caught.value.code == "DC129"
    with pytest.raises(UsageError, match="vary"):
        taking_of(function, NAMES, option="vary", owner="load()")


def test_an_answer_that_has_to_be_awaited_is_refused_and_never_left_unawaited() -> None:
    judge = adapted(lambda result: later(result), (), option="condition", owner="load()")  # noqa: PLW0108
    with pytest.raises(UsageError, match="async"):
        judge("r")


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="tags of load\\(\\) is not callable"):
        adapted("users", (), option="tags", owner="load()")  # type: ignore[arg-type]


def test_a_callable_of_the_arguments_alone_gets_no_result() -> None:
    def taken(function: Any) -> Any:
        return taking_of(function, NAMES, option="vary", owner="load()")

    assert taken(lambda: None) == (False, (), ())
    assert taken(lambda lang: lang) == (False, (), (("lang", 1),))
    assert taken(lambda x: x) == (False, (0,), ())
    assert taken(lambda *values: values) is None
    assert taken(max) is None


def test_a_loader_is_a_function_that_nobody_has_called_yet() -> None:
    assert checked_loader(len, "get_or_load()") is len
    for given, fix in ((42, "set() stores a value"), (later(1), "without calling it")):
        with pytest.raises(UsageError, match=r"the loader of get_or_load\(\) is of type") as caught:
            checked_loader(given, "get_or_load()")
        assert (caught.value.code, fix in caught.value.help) == ("DC131", True)


def test_a_direct_call_has_a_result_alone() -> None:
    assert called(lambda result: result, "r", names=()) == "r"
    assert called(lambda: "none", "r", names=()) == "none"
    assert called(len, "r", names=()) == 1
    with pytest.raises(UsageError, match="async"):
        called(later, "r", names=())
    with pytest.raises(UsageError, match="takes more values"):
        called(lambda result, key: (result, key), "r", names=())


async def loads(entry: Any, lang: str) -> Any:
    return entry, lang


def loads_plainly(entry: Any) -> Any:
    return entry


@pytest.mark.parametrize("names", [NAMES, ()], ids=["arguments", "none"])
def test_what_loads_may_have_to_be_awaited(names: tuple[str, ...]) -> None:
    function = loads if names else loads_plainly
    call = adapted(function, names, option="refresh_from", owner="load()", may_be_async=True)
    answer = call("old", *(7, "en")[: len(names)])
    if not names:
        assert answer == "old"
        return
    with pytest.raises(StopIteration) as ended:
        answer.send(None)
    assert ended.value.value == ("old", "en")
