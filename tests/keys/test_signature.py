from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import pytest

from dualcache.errors import UsageError
from dualcache.keys.signature import ABSENT, FunctionSignature

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    Later: TypeAlias = Any

MARK = "mark"


def get_user(user_id: int, lang: str = "en") -> dict[str, int]:
    raise NotImplementedError


def every_kind(a: int, /, b: str = "b", *args: int, c: int = 3, **rest: int) -> None:
    raise NotImplementedError


def with_gaps(later: Later, never: Decimal, fine: Annotated[int, MARK], bare=None) -> Later:  # type: ignore[no-untyped-def]  # noqa: ANN001  what is not there is looked for
    raise NotImplementedError


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Repository:
    class Row:
        pass

    def load(self, row: Row) -> Row:
        raise NotImplementedError

    async def fetch(self) -> None:
        raise NotImplementedError

    @staticmethod
    def build(size: int) -> None:
        raise NotImplementedError


def test_it_knows_the_functions_names() -> None:
    call = FunctionSignature.of(get_user)
    assert call.name == "get_user()"
    assert str(call) == "get_user(user_id, lang)"
    assert (call.module, call.qualname) == (__name__, "get_user")
    assert call.parameters == ("user_id", "lang")
    assert call.by_name == inspect.signature(get_user).parameters
    assert str(FunctionSignature.of(every_kind)) == "every_kind(a, b, *args, c, **rest)"


def test_a_local_function_is_shown_without_its_surroundings() -> None:
    def local() -> None:
        raise NotImplementedError

    call = FunctionSignature.of(local)
    assert call.name == "local()"
    assert not call.is_in_class


def test_it_tells_methods_from_functions() -> None:
    method = FunctionSignature.of(Repository.load)
    assert method.name == "Repository.load()"
    assert (method.is_in_class, method.first_is_receiver) == (True, True)
    static = FunctionSignature.of(Repository.build)
    assert (static.is_in_class, static.first_is_receiver) == (True, False)
    assert not FunctionSignature.of(get_user).is_in_class


def test_it_tells_coroutine_functions() -> None:
    class Callable_:  # noqa: N801
        async def __call__(self) -> None:
            raise NotImplementedError

    def marked() -> None:
        raise NotImplementedError

    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(marked)
    else:
        marked._is_coroutine = asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
    assert FunctionSignature.of(Repository.fetch).is_coroutine
    assert FunctionSignature.of(Callable_()).is_coroutine
    assert FunctionSignature.of(marked).is_coroutine
    assert FunctionSignature.of(functools.partial(Repository.fetch)).is_coroutine
    assert FunctionSignature.of(functools.partial(Callable_())).is_coroutine
    assert not FunctionSignature.of(get_user).is_coroutine
    assert not FunctionSignature.of(functools.partial(get_user)).is_coroutine


def test_generators_and_what_is_no_function_are_refused() -> None:
    def items() -> Any:
        yield 1

    async def push_epoch() -> Any:
        yield 1

    class Items:
        def __call__(self) -> Any:
            yield 1

    class Epochs:
        async def __call__(self) -> Any:
            yield 1

    for function, told in (
        (items, "a generator function"),
        (push_epoch, "an async generator function"),
        (Items(), r"Items\(\) is a generator function"),
        (Epochs(), "an async generator function"),
        (functools.partial(Items()), "a generator function"),
    ):
        with pytest.raises(UsageError, match=told) as caught:
            FunctionSignature.of(function)
        assert caught.value.code == "DC115"
        assert "return a list" in caught.value.help
    plain: Any = get_user
    others: list[Any] = [classmethod(plain), property(plain), 5]
    for other in others:
        with pytest.raises(UsageError) as caught:
            FunctionSignature.of(other)
        assert caught.value.code == "DC116"


def test_one_annotation_that_cannot_be_resolved_does_not_lose_the_others() -> None:
    globals().pop("Later", None)
    call = FunctionSignature.of(with_gaps)
    assert call.hints() == {"fine": Annotated[int, MARK]}
    assert call.return_annotation() is ABSENT
    assert call.unresolved() == {"later", "never"}
    globals()["Later"] = Repository
    try:
        assert call.hints()["later"] is Repository
        assert call.return_annotation() is Repository
        assert call.unresolved() == {"never"}
    finally:
        del globals()["Later"]


def test_annotations_are_looked_up_where_the_function_was_written() -> None:
    class Local:
        pass

    def uses(value: Local) -> Any:
        return value, Local()

    assert FunctionSignature.of(uses).hints() == {"value": Local}
    assert FunctionSignature.of(Repository.load).hints() == {"row": Repository.Row}
    assert FunctionSignature.of(logged(get_user)).hints() == {"user_id": int, "lang": str}
    assert FunctionSignature.of(get_user).return_annotation() == dict[str, int]
    assert FunctionSignature.of(Repository.fetch).return_annotation() is type(None)


def test_a_closure_that_is_not_filled_yet_counts_as_absent() -> None:
    def uses(value: Local) -> Any:
        return value, Local()

    call = FunctionSignature.of(uses)
    assert call.hints() == {}

    class Local:
        pass

    assert call.hints() == {"value": Local}


def test_functions_without_globals_have_hints_of_their_module() -> None:
    assert FunctionSignature.of(functools.partial(get_user, 1)).hints() in ({}, {"lang": str})
    assert FunctionSignature.of(len).hints() == {}


def test_every_way_to_write_a_call_gives_the_same_values() -> None:
    call = FunctionSignature.of(get_user)
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}),
        ((1, "en"), {}),
        ((), {"user_id": 1}),
        ((), {"lang": "en", "user_id": 1}),
    ]
    assert {call.bind(args, kwargs) for args, kwargs in calls} == {(1, "en")}


def test_values_turn_back_into_a_call() -> None:
    call = FunctionSignature.of(every_kind)
    values = call.bind((1, "x", 5, 6), {"c": 4, "z": 9})
    assert values == (1, "x", (5, 6), 4, {"z": 9})
    assert call.call_form(values) == ((1, "x", 5, 6), {"c": 4, "z": 9})
    assert call.bind((1,), {}) == (1, "b", (), 3, {})
    assert FunctionSignature.of(Repository.fetch).bind((None,), {}) == (None,)


def test_a_default_is_the_very_object() -> None:
    default = object()

    def takes(value: object = default) -> None:
        raise NotImplementedError

    assert FunctionSignature.of(takes).bind((), {}) == (default,)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), ((1, 2, 3), {}), ((1,), {"user_id": 2}), ((1,), {"nope": 2})]
)
def test_a_call_that_does_not_fit_raises_what_python_raises(args: Any, kwargs: Any) -> None:
    with pytest.raises(TypeError) as expected:
        get_user(*args, **kwargs)
    with pytest.raises(TypeError) as caught:
        FunctionSignature.of(get_user).bind(args, kwargs)
    assert str(caught.value) == str(expected.value)
