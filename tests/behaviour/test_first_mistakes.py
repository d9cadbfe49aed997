"""Mistakes of the first hour are told where they are made, with what was meant."""

from __future__ import annotations

import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from dualcache import FrontTier, NotStored, UsageError
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour


@pytest.fixture
def cache(colour: Colour, backend_url: str) -> Cache:
    return colour.cache(backend_url, namespace="shop")


def by_id(user_id: int) -> int:
    return user_id


def by_name(name: str, page: int = 1) -> str:
    return f"{name} {page}"


# What was written first


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("5m", 'ttl="5m"'), ("1h30m", 'ttl="1h30m"'), ("60", 'ttl="60"'), ("10 minutes", "ttl="),
        (60, "ttl="), (0.5, "ttl="), (timedelta(hours=1), "ttl="), (["users"], "tags="),
        (("a", "b"), "tags="), (FrontTier(), "front="), (True, "name before it"), ({}, "name"),
    ],
)  # fmt: skip
def test_what_can_be_no_prefix_is_refused_with_the_option_that_was_meant(
    cache: Cache, value: Any, meant: str
) -> None:
    with pytest.raises(UsageError) as caught:
        cache(value)
    assert caught.value.code == "DC126"
    assert meant in caught.value.help


@pytest.mark.parametrize("prefix", ["user", "2fa", "3d-model", "5x", "m5"])
def test_what_may_be_a_prefix_is_one(cache: Cache, prefix: str) -> None:
    assert cache(prefix)(by_id).key_for(1) == f"{prefix}:1"


@pytest.mark.parametrize(
    ("text", "function"),
    [("user:{user_id}", by_id), ("of:{name}:{page}", by_name), ("{user_id}", by_id)],
)
def test_a_whole_key_without_its_name_is_no_prefix(
    colour: Colour, cache: Cache, text: str, function: Callable[..., Any]
) -> None:
    with pytest.raises(UsageError, match="already holds its id") as caught:
        cache(text)(colour.function(function))
    assert caught.value.help.startswith(f'did you mean key="{text}"?')


def test_a_prefix_that_is_named_or_belongs_to_an_endpoint_may_hold_the_id(cache: Cache) -> None:
    def of_request(request: Any, user_id: int) -> int:
        return user_id

    assert cache(key_prefix="user:{user_id}")(by_id).key_for(1) == "user:1:1"
    assert cache("user:{user_id}", "user_id")(by_id).key_for(1) == "user:1:1"
    assert cache("user:{user_id}")(of_request).key_for(None, 1) == "user:1:1"
    assert cache("of:{name}")(by_name).key_for("bob") == "of:bob:global:page=1"


# What a key does not name


class Service(Protocol):
    def fetch(self) -> None: ...


class Engine:
    pass


def report(day: Any, service: Service, db: Engine, _unused: int = 0) -> None: ...


def unannotated(day, page=1) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001


def rest(*days: int, **options: Any) -> None: ...


def optional(day: int | None, engine: Engine | None = None) -> None: ...


class Reports:
    def of(self, day: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "named"),
    [
        (report, {"key": "report"}, '("day",)'),
        (unannotated, {"key": "report"}, '("day", "page")'),
        (unannotated, {"key": "report:{day}"}, '("page",)'),
        (unannotated, {"key": "report:{day}", "ignore": ("page",)}, None),
        (unannotated, {"key": "report:{day}", "vary": lambda page: page}, None),
        (unannotated, {"name": "report"}, None),
        (rest, {"key": "report"}, '("days", "options")'),
        (optional, {"key": "report"}, '("day",)'),
        (Reports.of, {"key": "report"}, '("day",)'),
        (Reports.of, {"key": "report:{day}"}, None),
        (report, {"key": "report:{day.year}"}, None),
    ],
)
def test_a_key_that_names_only_some_of_the_arguments_is_warned_of(
    cache: Cache, function: Any, options: dict[str, Any], named: str | None
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        cache(**options)(function)
    if named is None:
        assert not told
    else:
        (one,) = told
        assert str(one.message).startswith("[DC127] the key of ")
        assert f"write ignore={named} if the result does not depend on it" in str(one.message)
        assert one.filename == __file__


# Wildcards where keys are meant


@pytest.mark.parametrize("pattern", ["user:*", "*", "user*", "*_user_5", "a/*/b", "user_*_posts"])
def test_a_wildcard_in_a_key_to_invalidate_is_refused(
    colour: Colour, cache: Cache, pattern: str
) -> None:
    with pytest.raises(UsageError, match="not a wildcard there") as caught:
        colour.call(cache, "invalidate", "user:1", pattern)
    assert (caught.value.code, "patterns=" in caught.value.help) == ("DC128", True)
    with pytest.raises(UsageError, match="not a wildcard there"):
        cache.invalidates("user:{user_id}:*")(colour.function(by_id))


def test_a_star_in_a_value_or_a_url_as_a_key_is_none(colour: Colour, cache: Cache) -> None:
    for key in ("/products?page=[1]", "2*3"):
        colour.call(cache, "set", key, 1)
        assert colour.call(cache, "invalidate", key).removed == 1
    colour.call(cache, "set", cache.key("of:{name}", name="a*"), 1)
    assert colour.call(cache, "invalidate", cache.key("of:{name}", name="a*")).removed == 1
    colour.call(cache, "set", cache.key("of:{name}", name="a*"), 1)
    colour.run(cache.invalidates("of:{name}")(colour.function(lambda name: name)), "a*")
    assert not colour.call(cache, "contains", cache.key("of:{name}", name="a*"))
    colour.call(cache, "set", "a*", 1)
    assert colour.call(cache, "invalidate", patterns=["a\\*"]).patterns == 1
    assert not colour.call(cache, "contains", "a*")


def test_an_extra_key_of_an_endpoint_with_a_wildcard_is_refused(cache: Cache) -> None:
    def write(request: Any, user_id: int) -> None: ...

    decorate = cache(key_prefix="user", to_invalidate_extra={"posts": "{user_id}:*"})
    with pytest.raises(UsageError, match="not a wildcard") as caught:
        decorate(write)
    assert "pattern_to_invalidate_extra" in caught.value.help


# Callables


async def later(*_: Any) -> bool:
    return False


@pytest.mark.parametrize("option", ["condition", "ttl", "tags", "vary"])
def test_an_async_option_is_refused_at_decoration(
    colour: Colour, cache: Cache, option: str
) -> None:
    options: dict[str, Any] = {option: later}
    with pytest.raises(UsageError, match=rf"{option} of by_id\(\) is async"):
        cache(**options)(colour.function(by_id))


def test_async_options_of_the_cache_and_of_direct_calls_are_refused(
    colour: Colour, cache: Cache, backend_url: str
) -> None:
    with pytest.raises(UsageError, match="the observer of on_event"):
        cache.on_event(later)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"ttl of Cache\(\) is async"):
        colour.cache(backend_url, ttl=later)
    load = colour.function(lambda: 1)
    with pytest.raises(UsageError, match="condition of get_or_load"):
        colour.call(cache, "get_or_load", "k", load, condition=later)
    with pytest.raises(UsageError, match="takes more values"):
        colour.call(cache, "get_or_load", "k", load, condition=lambda value, key: (value, key))


@pytest.mark.parametrize("option", ["condition", "ttl", "tags"])
def test_an_answer_that_is_a_coroutine_is_told_once_and_nothing_is_stored(
    colour: Colour, cache: Cache, option: str
) -> None:
    seen = Seen(cache)
    options: dict[str, Any] = {option: lambda: later()}  # noqa: PLW0108  async in disguise
    load = cache(**options)(colour.function(by_id))
    assert [colour.run(load, 1), colour.run(load, 1)] == [1, 1]
    (told,) = seen.of(NotStored)
    assert f"{option} of by_id() is async" in told.reason
    assert colour.run(load.peek, 1) is None


@pytest.mark.parametrize("ttl", [0, -1, -0.5, timedelta(-1)])
def test_a_ttl_that_has_ended_is_not_stored_and_not_told(
    colour: Colour, cache: Cache, ttl: Any
) -> None:
    seen = Seen(cache)
    load = cache(ttl=lambda: ttl)(colour.function(by_id))
    assert [colour.run(load, 1), colour.run(load, 1)] == [1, 1]
    assert not seen.of(NotStored)
    assert colour.run(load.peek, 1) is None


@pytest.mark.parametrize("ttl", ["soon", True, [60], float("nan"), "-5m"])
def test_a_ttl_that_cannot_be_is_told_once_and_not_stored(
    colour: Colour, cache: Cache, ttl: Any
) -> None:
    seen = Seen(cache)
    load = cache(ttl=lambda _: ttl)(colour.function(by_id))
    assert [colour.run(load, 1), colour.run(load, 1)] == [1, 1]
    assert len(seen.of(NotStored)) == 1
    assert colour.run(load.peek, 1) is None


def test_callables_take_as_many_values_as_they_like(colour: Colour, cache: Cache) -> None:
    load = cache(
        condition=lambda result: result != "b 1",
        ttl=lambda: 60,
        tags=lambda _, page: [f"page:{page}"],
        vary=lambda: "v",
    )(colour.function(by_name))
    # A tag that is new, and known only from the value, has no id yet when the value is stored.
    assert [colour.run(load, "a"), colour.run(load, "a")] == ["a 1", "a 1"]
    assert colour.run(load.peek, "a").tags == ("page:1",)
    colour.run(load, "b")
    assert colour.run(load.peek, "b") is None
    assert load.key_for("a").endswith(":vary='v'")
    by_page = cache(vary=lambda page: page, name="by_page")(colour.function(by_name))
    assert by_page.key_for("a", 2).endswith(":vary=2")


def test_a_callable_that_wants_too_much_is_refused_at_decoration(
    colour: Colour, cache: Cache
) -> None:
    for option in ("condition", "ttl", "tags"):
        options: dict[str, Any] = {option: lambda result, a, b: (result, a, b)}
        with pytest.raises(UsageError, match=rf"{option} of by_id\(\) takes more values"):
            cache(**options)(colour.function(by_id))
    with pytest.raises(UsageError, match=r"vary of by_id\(\) takes more values"):
        cache(vary=lambda a, b: (a, b))(colour.function(by_id))


@pytest.mark.parametrize("loader", [42, None, "", 0, {"a": 1}])
def test_a_loader_that_is_no_function_is_refused(colour: Colour, cache: Cache, loader: Any) -> None:
    for method, name in (("get_or_load", "k"), ("get_or_load_many", ["k"])):
        with pytest.raises(UsageError, match=rf"the loader of {method}\(\) is of type") as caught:
            colour.call(cache, method, name, loader)
        assert caught.value.code == "DC131"
        assert "set()" in caught.value.help


def test_a_loader_that_was_called_already_is_refused(colour: Colour, cache: Cache) -> None:
    with pytest.raises(UsageError, match="type coroutine") as caught:
        colour.call(cache, "get_or_load", "k", later())
    assert "without calling it" in caught.value.help


def test_an_observer_may_do_without_the_event_and_is_refused_where_it_cannot_be_called(
    colour: Colour, cache: Cache
) -> None:
    told: list[str] = []
    cache.on_event(lambda: told.append("none"))  # type: ignore[misc, arg-type]
    cache.on_event(lambda event: told.append(type(event).__name__))
    colour.run(cache(colour.function(by_id)), 1)
    assert told == ["none", "Miss", "none", "Loaded"]
    assert cache.stats().observer_failures == 0
    for wrong in (5, lambda event, more: (event, more)):
        with pytest.raises(UsageError, match="the observer of on_event"):
            cache.on_event(wrong)  # type: ignore[arg-type]


def test_a_misspelt_parameter_of_a_direct_load_is_known(cache: Cache) -> None:
    with pytest.raises(UsageError, match=r"get_or_load\(\) has no option tll") as caught:
        cache.get_or_load("k", lambda: 1, tll=5)  # type: ignore[call-arg]
    assert caught.value.help == "did you mean ttl?"


@pytest.mark.parametrize(
    ("option", "meant"),
    [("expire", "ttl"), ("default_timeout", "ttl"), ("key_builder", "key"), ("unless", "condition"),
     ("prefix", "key_prefix"), ("noself", "ignore"), ("serializer", "codec"), ("tag", "tags")],
)  # fmt: skip
def test_an_option_of_another_cache_is_answered_with_its_name_here(
    cache: Cache, option: str, meant: str
) -> None:
    options: dict[str, Any] = {option: 60}
    with pytest.raises(UsageError, match=f"has no option {option}") as caught:
        cache(**options)(by_id)
    if meant != "key_prefix":
        assert caught.value.help == f"did you mean {meant}?"
