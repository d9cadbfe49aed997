"""A cached method is to the world what the plain method beside it is."""

from __future__ import annotations

import asyncio
import copy
import enum
import functools
import inspect
import pickle
import sys
import typing
import weakref
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest

from dualcache import UsageError
from tests.behaviour import methods
from tests.behaviour.methods import Holder, Pages, Plain, logged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.colours import Colour

WAYS: Final[dict[str, Callable[[Any], Any]]] = {
    "load of the class": lambda kind: kind.load,
    "load of an object": lambda kind: kind("one").load,
    "later of the class": lambda kind: kind.later,
    "later of an object": lambda kind: kind("one").later,
    "static of the class": lambda kind: kind.build,
    "static of an object": lambda kind: kind("one").build,
    "class method": lambda kind: kind.of,
    "class method of an object": lambda kind: kind("one").of,
    "held": lambda kind: vars(kind)["load"],
    "held static": lambda kind: vars(kind)["build"].__func__,
}


def cached(function: Any) -> Any:
    """Cache what is decorated here, whose types are of no interest."""
    return methods.cache(function)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    methods.cache.clear(everything=True)
    yield
    methods.cache.clear(everything=True)


@pytest.mark.parametrize("way", WAYS)
def test_inspect_says_of_it_what_it_says_of_the_plain_one(way: str) -> None:
    kept, beside = WAYS[way](Pages), WAYS[way](Plain)
    getattr(type(kept), "__annotations__", None)  # makes one, if asked for
    for ask in (
        callable,
        inspect.isfunction,
        inspect.ismethod,
        inspect.isroutine,
        inspect.ismethoddescriptor,
        inspect.isdatadescriptor,
        inspect.isclass,
        inspect.isbuiltin,
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.isawaitable,
        inspect.signature,
        inspect.getfullargspec,
        inspect.getdoc,
        inspect.getsourcelines,
        typing.get_type_hints,
        asyncio.iscoroutinefunction,  # pyright: ignore[reportDeprecated]
    ):
        assert ask(kept) == ask(beside), ask
    for kind in (FunctionType, MethodType, staticmethod, classmethod, property, type):
        assert isinstance(kept, kind) is isinstance(beside, kind)
    for name in ("__module__", "__name__", "__doc__", "__defaults__", "__kwdefaults__"):
        assert getattr(kept, name) == getattr(beside, name)
    assert kept.__qualname__ == beside.__qualname__.replace("Plain", "Pages")
    assert kept.__annotations__ == beside.__annotations__
    assert hasattr(kept, "__self__") == hasattr(beside, "__self__")
    assert hasattr(kept, "__func__") == hasattr(beside, "__func__")
    assert kept.__code__.co_flags & inspect.CO_COROUTINE == beside.__code__.co_flags & 0x80
    assert repr(kept)


@pytest.mark.parametrize("way", WAYS)
def test_it_is_copied_and_pickled_as_the_plain_one_is(way: str) -> None:
    kept, beside = WAYS[way](Pages), WAYS[way](Plain)
    for one, name in ((kept, "Pages"), (beside, "Plain")):
        for again in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
            assert again.__func__ is one.__func__ if hasattr(one, "__func__") else again is one
            owner = getattr(again, "__self__", None)
            assert owner is None or name in (getattr(owner, "__name__", ""), type(owner).__name__)


def test_an_object_that_holds_a_bound_method_is_copied_and_pickled() -> None:
    for kind in (Pages, Plain):
        pages = kind("one")
        holder = Holder(pages, pages.load)
        for again in (copy.deepcopy(holder), pickle.loads(pickle.dumps(holder))):
            assert again.fetch.__self__ is again.pages
            assert again.fetch(1) == ["one", 1, 0, False]
            again.pages.name = "two"
            assert again.fetch(1) == ["two", 1, 0, False]


def test_a_bound_method_runs_in_another_process() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        for kind in (Pages, Plain):
            name = kind.__name__
            assert pool.submit(kind("one").load, 1, deep=True).result() == ["one", 1, 0, True]
            assert pool.submit(kind.load, kind("one"), 1).result() == ["one", 1, 0, False]
            assert pool.submit(kind.build, 1).result() == [1, 0]
            assert pool.submit(kind.of, 1).result() == [name, 1, 0]


def test_equal_bound_methods_have_equal_hashes_and_live_as_long_as_their_object() -> None:
    for kind in (Pages, Plain):
        one, other = kind("one"), kind("other")
        assert one.load == one.load != other.load
        assert one.load != kind.load
        assert len({one.load, one.load, other.load}) == 2
        reference = weakref.WeakMethod(one.load)
        assert reference() == one.load
        del one
        assert reference() is None


def test_autospec_takes_the_calls_that_the_plain_one_takes_and_no_others() -> None:
    for kind in (Pages, Plain):
        for spec in (mock.create_autospec(kind)("one"), mock.create_autospec(kind("one"))):
            spec.load(1, deep=True)
            spec.build(1)
            for args, named in (((), {}), ((), {"n": 1}), ((1,), {"depp": True}), ((1, 2, 3), {})):
                with pytest.raises(TypeError):
                    spec.load(*args, **named)
            assert isinstance(spec.later, mock.AsyncMock)
        with mock.patch.object(kind, "load", autospec=True) as load:
            load.return_value = "patched"
            assert kind("one").load(1) == "patched"
        assert kind("one").load(1) == ["one", 1, 0, False]


def test_methods_of_other_kinds_of_classes_are_left_as_they_are() -> None:
    class Colours(enum.Enum):
        RED = 1

        @cached
        def shown(self, n: int) -> str:
            return f"{self.name} {n}"

    class Partly:
        @cached
        def add(self, a: int, b: int) -> int:
            return a + b

        def __cache_key__(self) -> str:
            return ""

        increment = functools.partialmethod(add, 1)

    assert list(Colours) == [Colours.RED]
    assert Colours.RED.shown(1) == Colours.RED.shown(1) == "RED 1"
    assert Partly().increment(2) == Partly().increment(b=2) == 3
    assert Partly().add.invalidate(1, 2).removed == 1


def test_the_class_of_a_pydantic_model_may_have_cached_methods() -> None:
    pydantic = pytest.importorskip("pydantic")

    base: Any = pydantic.BaseModel

    class User(base, frozen=True):  # type: ignore[misc, call-arg]  # imported at run time
        name: str

        @cached
        def greeting(self, n: int = 0) -> str:
            return f"{self.name} {n}"

        @classmethod
        @cached
        def guest(cls, n: int = 0) -> str:
            return f"guest {n}"

        @staticmethod
        @cached
        def plain(n: int) -> int:
            return n

    assert set(User.model_fields) == {"name"}
    user = User(name="Ada")
    assert user.greeting(1) == user.greeting(1) == "Ada 1"
    assert user.greeting.invalidate(1).removed == 1
    assert User.guest(1) == User.guest(1) == "guest 1"
    assert User.plain(1) == 1


def test_handles_know_the_object_under_our_own_decorators(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(self: Any, i: int = 0) -> list[Any]:
        return [self.name, i]

    function = colour.function(body)
    function.__qualname__, function.__name__ = "Repository.own", "own"
    kept = cache(key="own:{self.name}:{i}")
    for own in (
        cache.invalidates("list:{i}")(kept(function)),
        cache.invalidates("list:{i}")(logged(kept(function))),
        cache.invalidates("a:{i}")(cache.invalidates("list:{i}")(kept(function))),
    ):
        repository: Any = type("Repository", (), {"own": own, "name": "one"})()
        colour.call(cache, "set", "list:5", 1)
        assert colour.run(repository.own, 5) == ["one", 5]
        assert colour.call(cache, "get", "list:5") is None
        assert repository.own.key_for(5) == "own:one:5"
        assert colour.run(repository.own.peek, 5).value == ["one", 5]
        assert colour.run(repository.own.store, [], 5) is True
        assert colour.run(repository.own.invalidate, 5).removed == 1
        assert inspect.ismethod(repository.own)
        assert inspect.iscoroutinefunction(repository.own) is inspect.iscoroutinefunction(own)


class Unhashable(type):
    __hash__ = None  # type: ignore[assignment]  # as a metaclass with an __eq__ has


class Odd(metaclass=Unhashable):
    """Stands among all classes, through which a handle looks for its own."""


def test_a_handle_that_another_decorator_took_from_its_object_says_so(colour: Colour) -> None:
    cache = colour.cache("memory://")

    def body(self: Any, i: int = 0) -> list[Any]:
        return [self.name, i]

    function = colour.function(body)
    function.__qualname__, function.__name__ = "Repository.own", "own"
    own = logged(cache(key="own:{self.name}:{i}")(function))
    repository: Any = type("Repository", (), {"own": own, "name": "one"})()
    colour.run(repository.own, 5)
    for given in (5, "x", [1], None, object()):
        for handle in ("invalidate", "refresh", "peek", "key_for"):
            with pytest.raises(UsageError) as caught:
                colour.run(getattr(repository.own, handle), given)
            assert caught.value.code == "DC117"
    with pytest.raises(UsageError, match="store"):
        colour.run(repository.own.store, "value", 5)
    with pytest.raises(UsageError):
        colour.run(repository.own.invalidate)
    assert colour.run(repository.own.invalidate, repository, 5).removed == 1
    colour.run(repository.own, 5)
    assert colour.run(repository.own.store, "value", repository, 5) is True
    assert colour.run(repository.own.peek, self=repository, i=5).value == "value"


@pytest.mark.parametrize("order", ["above", "beneath"])
def test_handles_of_a_class_method_know_the_class(
    colour: Colour, backend_url: str, order: str
) -> None:
    cache = colour.cache(backend_url)

    def body(cls: Any, day: int = 0, currency: str = "EUR") -> list[Any]:
        return [cls.__name__, day, currency]

    function = colour.function(body)
    function.__qualname__, function.__name__ = "Rates.of", "of"
    kept: Any = cache(key="rates:{cls.__name__}:{day}:{currency}")
    of = kept(classmethod(function)) if order == "above" else classmethod(kept(function))
    rates: Any = type("Rates", (), {"of": of})
    assert isinstance(vars(rates)["of"], classmethod)
    for call in ((5,), (), (5, "USD")):
        assert colour.run(rates.of, *call)[0] == "Rates"
        assert colour.run(rates.of.invalidate, *call).removed == 1
        assert colour.run(rates.of.peek, *call) is None
        assert colour.run(rates.of.store, "kept", *call) is True
        assert colour.run(rates().of, *call) == "kept"
        assert colour.run(rates.of.refresh, *call)[0] == "Rates"
    assert rates.of.key_for(5) == rates().of.key_for(day=5) == "rates:Rates:5:EUR"


def test_a_class_method_above_the_cache_in_a_class_with_heirs() -> None:
    class Rates:
        @cached
        @classmethod
        def of(cls, day: int = 0) -> str:
            return f"{cls.__name__} {day}"

        @classmethod
        @cached
        def late(cls, day: int = 0) -> str:
            return f"{cls.__name__} {day}"

    class Heir(Rates):
        pass

    assert (Heir.of(5), Rates.of(5)) == ("Heir 5", "Rates 5")
    assert Heir.of.invalidate(5).removed == 1
    assert Rates.of.peek(5) is not None
    assert (Heir.late(5), Rates.late(5)) == ("Heir 5", "Rates 5")
    late: Any = Heir.late
    if sys.version_info >= (3, 13):  # nobody can tell there which of the two is meant
        with pytest.raises(UsageError) as caught:
            late.invalidate(5)
        assert caught.value.code == "DC117"
        assert "@cache above @classmethod" in caught.value.help
        assert late.invalidate(Heir, 5).removed == 1
        assert late.peek(Rates, 5) is not None
    else:
        assert late.invalidate(5).removed == 1


def test_a_cached_function_may_be_assigned_to_a_class_later(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)

    def body(self: Any, n: int = 0) -> list[Any]:
        return [self.name, n]

    load: Any = cache(key="assigned:{self.name}:{n}")(colour.function(body))

    class Repository:
        name = "one"
        load: Any

    Repository.load = load
    repository = Repository()
    assert colour.run(repository.load, 5) == ["one", 5]
    assert repository.load.key_for(5) == load.key_for(repository, 5) == "assigned:one:5"
    assert colour.run(repository.load.invalidate, 5).removed == 1
    assert inspect.isfunction(load)
    assert inspect.ismethod(repository.load)


def test_a_copy_made_by_functools_wraps_of_a_bound_method_keeps_its_handles() -> None:
    pages = Pages("one")
    shown = logged(pages.load)
    assert shown(1) == ["one", 1, 0, False]
    assert shown.key_for(1) == pages.load.key_for(1)
    assert shown.invalidate(1).removed == 1


def test_what_invalidates_may_be_a_static_or_a_class_method(colour: Colour) -> None:
    cache = colour.cache("memory://")
    function = colour.function(body_of_class)
    decorate: Any = cache.invalidates("k:{n}")
    changes: Any = type(
        "Changes",
        (),
        {
            "of": decorate(classmethod(function)),
            "build": decorate(staticmethod(colour.function(body_of_static))),
        },
    )
    for change in (changes.of, changes().of, changes.build, changes().build):
        colour.call(cache, "set", "k:1", 1)
        assert colour.run(change, 1) == 1
        assert colour.call(cache, "get", "k:1") is None


def body_of_class(cls: Any, n: int) -> int:
    return n


def body_of_static(n: int) -> int:
    return n
