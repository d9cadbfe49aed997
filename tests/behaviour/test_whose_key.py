"""Different functions never share entries, however they are made; the same one does."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass
from functools import lru_cache, partial, singledispatch, update_wrapper
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, KeyTemplateError, UnkeyableArgument, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour


@pytest.fixture
def cache(colour: Colour, backend_url: str) -> Cache:
    return colour.cache(backend_url, namespace="shop")


async def price(currency: str, item: str, tax: int = 0) -> str:
    return f"{currency} {item} {tax}"


async def cost(currency: str, item: str) -> str:
    return f"cost {currency} {item}"


async def total(*numbers: int, **named: int) -> str:
    return f"{numbers} {sorted(named.items())}"


@dataclass(frozen=True)
class Shelf:
    name: str

    async def load(self, number: int) -> str:
        return f"{self.name} {number}"

    @classmethod
    async def of(cls, number: int) -> str:
        return f"{cls.__name__} {number}"

    async def __call__(self, number: int) -> str:
        return f"call {self.name} {number}"


class Rack(Shelf):
    pass


class Session:
    """An object that is no value."""

    async def load(self, number: int) -> int:
        return number

    async def __call__(self, number: int) -> int:
        return number


def coloured(colour: Colour, kind: type) -> Any:
    """Return a class with the methods of this colour."""
    own = {
        name: colour.function(value)
        for name, value in vars(kind).items()
        if name in ("load", "__call__")
    }
    made: Any = type(kind.__name__, (kind,), {"__module__": kind.__module__, **own})
    return made


def test_partials_of_one_function_have_keys_of_their_own(colour: Colour, cache: Cache) -> None:
    plain = colour.function(price)
    euros, dollars = cache(partial(plain, "EUR")), cache(partial(plain, "USD"))
    taxed = cache(partial(plain, "EUR", tax=7))
    for _ in range(2):
        assert colour.run(euros, "tea") == "EUR tea 0"
        assert colour.run(dollars, "tea") == "USD tea 0"
        assert colour.run(taxed, "tea") == "EUR tea 7"
        assert colour.run(euros, item="tea", tax=7) == "EUR tea 7"
    assert euros.cache_info().hits == 3


def test_a_partial_finds_what_the_function_itself_has_stored(colour: Colour, cache: Cache) -> None:
    plain = colour.function(price)
    whole, euros = cache(plain), cache(partial(plain, "EUR"))
    assert euros.key_for("tea") == whole.key_for("EUR", "tea")
    colour.run(whole, "EUR", "tea")
    colour.run(euros, "tea")
    assert euros.cache_info().hits == 1
    nested = cache(partial(partial(plain, "EUR"), "tea"))
    assert nested.key_for(tax=3) == whole.key_for("EUR", "tea", 3)


def test_partials_of_different_functions_have_different_keys(colour: Colour, cache: Cache) -> None:
    one = cache(partial(colour.function(price), "EUR"))
    other = cache(partial(colour.function(cost), "EUR"))
    assert colour.run(one, "tea") != colour.run(other, "tea")


def test_what_a_partial_binds_beyond_the_parameters_counts(colour: Colour, cache: Cache) -> None:
    plain = colour.function(total)
    made = [
        cache(partial(plain, 1)), cache(partial(plain, 1, 2)), cache(partial(plain, x=1)),
        cache(partial(plain, y=1)), cache(plain),
    ]  # fmt: skip
    results = [colour.run(each, 3) for each in made]
    assert len(set(results)) == len(made)
    assert [colour.run(each, 3) for each in made] == results


def test_what_a_partial_binds_is_refused_or_ignored_where_it_has_no_key(
    colour: Colour, cache: Cache
) -> None:
    async def rows(db: Any, table: str) -> str:
        return table

    plain = colour.function(rows)
    with pytest.raises(UnkeyableArgument, match="db, which a partial binds") as caught:
        cache(partial(plain, Session()))
    assert "only if the result never depends" in caught.value.help
    load = cache(ignore=("db",))(partial(plain, Session()))
    assert colour.run(load, "users") == "users"


def test_a_template_may_name_what_is_bound(colour: Colour, cache: Cache) -> None:
    plain = colour.function(price)
    made = cache(key="price:{currency}:{item}", tags=["in:{currency}"], ignore=("tax",))
    euros, dollars = made(partial(plain, "EUR")), made(partial(plain, "USD"))
    assert euros.key_for("tea") == "price:EUR:tea"
    assert colour.run(euros, "tea") != colour.run(dollars, "tea")
    colour.call(cache, "invalidate", tags=["in:EUR"])
    assert not colour.call(cache, "contains", "price:EUR:tea")
    assert colour.call(cache, "contains", "price:USD:tea")
    with pytest.raises(KeyTemplateError, match="unknown parameter"):
        cache(key="price:{currencies}:{item}")(partial(plain, "EUR"))
    shelf = coloured(colour, Shelf)("top")
    assert cache(key="shelf:{self.name}:{number}")(shelf.load).key_for(1) == "shelf:top:1"


def test_bound_methods_and_callable_objects_have_their_object_in_the_key(
    colour: Colour, cache: Cache
) -> None:
    kind = coloured(colour, Shelf)
    made: list[Any] = [
        cache(kind("a").load), cache(kind("b").load), cache(kind("a")), cache(kind("b")),
        cache(partial(kind("c").load)), cache(partial(kind("c"))),
    ]  # fmt: skip
    for _ in range(2):
        results = [colour.run(each, 1) for each in made]
        assert results == ["a 1", "b 1", "call a 1", "call b 1", "c 1", "call c 1"]
    assert [each.cache_info().hits for each in made] == [1] * len(made)
    again: Any = cache(kind("a").load)
    assert again.key_for(1) == made[0].key_for(1)


def test_bound_class_methods_have_their_class_in_the_key(colour: Colour, cache: Cache) -> None:
    if colour.is_async:
        one, other = cache(Shelf.of), cache(Rack.of)
        assert colour.run(one, 1) == "Shelf 1"
        assert colour.run(other, 1) == "Rack 1"
        assert colour.run(one, 1) == "Shelf 1"
    upper = [cache("ab".upper), cache("cd".upper)]
    assert [each() for each in upper] == [each() for each in upper] == ["AB", "CD"]
    assert cache(int.from_bytes).key_for(b"a") != cache(bool.from_bytes).key_for(b"a")


@pytest.mark.parametrize("take", [lambda made: made.load, lambda made: made, partial])
def test_an_object_that_is_no_value_is_refused(
    colour: Colour, cache: Cache, take: Callable[[Any], Any]
) -> None:
    made = coloured(colour, Session)()
    with pytest.raises(UnkeyableArgument) as caught:
        cache(take(made))
    assert caught.value.code == "DC112"
    assert "ignore" not in str(caught.value)
    named = cache(key="n:{number}")(take(made))
    assert colour.run(named, 1) == 1


def test_an_object_that_changes_has_another_key_afterwards(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="shop", front=100)

    class Counter:
        version = 1

        def __cache_key__(self) -> int:
            return self.version

        async def load(self, n: int) -> str:
            return f"{self.version} {n}"

    kind = coloured(colour, Counter)
    counter = kind()
    load = cache(counter.load)
    assert colour.run(load, 1) == colour.run(load, 1) == "1 1"
    kind.version = 2
    assert colour.run(load, 1) == "2 1"


def factory(colour: Colour, cache: Cache, model: Any, options: dict[str, Any]) -> Any:
    async def get(number: int) -> str:
        return f"{model} {number}"

    return cache(**options)(colour.function(get))


def test_a_factory_may_make_the_same_function_twice_but_not_another_one_of_that_name(
    colour: Colour, cache: Cache
) -> None:
    users = factory(colour, cache, "users", {})
    again = factory(colour, cache, "users", {})
    assert again.key_for(1) == users.key_for(1)
    with pytest.raises(UsageError, match=r"another function of this cache is called get\(\)") as no:
        factory(colour, cache, "posts", {})
    assert no.value.code == "DC125"
    assert 'name=f"get-{…}"' in no.value.help
    posts = factory(colour, cache, "posts", {"name": "posts"})
    assert colour.run(users, 1) == "users 1"
    assert colour.run(posts, 1) == "posts 1"
    assert colour.run(again, 1) == "users 1"


@pytest.mark.parametrize(
    ("one", "other", "is_taken"),
    [
        (1, True, False), ((1, "a"), (1, "a"), True), ((1, "a"), (1, "b"), False),
        ((1,), (1, 2), False), ([1], [1], False), (None, None, True), (None, 0, False),
        (int, int, True), (int, str, False),
    ],
)  # fmt: skip
def test_a_closure_is_the_same_if_it_can_make_no_difference(
    colour: Colour, cache: Cache, one: Any, other: Any, is_taken: bool
) -> None:
    factory(colour, cache, one, {})
    if is_taken:
        factory(colour, cache, other, {})
    else:
        with pytest.raises(UsageError, match="another function"):
            factory(colour, cache, other, {})


def test_what_a_closure_has_lost_is_another_value(colour: Colour, cache: Cache) -> None:
    factory(colour, cache, Session(), {})
    with pytest.raises(UsageError, match="another function"):
        factory(colour, cache, Session(), {})


def unmarked(function: Any, times: int = 1) -> Any:
    """Decorate without functools.wraps."""

    def wrapper(number: int) -> Any:
        return function(number * times)

    return wrapper


def test_functions_under_a_decorator_that_hides_them_are_told_apart() -> None:
    def one(number: int) -> str:
        return f"one {number}"

    def other(number: int) -> str:
        return f"other {number}"

    cache = Cache("memory://")
    cached: Any = cache(unmarked(one))
    again: Any = cache(unmarked(one))
    assert again.key_for(1) == cached.key_for(1)
    with pytest.raises(UsageError, match=r"called wrapper\(\)") as caught:
        cache(unmarked(other))
    assert "functools.wraps" in caught.value.help
    with pytest.raises(UsageError):
        cache(unmarked(one, 2))
    with pytest.raises(UsageError):
        cache(ignore=("number",))(unmarked(one))
    cache.close()


def test_a_closure_of_functions_is_compared_by_their_code_and_defaults() -> None:
    def step(by: int) -> Any:
        def inner(number: int = by, *, more: int = by) -> int:
            return number + more

        return inner

    cache = Cache("memory://")
    cache(unmarked(step(1)))
    cache(unmarked(step(1)))
    with pytest.raises(UsageError, match="another function"):
        cache(unmarked(step(2)))
    cache.close()


def test_a_function_that_calls_itself_may_be_made_twice() -> None:
    cache = Cache("memory://")

    def make() -> Any:
        @cache
        def fibonacci(n: int) -> int:
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

        return fibonacci

    assert make()(20) == make()(20) == 6765
    cache.close()


class Doubled:
    """A decorator that is an object, and shows itself as the function."""

    def __init__(self, function: Any, by: int) -> None:
        update_wrapper(self, function)
        self.function, self.by = function, by

    def __call__(self, number: int) -> Any:
        return self.function(number) * self.by


def test_objects_that_pass_for_one_function_are_told_apart() -> None:
    def one(number: int) -> int:
        return number

    with Cache("memory://") as cache:
        doubled = Doubled(one, 2)
        made: list[Any] = [cache(doubled), cache(doubled)]
        assert [each(1) for each in made] == [2, 2]
        with pytest.raises(UsageError, match="another function"):
            cache(Doubled(one, 3))
        with pytest.raises(UsageError, match="another function"):
            cache(one)
    with Cache("memory://") as cache:
        assert cache(lru_cache(one)).key_for(1) == cache(lru_cache(one)).key_for(1)
        assert cache(one).key_for(1) == cache(lru_cache(one)).key_for(1)


def test_a_name_stands_for_one_object_that_is_no_value(colour: Colour, cache: Cache) -> None:
    kind = coloured(colour, Session)
    session = kind()
    load = cache(name="session")(session.load)
    assert colour.run(load, 1) == 1
    assert cache(name="session")(session.load).key_for(1) == load.key_for(1) == "session:1"
    with pytest.raises(UsageError, match="another function"):
        cache(name="session")(kind().load)
    assert cache(name="other")(kind()).key_for(1) == "other:1"


def test_a_function_under_a_decorator_of_another_module_is_named_by_its_own() -> None:
    names: dict[str, Any] = {"__name__": "__main__", "__file__": "job.py", "under": singledispatch}
    exec(compile("@under\ndef report(day): return day", "job.py", "exec"), names)
    with Cache("null://") as cache:
        cached: Any = cache(names["report"])
        assert cached.key_for(1) == "job.report:1"


class Large(list[int]):
    """A list that can be referred to weakly: to see whether it is gone."""


def test_what_a_function_closes_over_goes_with_it(colour: Colour, cache: Cache) -> None:
    large, plain = Large([1]), [Large([2])]
    seen = [weakref.ref(large), weakref.ref(plain[0])]
    factory(colour, cache, (large, plain), {"name": "one"})
    factory(colour, cache, plain, {"name": "other"})
    del large, plain
    gc.collect()
    assert [each() for each in seen] == [None, None]
    factory(colour, cache, [1], {})
    with pytest.raises(UsageError, match="another function"):
        factory(colour, cache, [1], {})


@pytest.mark.parametrize("value", [None, 1, "users", (1, "users", None)])
def test_a_function_that_is_gone_may_be_made_again(
    colour: Colour, cache: Cache, value: Any
) -> None:
    factory(colour, cache, value, {})
    gc.collect()
    assert factory(colour, cache, value, {}).key_for(1).endswith(":1")


def test_a_default_is_part_of_the_key_and_makes_no_other_function() -> None:
    with Cache("memory://") as cache:
        made = []
        for rate in (2, 3):

            @cache
            def times(number: int, rate: int = rate) -> int:
                return number * rate

            made.append(times)
        assert [each(1) for each in made] == [each(1) for each in made] == [2, 3]
