"""What type checkers see of decorated functions; checked by mypy strict and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from dualcache import Cache, Entry, Invalidated

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


@cache(ttl=5)
async def coroutine_with_options(n: int) -> User:
    return User()


@cache.invalidates("user:{n}")
def saved(n: int) -> User:
    return User()


@cache.invalidates(tags=["users"])
async def saved_later(n: int) -> User:
    return User()


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


def functions() -> None:
    assert_type(bare(1), User)
    assert_type(with_options(1, deep=True), User)
    assert_type(bare.invalidate(1), Invalidated)
    assert_type(bare.refresh(1), User)
    assert_type(bare.peek(1), Entry | None)
    assert_type(bare.store(User(), 1), bool)
    assert_type(bare.key_for(1), str)
    assert_type(saved(1), User)


async def coroutines() -> None:
    assert_type(await bare_coroutine(1), User)
    assert_type(await coroutine_with_options(1), User)
    assert_type(await coroutine_with_options.refresh(1), User)
    assert_type(await coroutine_with_options.invalidate(1), Invalidated)
    assert_type(await coroutine_with_options.peek(1), Entry | None)
    assert_type(coroutine_with_options.key_for(1), str)
    assert_type(await saved_later(1), User)


async def methods(repository: Repository) -> None:
    assert_type(repository.load(1), User)
    assert_type(repository.load.invalidate(1), Invalidated)
    assert_type(repository.load.refresh(n=1), User)
    assert_type(await repository.later(1), User)
    assert_type(await repository.later.invalidate(1), Invalidated)
    assert_type(Repository.load(repository, 1), User)
    assert_type(Repository.static(1), User)
    assert_type(Repository.static.key_for(1), str)


async def sizes(keys: list[str]) -> dict[str, int]:
    return {key: len(key) for key in keys}


def number() -> int:
    return 1


async def number_later() -> int:
    return 1


async def direct_calls() -> None:
    assert_type(cache.get_or_load("k", number), int)
    assert_type(await cache.aio.get_or_load("k", number_later), int)
    assert_type(await cache.aio.get_or_load("k", number, ttl="5m"), int)
    assert_type(await cache.aio.get_or_load_many(["k"], sizes), dict[str, int])
    assert_type(cache.invalidate("k"), Invalidated)
    assert_type(await cache.aio.invalidate("k"), Invalidated)
    assert_type(cache.peek("k"), Entry | None)
    assert_type(cache.contains("k"), bool)
    assert_type(cache.key("k:{n}", n=1), str)
    with cache as entered:
        assert_type(entered, Cache)
