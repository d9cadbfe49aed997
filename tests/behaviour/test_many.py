"""`@cache.many`: each value has an entry of its own, and a call loads what is missing together."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence  # noqa: TC003  the decorator reads annotations
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UsageError
from tests.behaviour.test_trips import Trips, trips

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server

__all__ = ["trips"]


class Users:
    """A source of users from 0 to `count`, and what it was asked for."""

    def __init__(self, count: int = 10_000) -> None:
        self.count = count
        self.asked: list[list[int]] = []
        self.name = "user"
        self.fails = False

    def read(self, user_ids: Sequence[int]) -> dict[int, str]:
        """Return the users that are there, in an order of the source's own."""
        self.asked.append(list(user_ids))
        if self.fails:
            raise ConnectionError
        return {each: f"{self.name} {each}" for each in sorted(user_ids) if each < self.count}


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture(params=[None, 1_000], ids=["one tier", "two tiers"])
def cache(colour: Colour, backend_url: str, request: pytest.FixtureRequest) -> Cache:
    return colour.cache(backend_url, namespace="shop", front=request.param)


def decorated(colour: Colour, cache: Cache, users: Users, **options: Any) -> Any:
    """Return a cached function of many users in this colour."""

    def get_users(user_ids: Sequence[int]) -> dict[int, str]:
        """Read users."""
        return users.read(user_ids)

    options = {"key": "user:{user_id}", **options}
    return cache.many(**options)(colour.function(get_users))


def test_the_name_of_the_parameter_may_stand_for_one_value(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, key="user:{user_ids}", tags=["u:{user_ids}"])
    assert colour.run(get_users, [1, 2]) == {1: "user 1", 2: "user 2"}
    assert get_users.key_for([2]) == ["user:2"]
    colour.call(cache, "invalidate", tags=["u:2"])
    assert colour.run(get_users, [1, 2]) == {1: "user 1", 2: "user 2"}
    assert users.asked == [[1, 2], [2]]


def test_a_call_loads_only_what_is_missing_and_returns_all_in_the_order_asked(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users)
    assert list(colour.run(get_users, [3, 1, 2]).items()) == [
        (3, "user 3"),
        (1, "user 1"),
        (2, "user 2"),
    ]
    assert list(colour.run(get_users, (2, 5, 3, 4, 5))) == [2, 5, 3, 4]
    assert colour.run(get_users, iter([1])) == {1: "user 1"}
    assert colour.run(get_users, []) == {}
    assert users.asked == [[3, 1, 2], [5, 4]]


def test_each_value_has_the_entry_of_a_function_of_one_value_with_that_key(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users)
    loads = []

    def get_user(user_id: int) -> str:
        loads.append(user_id)
        return f"single {user_id}"

    get_one = cache(key="user:{user_id}")(colour.function(get_user))
    colour.run(get_users, [1])
    assert colour.run(get_one, 1) == "user 1"
    assert colour.run(get_one, 2) == "single 2"
    assert colour.run(get_users, [1, 2, 3]) == {1: "user 1", 2: "single 2", 3: "user 3"}
    assert (users.asked, loads) == ([[1], [3]], [2])
    assert colour.call(cache, "get", "user:3") == "user 3"


def test_the_handles_take_the_arguments_of_a_call(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, tags=["of:{user_id}"])
    colour.run(get_users, [1, 2, 3])
    assert get_users.key_for([2, 1, 2]) == ["user:2", "user:1"]
    entries = colour.run(get_users.peek, [3, 9])
    assert {user: (entry.value, entry.tags) for user, entry in entries.items()} == {
        3: ("user 3", ("of:3",))
    }
    done = colour.run(get_users.invalidate, user_ids=[1, 2])
    assert (done.template, done.keys, done.pending) == ("user:{user_id}", 2, 0)
    assert sorted(colour.run(get_users.peek, [1, 2, 3])) == [3]
    users.name = "new"
    assert colour.run(get_users.refresh, [3, 1]) == {3: "new 3", 1: "new 1"}
    assert colour.run(get_users, [1, 2, 3]) == {1: "new 1", 2: "new 2", 3: "new 3"}
    assert users.asked == [[1, 2, 3], [3, 1], [2]]
    info = get_users.cache_info()
    assert (info.hits, info.misses) == (2, 4)
    assert get_users.cache_parameters()["key"] == "user:{user_id}"
    get_users.cache_clear()
    assert colour.run(get_users.peek, [1, 2, 3]) == {}


def test_an_invalidated_tag_of_one_value_makes_that_value_be_loaded(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, tags=["of:{user_id}"])
    colour.run(get_users, [1, 2])
    colour.call(cache, "invalidate", tags=["of:2"])
    colour.run(get_users, [1, 2])
    assert users.asked == [[1, 2], [2]]


def test_a_stale_value_is_served_where_an_option_allows_it(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, stale_if_error="1h")
    colour.run(get_users, [1, 2])
    assert colour.run(get_users.expire, [1]).keys == 1
    entries = colour.run(get_users.peek, [1, 2])
    assert {user: entry.stale for user, entry in entries.items()} == {1: True, 2: False}
    users.fails = True
    assert colour.run(get_users, [2, 1]) == {2: "user 2", 1: "user 1"}
    users.fails = False
    colour.run(get_users.refresh, [1])
    assert not colour.run(get_users.peek, [1])[1].stale


def test_a_stale_value_is_served_at_once_and_loaded_in_the_background(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, stale_while_revalidate="1h")
    colour.run(get_users, [1, 2])
    users.name = "new"
    colour.run(get_users.expire, [1])
    assert colour.run(get_users, [1, 2]) == {1: "user 1", 2: "user 2"}
    colour.call(cache, "aclose" if colour.is_async else "close")  # waits for what runs
    assert users.asked == [[1, 2], [1]]


def test_the_decorated_function_looks_like_the_original(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users)
    assert get_users.__doc__ == "Read users."
    assert str(inspect.signature(get_users)) == str(inspect.signature(get_users.__wrapped__))
    assert inspect.iscoroutinefunction(get_users) is colour.is_async
    for handle in (get_users.invalidate, get_users.refresh, get_users.peek):
        assert inspect.iscoroutinefunction(handle) is colour.is_async


def test_a_value_without_a_result_is_asked_for_again(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users)
    users.count = 2
    for _ in range(2):
        assert colour.run(get_users, [1, 7]) == {1: "user 1"}
    assert users.asked == [[1, 7], [7]]


def test_a_value_without_a_result_is_remembered_as_none_where_missing_says_so(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, missing=None)
    users.count = 2
    for _ in range(2):
        assert colour.run(get_users, [1, 7]) == {1: "user 1", 7: None}
    assert users.asked == [[1, 7]]


def test_a_refresh_takes_away_the_entry_of_a_value_that_is_gone(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users)
    colour.run(get_users, [1, 2])
    users.count = 2
    assert colour.run(get_users.refresh, [1, 2]) == {1: "user 1"}
    assert sorted(colour.run(get_users.peek, [1, 2])) == [1]


def test_a_load_that_raises_stores_nothing_and_gives_its_leases_back(
    colour: Colour, cache: Cache
) -> None:
    fails = [True]

    def get_users(user_ids: Sequence[int]) -> dict[int, str]:
        if fails:
            raise ConnectionError
        return dict.fromkeys(user_ids, "found")

    cached = cache.many(key="user:{user_id}")(colour.function(get_users))
    with pytest.raises(ConnectionError):
        colour.run(cached, [1, 2])
    fails.clear()
    assert colour.run(cached, [1, 2]) == {1: "found", 2: "found"}
    fails.append(True)
    with pytest.raises(ConnectionError):
        colour.run(cached.refresh, [1, 2, 3])
    assert colour.run(cached, [1, 2]) == {1: "found", 2: "found"}


def test_other_parameters_and_the_callables_of_options_are_those_of_one_value(
    colour: Colour, cache: Cache
) -> None:
    asked: list[Any] = []

    def prices(shop: str, items: tuple[int, ...], *, currency: str = "EUR") -> Mapping[int, str]:
        asked.append((shop, items, currency))
        return {item: f"{shop} {item} {currency}" for item in items}

    cached = cache.many(
        key="price:{shop}:{item}:{currency}",
        condition=lambda _, item: item != 3,
        tags=["{shop}:{item}"],
        ttl=lambda _: 60,
        version=2,
    )(colour.function(prices))
    assert colour.run(cached, "a", (1, 3)) == {1: "a 1 EUR", 3: "a 3 EUR"}
    assert colour.run(cached, "b", (1,)) == {1: "b 1 EUR"}
    assert colour.run(cached, "a", items=[1, 3], currency="EUR") == {1: "a 1 EUR", 3: "a 3 EUR"}
    assert colour.run(cached, "a", [1], currency="USD") == {1: "a 1 USD"}
    assert asked == [
        ("a", (1, 3), "EUR"),
        ("b", (1,), "EUR"),
        ("a", (3,), "EUR"),
        ("a", (1,), "USD"),
    ]
    entry = colour.run(cached.peek, "a", [1])[1]
    assert entry.ttl <= 60
    assert entry.tags == ("a:1",)


def test_two_values_of_one_key_are_one_entry(colour: Colour, cache: Cache) -> None:
    asked = []

    def names(keys: list[Any]) -> dict[Any, str]:
        asked.append(keys)
        return {key: f"value {key}" for key in keys}

    cached = cache.many(key="name:{key}")(colour.function(names))
    assert colour.run(cached, [1, "1"]) == {1: "value 1"}
    assert colour.run(cached, ["1"]) == {"1": "value 1"}
    assert asked == [[1]]


def test_methods_and_static_methods_have_values_too(colour: Colour, cache: Cache) -> None:
    asked: list[Any] = []

    def load(self: Any, ids: set[int]) -> dict[int, str]:
        asked.append(ids)
        return {each: f"{self.name} {each}" for each in ids}

    def of_all(ids: frozenset[int]) -> dict[int, str]:
        asked.append(ids)
        return {each: f"all {each}" for each in ids}

    load.__qualname__ = "Repository.load"

    class Repository:
        def __init__(self, name: str) -> None:
            self.name = name

        load_many = cache.many(key="repo:{self.name}:{one}")(colour.function(load))
        static = staticmethod(cache.many(key="all:{one}")(colour.function(of_all)))
        outer_static = cache.many(key="outer:{one}")(staticmethod(colour.function(of_all)))

    a: Any = Repository("a")
    b: Any = Repository("b")
    assert colour.run(a.load_many, [1]) == {1: "a 1"}
    assert colour.run(b.load_many, [1]) == {1: "b 1"}
    assert colour.run(a.load_many, [1, 2]) == {1: "a 1", 2: "a 2"}
    assert a.load_many.key_for([2]) == ["repo:a:2"]
    assert colour.run(a.load_many.invalidate, [1, 2]).keys == 2
    assert colour.run(b.load_many.peek, [1])[1].value == "b 1"
    assert colour.run(a.static, [1]) == colour.run(Repository.static, [1]) == {1: "all 1"}
    assert colour.run(Repository.outer_static, [2]) == {2: "all 2"}
    assert asked == [{1}, {1}, {2}, frozenset({1}), frozenset({2})]


def test_a_cache_that_is_disabled_answers_alike_and_stores_nothing(
    colour: Colour, cache: Cache, users: Users
) -> None:
    get_users = decorated(colour, cache, users, missing=None)
    users.count = 2
    with cache.disabled():
        handle = colour.start(lambda: get_users([7, 1, 1]))
        assert handle.result() == {7: None, 1: "user 1"}
    assert users.asked == [[7, 1]]
    assert colour.run(get_users.peek, [1, 7]) == {}


def test_a_thousand_ids_of_which_900_are_cached_cost_two_trips_and_one_call(
    colour: Colour, redis_server: Server, trips: Trips, users: Users
) -> None:
    cache = colour.cache(redis_server.url)
    get_users = decorated(colour, cache, users)
    colour.run(get_users, range(900))
    colour.run(get_users, range(900))
    users.asked.clear()
    # What is large takes a second connection in the async colour; it is there by now.
    assert trips.of(lambda: colour.run(get_users, range(1_000))) == 2
    assert users.asked == [list(range(900, 1_000))]
    assert trips.of(lambda: colour.run(get_users, range(1_000))) == 1


def test_two_caches_that_want_overlapping_ids_at_once_load_each_once(
    colour: Colour, redis_server: Server
) -> None:
    asked: list[int] = []
    gate = colour.gate()

    async def body(user_ids: Sequence[int]) -> dict[int, str]:
        asked.extend(user_ids)
        if 1 in user_ids:
            await gate.passed()
        return {each: f"user {each}" for each in user_ids}

    one, other = (
        colour.cache(redis_server.url).many(key="user:{user_id}")(colour.function(body))
        for _ in range(2)
    )
    first = colour.start(lambda: one([1, 2, 3, 4]))
    gate.wait_until_entered()
    second = colour.start(lambda: other([6, 4, 3, 5]))
    gate.open()
    assert first.result() == {each: f"user {each}" for each in (1, 2, 3, 4)}
    assert second.result() == {each: f"user {each}" for each in (6, 4, 3, 5)}
    assert sorted(asked) == [1, 2, 3, 4, 5, 6]


# What cannot be right


def one(user_id: int) -> dict[int, str]:
    return {}


def two(ids: list[int], names: Sequence[str]) -> dict[int, str]:
    return {}


def plain(user_ids: list[int]) -> dict[int, str]:
    return {}


def listed(user_ids: list[int]) -> list[str]:
    return []


def starred(*user_ids: int) -> dict[int, str]:
    return {}


def yielding(user_ids: list[int]) -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "options", "code"),
    [
        (one, {"key": "user:{one}"}, "DC420"),
        (starred, {"key": "user:{one}"}, "DC420"),
        (two, {"key": "user:{one}"}, "DC420"),
        (plain, {}, "DC421"),
        (plain, {"key": "users"}, "DC421"),
        (plain, {"key": "{tenant}:{user_id}"}, "DC421"),
        (plain, {"key": "user:{user_id"}, "DC101"),
        (plain, {"key": "user:{user_id}", "tags": ["{other}"]}, "DC102"),
        (plain, {"key": "user:{user_id}", "key_prefix": "user"}, "DC151"),
        (plain, {"key": "user:{user_id}", "missing": 0}, "DC152"),
        (listed, {"key": "user:{user_id}"}, "DC422"),
        (yielding, {"key": "user:{user_id}"}, "DC115"),
        (5, {"key": "user:{user_id}"}, "DC126"),
    ],
)
def test_a_decoration_that_cannot_be_right_is_refused(
    function: Any, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Cache("memory://").many(function, **options)
    assert caught.value.code == code
    assert caught.value.help


@pytest.mark.parametrize("given", ["abc", b"abc", 5, None])
def test_a_call_with_no_sequence_is_refused(colour: Colour, given: Any) -> None:
    cached = colour.cache("memory://").many(key="user:{user_id}")(colour.function(plain))
    for act in (cached, cached.invalidate, cached.peek, cached.refresh):
        with pytest.raises(UsageError) as caught:
            colour.run(act, given)
        assert caught.value.code == "DC423"


def test_a_function_that_returns_no_mapping_is_told(colour: Colour, cache: Cache) -> None:
    def body(user_ids: Any) -> Any:
        return [f"user {each}" for each in user_ids]

    cached = cache.many(key="user:{user_id}")(colour.function(body))
    with pytest.raises(UsageError) as caught:
        colour.run(cached, [1])
    assert caught.value.code == "DC422"


def test_a_parameter_that_the_key_does_not_name_is_warned_of() -> None:
    def prices(items: list[int], currency: str) -> dict[int, str]:
        return {}

    with pytest.warns(UserWarning, match=r"DC127.*\{currency\}"):
        Cache("memory://").many(key="price:{item}")(prices)
