"""What type checkers see: mypy strict, pyright and ty check it, and it is never run.

A line marked `not ty` is one that ty cannot tell yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, assert_type

from dualcache import (
    MISSING,
    NOT_MODIFIED,
    Cache,
    CacheInfo,
    Entry,
    Invalidated,
    NotModified,
    Stats,
    Warmed,
)

T = TypeVar("T")

cache = Cache("memory://")


class User: ...


@cache
def bare(n: int) -> User:
    return User()


@cache(ttl="5m", key="user:{n}", tags=["users"])
def with_options(n: int, *, deep: bool = False) -> User:
    return User()


@cache
async def bare_coroutine(n: int) -> User:
    return User()


def newer(entry: Entry[User]) -> User | NotModified:
    return NOT_MODIFIED if entry.stale else entry.value


@cache(ttl=5, refresh_from=newer)
def conditional(n: int) -> User:
    return User()


@cache(ttl=5)
async def coroutine_with_options(n: int) -> User:
    return User()


@cache
def whatever(n: int) -> Any:
    return n


@cache(ttl=5)
def whatever_with_options(n: int) -> Any:
    return n


@cache
def same(value: T) -> T:
    return value


@cache(ttl=5)
def same_with_options(value: T) -> T:
    return value


@cache
async def same_later(value: T) -> T:
    return value


@cache.invalidates("user:{n}")
def saved(n: int) -> User:
    return User()


@cache.invalidates(tags=["users"])
async def saved_later(n: int) -> User:
    return User()


@cache.many(key="user:{n}", ttl="5m", missing=None)
def many(numbers: Sequence[int], *, deep: bool = False) -> dict[int, User]:
    return dict.fromkeys(numbers, User())


@cache.many(key="user:{n}")
async def many_later(numbers: list[int]) -> Mapping[int, User]:
    return dict.fromkeys(numbers, User())


class ManyRepository:
    @cache.many(key="many:{n}")
    def load(self, numbers: Sequence[int]) -> dict[int, User]:
        return dict.fromkeys(numbers, User())

    @staticmethod
    @cache.many(key="static-many:{n}")
    def static(numbers: Sequence[int]) -> dict[int, User]:
        return dict.fromkeys(numbers, User())


def added_by_others(a: int, b: int) -> int:
    return a + b


async def made_later(n: int) -> User:
    return bare(n)


added = cache.memoize(added_by_others, ttl="1m")


async def functions_of_others() -> None:
    assert_type(added(1, 2), int)
    assert_type(added.peek(1, 2), Entry[int] | None)
    assert_type(added.invalidate(1, 2), Invalidated)
    assert_type(await cache.memoize(made_later)(1), User)
    assert_type(await cache.memoize(made_later, ttl=5).peek(1), Entry[User] | None)


async def functions_of_many(repository: ManyRepository) -> None:
    assert_type(many([1], deep=True), dict[int, User])
    assert_type(many.refresh([1]), dict[int, User])
    assert_type(many.peek([1]), dict[int, Entry[User]])
    assert_type(many.invalidate([1]), Invalidated)
    assert_type(many.expire([1]), Invalidated)
    assert_type(many.key_for([1]), list[str])
    assert_type(many.cache_clear(), Invalidated)
    assert_type(many.cache_info(), CacheInfo)
    assert_type(await many_later([1]), Mapping[int, User])
    assert_type(await many_later.peek([1]), dict[int, Entry[User]])
    assert_type(await many_later.invalidate([1]), Invalidated)
    assert_type(await many_later.refresh([1]), Mapping[int, User])
    assert_type(await bare_coroutine.warm([1]), Warmed)
    assert_type(Repository.of_class.warm([1]), Warmed)
    assert_type(await Repository.of_class_later.warm([1]), Warmed)
    assert_type(repository.load([1]), dict[int, User])
    assert_type(repository.load.invalidate([1]), Invalidated)
    assert_type(repository.load.peek([1]), dict[int, Entry[User]])
    assert_type(ManyRepository.static([1]), dict[int, User])


class Repository:
    def made(self, n: int) -> User:
        return bare(n)

    @cache(key="repository:{n}")
    def load(self, n: int) -> User:
        return self.made(n)

    @cache(key="later:{n}")
    async def later(self, n: int) -> User:
        return self.made(n)

    @staticmethod
    @cache(key="static:{n}")
    def static(n: int) -> User:
        return bare(n)

    @classmethod
    @cache
    def of_class(cls, n: int = 0) -> User:
        return bare(n)

    @cache(ttl=5)
    @classmethod
    async def of_class_later(cls, n: int = 0) -> User:
        return bare(n)


class Reads(Protocol):
    def load(self, n: int) -> User: ...
    async def later(self, n: int) -> User: ...


class AbstractReads(ABC):
    @abstractmethod
    def load(self, n: int) -> User: ...
    @abstractmethod
    async def later(self, n: int) -> User: ...


class CachedReads(AbstractReads):
    @cache
    def load(self, n: int) -> User:  # pyright: ignore[reportIncompatibleMethodOverride]  it does not bind objects that are called
        return bare(n)

    @cache
    async def later(self, n: int) -> User:  # pyright: ignore[reportIncompatibleMethodOverride]  the same
        return bare(n)


def reader() -> Reads:
    return CachedReads()  # pyright: ignore[reportReturnType]  the same


def functions(text: str, number: int) -> None:
    assert_type(bare(1), User)
    assert_type(with_options(1, deep=True), User)
    assert_type(conditional(1), User)
    assert_type(bare.invalidate(1), Invalidated)
    assert_type(bare.refresh(1), User)
    assert_type(bare.peek(1), Entry[User] | None)
    assert_type(bare.warm([(1,), (2,)], concurrency=2, on_progress=print), Warmed)
    assert_type(bare.cache_clear(), Invalidated)
    assert_type(bare.cache_info(), CacheInfo)
    assert_type(bare.cache_info().hits, int)
    assert_type(bare.__wrapped__, Callable[..., User])
    assert_type(whatever(1), Any)
    assert_type(whatever(1)["data"], Any)
    assert_type(whatever_with_options(1)["data"], Any)
    assert_type(same_with_options(text), str)
    assert_type(same(number), int)
    assert_type(bare.store(User(), 1), bool)
    assert_type(bare.key_for(1), str)
    assert_type(saved(1), User)


async def coroutines(text: str) -> None:
    assert_type(await bare_coroutine(1), User)
    assert_type(await coroutine_with_options(1), User)
    assert_type(await coroutine_with_options.refresh(1), User)
    assert_type(await coroutine_with_options.invalidate(1), Invalidated)
    assert_type(await coroutine_with_options.expire(1), Invalidated)
    assert_type(await coroutine_with_options.peek(1), Entry[User] | None)
    _cleared: Invalidated = await coroutine_with_options.cache_clear()
    assert_type(coroutine_with_options.cache_clear().removed, int)
    assert_type(await same_later(text), str)
    assert_type(coroutine_with_options.key_for(1), str)
    assert_type(await saved_later(1), User)


async def methods(repository: Repository) -> None:
    assert_type(repository.load(1), User)
    assert_type(repository.load.invalidate(1), Invalidated)
    assert_type(repository.load.expire(1), Invalidated)
    assert_type(repository.load.refresh(n=1), User)
    assert_type(await repository.later(1), User)
    assert_type(await repository.later.invalidate(1), Invalidated)
    assert_type(Repository.load(repository, 1), User)
    assert_type(Repository.static(1), User)
    assert_type(Repository.static.key_for(1), str)
    assert_type(Repository.load.invalidate(repository, 1), Invalidated)
    assert_type(await Repository.later.refresh(repository, 1), User)
    assert_type(Repository.of_class(1), User)
    assert_type(repository.of_class(1), User)
    assert_type(Repository.of_class.invalidate(1), Invalidated)  # not ty
    assert_type(Repository.of_class.key_for(1), str)  # not ty
    assert_type(Repository.of_class.peek(n=1), Entry[User] | None)  # not ty
    assert_type(await Repository.of_class_later(1), User)  # not ty
    assert_type(await Repository.of_class_later.invalidate(1), Invalidated)  # not ty
    assert_type(await Repository.of_class_later.refresh(), User)  # not ty


def given(function: Callable[[int], User]) -> Callable[..., Any]:
    return function


def callables(repository: Repository, anything: Any) -> None:
    given(bare)
    given(Repository.static)
    given(repository.load)
    assert_type(cache(anything)(1), Any)


async def sizes(keys: list[str]) -> dict[str, int]:
    return {key: len(key) for key in keys}


def number() -> int:
    return 1


async def number_later() -> int:
    return 1


async def direct_calls(other: int) -> None:
    assert_type(cache.get_or_load("k", number), int)
    assert_type(await cache.aio.get_or_load("k", number_later), int)
    assert_type(await cache.aio.get_or_load("k", number, ttl="5m"), int)
    assert_type(await cache.aio.get_or_load_many(["k"], sizes), dict[str, int])
    assert_type(cache.invalidate("k"), Invalidated)
    assert_type(cache.expire("k"), Invalidated)
    assert_type(cache.touch("k", ttl=5), bool)
    assert_type(await cache.aio.touch_many(["k"]), list[str])
    assert_type(await cache.aio.expire("k"), Invalidated)
    assert_type(await cache.aio.invalidate("k"), Invalidated)
    assert_type(cache.peek("k"), Entry | None)
    assert_type(cache.peek("k", type=User), Entry[User] | None)
    assert_type(cache.get("k"), Any)
    assert_type(cache.get("k", type=User), User | None)
    assert_type(cache.get("k", other, type=User), User | int)
    assert_type(cache.get("k", type=list[int]), list[int] | None)
    assert cache.get("k", MISSING, type=User) is not MISSING
    assert_type(cache.get_many(["k"], type=User), dict[str, User])
    assert_type(await cache.aio.get("k", type=User), User | None)
    assert_type(await cache.aio.get_many(["k"], type=User), dict[str, User])
    assert_type(await cache.aio.peek("k", type=User), Entry[User] | None)
    assert_type(cache.stats(), Stats)
    assert_type(cache.contains("k"), bool)
    assert_type(cache.key("k:{n}", n=1), str)
    with cache as entered:
        assert_type(entered, Cache)
