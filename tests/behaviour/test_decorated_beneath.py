"""A decorator of somebody else's beneath the cache's: what can be called is what is cached."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache.keys.signature import FunctionSignature

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour

SESSION: Final = ["a session"]


def beneath(change: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make a decorator that changes the arguments of a call; it keeps the colour."""

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = change(*args, **kwargs)
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            args, kwargs = change(*args, **kwargs)
            return await function(*args, **kwargs)

        return later if inspect.iscoroutinefunction(function) else plain

    return decorate


first = beneath(lambda *args, **kwargs: ((SESSION, *args), kwargs))
by_name = beneath(lambda *args, **kwargs: (args, {**kwargs, "session": SESSION}))
if_missing = beneath(lambda *args, **kwargs: (args, {"session": SESSION, **kwargs}))
untouched = beneath(lambda *args, **kwargs: (args, kwargs))
reads_first = beneath(lambda *args, **kwargs: ((args[0], *args[1:]), kwargs))
OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "default key": {},
    "ignored": {"ignore": ("session",)},
    "template": {"key": "user:{user_id}:{lang}"},
    "tagged": {"tags": ["user:{user_id}"]},
}


def session_first(session: Any, user_id: int, lang: str = "en") -> list[Any]:
    return [session, user_id, lang]


def session_last(user_id: int, lang: str = "en", session: Any = None) -> list[Any]:
    return [session, user_id, lang]


def session_named(user_id: int, lang: str = "en", *, session: Any) -> list[Any]:
    return [session, user_id, lang]


SUPPLYING: Final[dict[str, tuple[Any, Any]]] = {
    "first": (first, session_first),
    "by name": (by_name, session_last),
    "if missing": (if_missing, session_last),
    "keyword only": (by_name, session_named),
    "by name, first": (by_name, session_first),
}


@pytest.mark.parametrize("way", SUPPLYING)
@pytest.mark.parametrize("options", OPTIONS)
def test_a_decorator_beneath_may_supply_an_argument(
    colour: Colour, backend_url: str, way: str, options: str
) -> None:
    supply, body = SUPPLYING[way]
    load = colour.cache(backend_url)(**OPTIONS[options])(supply(colour.function(body)))
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), {"user_id": 7})]
    if way != "by name, first":
        calls += [((7,), {}), ((8,), {}), ((7,), {"lang": "de"})]
    if way not in ("first", "by name, first"):  # the first of two values is taken for the session
        calls.append(((7, "de"), {}))
    for args, kwargs in calls:
        expected = [SESSION, *body_values(*args, **kwargs)]
        for _ in range(3):
            assert colour.run(load, *args, **kwargs) == expected
        assert colour.run(load.peek, *args, **kwargs).value == expected
        assert colour.run(load.refresh, *args, **kwargs) == expected
        assert colour.run(load.store, "stored", *args, **kwargs) is True
        assert colour.run(load, *args, **kwargs) == "stored"
        assert colour.run(load.invalidate, *args, **kwargs).removed == 1
        assert colour.run(load.peek, *args, **kwargs) is None


def body_values(user_id: int, lang: str = "en") -> list[Any]:
    return [user_id, lang]


def test_a_key_is_never_made_of_another_argument_than_the_one_it_names(colour: Colour) -> None:
    cache = colour.cache("memory://")

    def body(session: Any, user_id: int = 1, lang: str = "en") -> list[Any]:
        return [session, user_id, lang]

    by_user: dict[str, Any] = {"key": "u:{user_id}", "ignore": ("lang",)}
    for options in (OPTIONS["template"], by_user, OPTIONS["ignored"]):
        load = cache(**options)(first(colour.function(body)))
        # 7 is taken for the session: the key would be that of user 1.
        with pytest.raises(TypeError, match="user_id"):
            colour.run(load, 7)
        assert colour.run(load, user_id=7) == [SESSION, 7, "en"]
        assert colour.run(load, user_id=8) == [SESSION, 8, "en"]
        assert colour.run(load, user_id=1) == colour.run(load, user_id=1) == [SESSION, 1, "en"]
        with pytest.raises(TypeError, match="user_id"):  # and not what is stored for user 1
            colour.run(load, 7)
    load = cache(name="plain")(first(colour.function(body)))
    assert colour.run(load, 7) == colour.run(load, 7) == [SESSION, 7, "en"]
    assert colour.run(load, 8) == [SESSION, 8, "en"]


@pytest.mark.parametrize("options", ["default key", "template"])
def test_equal_spellings_have_one_key_under_a_decorator_that_changes_nothing(
    colour: Colour, backend_url: str, options: str
) -> None:
    runs = []

    def body(user_id: int, lang: str = "en") -> list[Any]:
        runs.append(1)
        return [user_id, lang]

    for namespace, decorator in (("one", untouched), ("two", reads_first)):
        cache = colour.cache(backend_url, namespace=namespace)
        load = cache(**OPTIONS[options])(decorator(colour.function(body)))
        for _ in range(2):
            assert colour.run(load, 7) == colour.run(load, 7, "en") == [7, "en"]
        assert colour.run(load, 7, lang="en") == [7, "en"]
        assert load.key_for(7) == load.key_for(lang="en", user_id=7)
        assert colour.run(load.invalidate, user_id=7).removed == 1
    assert len(runs) == 2


def test_a_plain_value_before_a_named_one_is_looked_up_when_one_call_has_shown_where_it_lands(
    colour: Colour, backend_url: str
) -> None:
    cache, runs = colour.cache(backend_url), []

    def body(tenant: Any, user_id: int, lang: str = "en") -> list[Any]:
        runs.append(user_id)
        return [user_id, lang]

    load = cache(key="user:{user_id}", ignore=("tenant", "lang"))(untouched(colour.function(body)))
    for _ in range(3):
        assert colour.run(load, "acme", 7) == [7, "en"]
    assert colour.run(load, "acme", 8) == [8, "en"]
    assert colour.run(load, SESSION, 8) == [8, "en"]
    assert colour.run(load, tenant="acme", user_id=7) == [7, "en"]
    assert runs == [7, 7, 8]


def test_a_call_that_cannot_be_is_refused_as_python_refuses_it(colour: Colour) -> None:
    cache = colour.cache("memory://")
    load = cache(key="u:{user_id}", ignore=("lang",))(first(colour.function(session_first)))
    wrong: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {}),
        ((1, 2, 3, 4, 5), {}),
        ((1,), {"nobody": 2}),
    ]
    for args, kwargs in wrong:
        with pytest.raises(TypeError):
            colour.run(load, *args, **kwargs)


def test_what_a_decorator_takes_itself_is_part_of_the_key(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def authorised(function: Callable[..., Any]) -> Any:
        def plain(token: str, *args: Any, **kwargs: Any) -> Any:
            return [token, function(*args, **kwargs)]

        async def later(token: str, *args: Any, **kwargs: Any) -> Any:
            return [token, await function(*args, **kwargs)]

        chosen = later if inspect.iscoroutinefunction(function) else plain
        return functools.update_wrapper(chosen, function)

    def fixed(function: Callable[..., Any]) -> Any:
        def plain(user_id: int) -> Any:
            return function(SESSION, user_id)

        async def later(user_id: int) -> Any:
            return await function(SESSION, user_id)

        chosen = later if inspect.iscoroutinefunction(function) else plain
        return functools.update_wrapper(chosen, function)

    load = cache(authorised(colour.function(body_values)))
    assert colour.run(load, "a", 7) == colour.run(load, "a", user_id=7) == ["a", [7, "en"]]
    assert colour.run(load, "b", 7) == ["b", [7, "en"]]
    assert load.key_for("a", 7) == load.key_for("a", user_id=7, lang="en")
    load = cache(key="fixed:{user_id}")(fixed(colour.function(session_first)))
    assert colour.run(load, 7) == colour.run(load, user_id=7) == [SESSION, 7, "en"]
    assert load.key_for(7) == "fixed:7"


def test_a_method_keeps_its_object_under_a_decorator_that_supplies(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    supply = beneath(lambda self, *args, **kwargs: ((self, SESSION, *args), kwargs))

    def body(self: Any, session: Any, user_id: int) -> list[Any]:
        return [self.name, session, user_id]

    function = colour.function(body)
    function.__qualname__ = "Repository.load"
    load = cache(key="repository:{self.name}:{user_id}")(supply(function))
    repository: Any = type("Repository", (), {"load": load, "name": "one"})()
    assert colour.run(repository.load, 7) == colour.run(repository.load, 7) == ["one", SESSION, 7]
    assert repository.load.key_for(7) == "repository:one:7"
    assert colour.run(repository.load.invalidate, user_id=7).removed == 1


def test_what_invalidates_names_the_argument_that_was_given(colour: Colour) -> None:
    cache = colour.cache("memory://")
    for way in ("first", "by name", "keyword only"):
        supply, body = SUPPLYING[way]
        change = cache.invalidates("user:{user_id}")(supply(colour.function(body)))
        for call in ({"user_id": 7}, None):
            colour.call(cache, "set", "user:7", 1)
            args = () if call else (7,)
            assert colour.run(change, *args, **(call or {})) == [SESSION, 7, "en"]
            assert colour.call(cache, "get", "user:7") is None


def test_decorators_made_in_c_and_partials_are_called_as_before(colour: Colour) -> None:
    cache = colour.cache("memory://")

    def body(n: int, by: int = 2) -> int:
        return n * by

    if not colour.is_async:
        assert cache(key="lru:{n}", ignore=("by",))(functools.lru_cache(body))(3) == 6
    bound = cache(key="partial:{n}", ignore=("by",))(functools.partial(colour.function(body), by=3))
    assert colour.run(bound, 3) == 9


def test_a_signature_that_nothing_can_be_merged_with_is_the_decorators_own() -> None:
    def body(n: int) -> int:
        raise NotImplementedError

    def decorator(*args: Any, by: int = 2, lazily: bool, **kwargs: Any) -> int:
        raise NotImplementedError

    def with_default(first: int = 1, *args: Any, **kwargs: Any) -> int:
        raise NotImplementedError

    for function, names in (
        (decorator, ("n", "by", "lazily")),
        (with_default, ("first", "args", "kwargs")),
    ):
        assert FunctionSignature.of(functools.update_wrapper(function, body)).parameters == names
