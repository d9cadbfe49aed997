from __future__ import annotations

import asyncio
import dataclasses
import inspect
import pickle
import sys
import typing
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from dualcache import Cache, Entry, KeyTemplateError, UnkeyableArgument, UsageError
from tests.behaviour import decorated
from tests.behaviour.decorated import Mutable, Named, Shop, doubled, doubled_later
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour, SyncColour


def shown(entry: Entry | None) -> Any:
    assert entry is not None
    return entry.value


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    decorated.cache.clear(everything=True)
    Shop.loads.clear()
    yield
    decorated.cache.clear(everything=True)


def test_a_decorated_function_looks_like_the_original() -> None:
    both: list[tuple[Any, bool]] = [(doubled, False), (doubled_later, True)]
    for shown, is_async in both:
        original = shown.__wrapped__
        assert inspect.signature(shown) == inspect.signature(original)
        assert inspect.iscoroutinefunction(shown) is is_async
        if sys.version_info < (3, 14):  # deprecated there
            assert asyncio.iscoroutinefunction(shown) is is_async  # pyright: ignore[reportDeprecated]
        assert inspect.isfunction(shown)
        assert typing.get_type_hints(shown) == typing.get_type_hints(original)
        for name in ("__doc__", "__name__", "__qualname__", "__module__", "__defaults__"):
            assert getattr(shown, name) == getattr(original, name)


def test_a_decorated_function_is_pickled_by_its_name() -> None:
    for function in (doubled, doubled_later):
        assert pickle.loads(pickle.dumps(function)) is function


def test_a_wrong_call_is_told_as_python_tells_it() -> None:
    function: Any = doubled
    for arguments, named in (((), {}), ((1, 2, 3), {}), ((1,), {"wrong": 2})):
        with pytest.raises(TypeError, match=r"doubled\(\)|wrapper\(\)"):
            function(*arguments, **named)


def test_the_handles_of_a_function(colour: Colour, backend_url: str) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(n: int, by: int = 2) -> int:
        loads.append(n)
        return n * by

    load = cache(key="double:{n}:{by}")(colour.function(body))
    assert load.key_for(3) == load.key_for(n=3, by=2) == "double:3:2"
    assert colour.run(load.peek, 3) is None
    assert colour.run(load, 3) == 6
    assert colour.run(load.peek, 3).value == 6
    assert colour.run(load.store, 7, 3) is True
    assert colour.run(load, 3) == 7
    assert colour.run(load.refresh, 3) == 6
    assert colour.run(load, 3) == 6
    assert colour.run(load.invalidate, 3).removed == 1
    assert colour.run(load.peek, 3) is None
    assert loads == [3, 3]
    info = load.cache_info()
    assert (info.hits, info.misses) == (2, 1)
    assert load.cache_parameters()["ttl"] == 3600
    assert load.cache_parameters()["maxsize"] is None
    colour.run(load, 4)
    cleared = load.cache_clear()
    assert cleared.removed == 1
    assert colour.run(load.peek, 4) is None
    assert load.cache_info()[:2] == (0, 0)


def test_methods_of_a_value_object_are_cached_for_each_value() -> None:
    one, same, other = Shop("one"), Shop("one"), Shop("other")
    assert one.price(1) == same.price(1) == same.price(n=1) == "one 1 EUR"
    assert other.price(1) == "other 1 EUR"
    assert Shop.loads == ["price 1"] * 2
    assert one.by_default_key(1) == same.by_default_key(1) == "one 1"
    assert other.by_default_key(1) == "other 1"
    assert Shop.loads[2:] == ["default 1"] * 2


def test_a_handle_through_an_object_knows_the_object() -> None:
    one, other = Shop("one"), Shop("other")
    one.price(1)
    other.price(1)
    assert one.price.key_for(1) == "shop:one:1"
    assert shown(one.price.peek(1)) == "one 1 EUR"
    assert one.price.invalidate(1).removed == 1
    assert one.price.peek(1) is None
    assert other.price.peek(1) is not None
    assert one.price.store("free", 1) is True
    assert one.price(1) == "free"
    assert one.price.refresh(1) == "one 1 EUR"
    assert Shop.price.key_for(one, 1) == "shop:one:1"
    assert Shop.price(other, 1) == "other 1 EUR"
    assert one.price == one.price
    assert one.price != other.price
    assert hash(one.price) == hash(one.price)


def test_methods_look_like_methods() -> None:
    shop = Shop("one")
    assert list(inspect.signature(shop.price).parameters) == ["n", "currency"]
    assert list(inspect.signature(Shop.price).parameters) == ["self", "n", "currency"]
    assert inspect.iscoroutinefunction(shop.later)
    assert not inspect.iscoroutinefunction(shop.price)
    assert shop.price.__doc__ == "Tell a price."
    assert shop.price.__name__ == "price"


def test_coroutine_methods_are_cached() -> None:
    async def main() -> None:
        shop = Shop("one")
        assert await shop.later(1) == await shop.later(1) == "one 1"
        assert shown(await shop.later.peek(1)) == "one 1"
        assert (await shop.later.invalidate(1)).removed == 1
        await shop.later(1)

    asyncio.run(main())
    assert Shop.loads == ["later 1"] * 2


def test_static_and_class_methods_are_cached() -> None:
    shop: Any = Shop("one")  # mypy binds a static method that is reached through an object
    for _ in range(2):
        assert Shop.static(1) == shop.static(1) == 1
        assert Shop.outer_static(1) == shop.outer_static(1) == 1
        assert shop.of_class(1) == shop.of_class(1) == shop.of_class(n=1) == "Shop 1"
    assert Shop.loads == ["static 1", "outer static 1", "class 1"]
    assert Shop.static.key_for(1) == "static:1"


def test_a_method_of_a_mutable_object_needs_a_key() -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        Mutable("one").load(1)
    assert caught.value.code == "DC112"
    assert "__cache_key__" in str(caught.value)
    assert Named("one").load(1) == Named("one").load(1) == "one 1"
    assert Named("other").load(1) == "other 1"


class Colourful(Enum):
    RED = 1
    ALSO_ONE = "1"


DISTINCT: list[Any] = [
    *(1, "1", True, 1.0, Decimal(1), b"1", 1 + 0j, Colourful.RED, Colourful.ALSO_ONE),
    *(None, "None", "", b"", (), [], {}, set(), frozenset(), "()", "[]"),
    *([1, 2], (1, 2), "1:2", {1, 2}, frozenset({1, 2}), {1: 2}, "1,2", [[1], 2], [1, [2]]),
    *(b"x", "x", bytearray(b"x"), UUID(int=1), str(UUID(int=1)), UUID(int=2)),
    *(0, -0.0, 0.0, False, float("inf"), -1, "-1", ("a:b", "c"), ("a", "b:c"), ["a:b", "c"]),
    *("%3A", ":", "\n", "\\n", "\0", "é", "e\u0301", "\ud800", "*", "?", "{", "{}", "a b", "~x"),
]


def test_default_keys_of_different_values_never_meet(colour: Colour) -> None:
    cache = colour.cache("memory://", codec="reference")

    def body(value: Any, other: Any = None) -> list[Any]:
        return [value, other]

    load = cache(colour.function(body))
    keys = [load.key_for(value) for value in DISTINCT]
    keys += [load.key_for("a:b", "c"), load.key_for("a", "b:c"), load.key_for("a", "b")]
    assert len(set(keys)) == len(keys)


def test_equal_spellings_of_a_call_give_one_key(colour: Colour, backend_url: str) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(a: int, /, b: int = 2, *rest: int, c: int = 3, **more: int) -> list[Any]:
        loads.append(1)
        return [a, b, list(rest), c, more]

    load = cache(colour.function(body))
    for call in (
        lambda: load(1),
        lambda: load(1, 2),
        lambda: load(1, b=2),
        lambda: load(1, c=3, b=2),
        lambda: load(1, 2, c=3),
    ):
        assert colour.run(call) == [1, 2, [], 3, {}]
    assert len(loads) == 1
    assert colour.run(load, 1, 2, 3) == [1, 2, [3], 3, {}]
    assert colour.run(load, 1, x=1, y=2) == colour.run(load, 1, y=2, x=1)
    assert len(loads) == 3


@pytest.mark.parametrize("value", [[1, 2], {"a": [1]}, {1, 2}, {"b": 1, "a": 2}])
def test_unhashable_arguments_are_keyed_by_value(
    colour: Colour, backend_url: str, value: Any
) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(value: Any) -> int:
        loads.append(1)
        return 1

    load = cache(colour.function(body))
    for _ in range(2):
        colour.run(load, value)
        colour.run(load, type(value)(sorted(value) if isinstance(value, set) else value))
    assert len(loads) == 1


def test_an_argument_without_a_key_is_refused_with_the_fix(colour: Colour) -> None:
    cache = colour.cache("memory://")

    def body(value: Any) -> int:
        return 1

    load = cache(colour.function(body))
    with pytest.raises(UnkeyableArgument) as caught:
        colour.run(load, object())
    assert caught.value.help
    assert "0x" not in str(caught.value)


def test_ignored_parameters_are_no_part_of_the_key(colour: Colour, backend_url: str) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(n: int, db: Any) -> int:
        loads.append(n)
        return n

    load = cache(ignore=("db",))(colour.function(body))
    assert colour.run(load, 1, object()) == colour.run(load, 1, object()) == 1
    assert loads == [1]
    with pytest.raises(UsageError, match="dbb"):
        cache(ignore=("dbb",))(colour.function(body))


def test_version_vary_name_and_typed_key_are_part_of_the_key(
    colour: Colour, backend_url: str
) -> None:
    cache, language = colour.cache(backend_url), ["en"]

    def body(n: Any) -> list[Any]:
        return [n, language[0]]

    function = colour.function(body)
    plain = cache(key="k:{n}")(function)
    versions = [cache(key="k:{n}", version=n)(function) for n in (1, 2)]
    typed = cache(key="k:{n}", typed_key=True)(function)
    varied = cache(key="k:{n}", vary=lambda _: language[0])(function)
    named = cache(name="my-name")(function)
    assert plain.key_for(1) == plain.key_for("1") == "k:1"
    assert typed.key_for(1) != typed.key_for("1")
    assert len({each.key_for(1) for each in (plain, *versions)}) == 3
    assert "my-name" in named.key_for(1)
    assert colour.run(varied, 1) == [1, "en"]
    language[0] = "de"
    assert colour.run(varied, 1) == [1, "de"]
    language[0] = "en"
    assert colour.run(varied.peek, 1).value == [1, "en"]


@pytest.mark.parametrize(
    ("template", "code"),
    [("k:{missing}", "DC102"), ("k:{n", None), ("k:n}", None), ("", None), ("~k:{n}", None)],
)
def test_a_template_that_cannot_be_right_is_refused_at_decoration(
    template: str, code: str | None
) -> None:
    def load(n: int) -> int:
        return n

    with Cache("memory://") as cache, pytest.raises(UsageError) as caught:
        cache(key=template)(load)
    assert code is None or caught.value.code == code
    assert "help" in str(caught.value)


def test_two_free_texts_without_a_colon_between_are_refused() -> None:
    def load(a: str, b: str) -> str:
        return a + b

    def numbers(a: int, b: str) -> str:
        return f"{a}{b}"

    with Cache("memory://") as cache:
        with pytest.raises(KeyTemplateError):
            cache(key="{a}_{b}")(load)
        assert cache(key="{a}:{b}")(load).key_for("x:y", "z") != cache(key="{a}:{b}")(load).key_for(
            "x", "y:z"
        )
        assert cache(key="{a}_{b}")(numbers).key_for(1, "2") == "1_2"


class Kind(Enum):
    A = "a"
    AB = "a_b"


class State(Enum):
    C = "c"
    BC = "b_c"


def test_enums_whose_members_could_share_a_key_need_a_colon_between(
    colour: Colour, backend_url: str
) -> None:
    def load(kind: Kind, state: State) -> tuple[Kind, State]:
        return kind, state

    cache = colour.cache(backend_url)
    with pytest.raises(KeyTemplateError, match="could give two calls the same key"):
        cache(key="k:{kind}_{state}")(colour.function(load))
    clear = cache(key="k:{kind}:{state}")(colour.function(load))
    for call in ((Kind.A, State.BC), (Kind.AB, State.C)):
        assert [colour.run(clear, *call) for _ in range(2)] == [call, call]


@pytest.mark.parametrize(
    "options",
    [
        {"tll": 5},
        {"ttl": 5, "expiration": 5},
        {"ttl": -1},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"ttl": True},
        {"ttl": "5 parsecs"},
        {"ttl": "-5m"},
        {"ttl": []},
        {"jitter": -0.1},
        {"jitter": 1.5},
        {"stale_if_error": -1},
        {"condition": 1},
        {"codec": "jsn"},
        {"tags": ["{missing}"]},
        {"key": 5},
        {"tags": "one"},
        {"vary": 1},
    ],
    ids=repr,
)
def test_an_option_that_cannot_be_right_is_refused_at_decoration(options: dict[str, Any]) -> None:
    def load(n: int) -> int:
        return n

    with Cache("memory://") as cache, pytest.raises(UsageError) as caught:
        cache(**options)(load)
    assert caught.value.code
    if "tll" in options:
        assert "ttl" in str(caught.value)


def generator(n: int) -> Iterator[int]:
    yield n


async def asynchronous_generator(n: int) -> Any:
    yield n


@pytest.mark.parametrize("function", [generator, asynchronous_generator])
def test_generator_functions_are_refused_at_decoration(function: Any) -> None:
    with Cache("memory://") as cache, pytest.raises(UsageError):
        cache(function)


def test_a_lambda_needs_a_key_or_a_name() -> None:
    with Cache("redis://localhost:1") as cache, pytest.raises(UsageError, match="name"):
        _ = cache(lambda n: n + 1)(1)


def test_annotations_that_never_resolve_count_as_absent(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(n: Missing) -> AlsoMissing:  # type: ignore[name-defined]  # noqa: F821
        return [n]

    load = cache(key="k:{n}")(colour.function(body))
    assert colour.run(load, 1) == colour.run(load, 1) == [1]


def test_local_classes_in_annotations_are_resolved(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    @dataclasses.dataclass
    class Local:
        n: int

    def body(n: int) -> Local:
        return Local(n)

    load = cache(key="local:{n}")(colour.function(body))
    first, second = colour.run(load, 1), colour.run(load, 1)
    assert (first, second) == (Local(1), Local(1))
    assert isinstance(second, Local)


def test_keys_of_any_text_work(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(text: str) -> str:
        return text

    load = cache(key="text:{text}")(colour.function(body))
    texts = ["", " ", "\n", "\0", "a:b", "a%3Ab", "*", "é", "日本", "\u202e", "x" * 10_000_000]
    for text in [*texts, "x" * 9_999_999 + "y"]:
        assert colour.run(load, text) == text
        assert colour.run(load, text) == text
        assert len(load.key_for(text)) <= 512


def test_a_lone_surrogate_in_a_key_works(colour: Colour, backend_url: str) -> None:
    cache, loads = colour.cache(backend_url), []

    def body(text: str) -> int:
        loads.append(1)
        return len(text)

    load = cache(key="text:{text}")(colour.function(body))
    assert colour.run(load, "\ud800") == colour.run(load, "\ud800") == 1
    assert len(loads) == 1


def test_cache_info_tells_how_many_entries_this_process_keeps(
    colour: Colour, backend_url: str
) -> None:
    now = [1_000.0]
    cache = colour.cache(backend_url, clock=lambda: now[0])
    one = cache(key="one:{n}", ttl=60)(colour.function(lambda n: n))
    other = cache(key="other:{n}", ttl=5, codec="reference" if "memory" in backend_url else None)(
        colour.function(lambda n: n)
    )
    cache.set("one:free", 1)
    for n in range(3):
        colour.run(one, n)
        colour.run(other, n)
    is_local = backend_url.startswith("memory")
    if is_local or one.cache_info().maxsize is None:
        assert one.cache_info().currsize == other.cache_info().currsize == (3 if is_local else 0)
    colour.run(one.invalidate, 1)
    now[0] += 10
    if is_local:
        assert (one.cache_info().currsize, other.cache_info().currsize) == (2, 0)
    one.cache_clear()
    assert one.cache_info()[3] == 0


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [(max, (1, 3, 2), 3), (int, ("7",), 7), (str.upper, ("a",), "A"), (len, ("abc",), 3)],
)
def test_functions_that_do_not_tell_their_signature_are_cached(
    backend_url: str, function: Any, arguments: tuple[Any, ...], result: Any
) -> None:
    with Cache(patient(backend_url)) as cache:
        load = cache(name="made in C")(function)
        for _ in range(3):
            assert load(*arguments) == result
        assert load.cache_info()[:2] == (2, 1)
        assert shown(load.peek(*arguments)) == result
        assert load.key_for(*arguments) != load.key_for("xyz")
        assert load.invalidate(*arguments).removed == 1
        if function is max:
            assert load([3, 1], key=None, default=5) == 3


@pytest.mark.parametrize("front", [None, 1_000])
def test_recursion_goes_as_deep_as_two_frames_a_level_allow(
    threads: SyncColour, backend_url: str, front: int | None
) -> None:
    load: Any = threads.cache(backend_url, front=front)(key="recursive:{n}")(
        lambda n: 0 if n == 0 else load(n - 1) + 1
    )
    load(1)  # everything is imported, and connected
    depth = (sys.getrecursionlimit() - len(inspect.stack()) - 60) // 2
    assert depth > sys.getrecursionlimit() * 0.3
    assert load(depth) == depth
    assert load.peek(depth // 2).value == depth // 2
    with pytest.raises(RecursionError):
        load(100 * depth)
    assert load(depth) == depth


@pytest.mark.parametrize(
    "parameters", ["n", "n, /", "*, n", "n, *rest, flag=False, **more", "n=1, /, by=2, *, c=3"]
)
def test_what_a_function_is_given_is_what_was_given(threads: SyncColour, parameters: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def body({parameters}):\n    return sorted(locals().items())\n", names)
    body = names["body"]
    load = threads.cache("memory://")(name="given")(body)
    args, kwargs = ((), {"n": 5}) if parameters.startswith("*") else ((5,), {})
    assert load(*args, **kwargs) == load(*args, **kwargs) == body(*args, **kwargs)
    load.cache_clear()
    if "rest" in parameters:
        assert load(5, 6, 7, flag=True, z=1) == body(5, 6, 7, flag=True, z=1)
