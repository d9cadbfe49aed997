"""Tests for a backend of a `Cache`: the rules that hold on every backend.

A backend can be a server that speaks Redis's protocol, a proxy, a service, or a client object. A
subclass says how to make a cache on it, and pytest collects the rest.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final
from uuid import uuid4

import pytest

from dualcache import MISSING, BackendUnavailable, MissingClientError, MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache

__all__ = ["CacheConformance", "Made"]

VALUES: Final = {
    "nothing": None,
    "zero": 0,
    "text": "",
    "surrogate": "é\N{SNOWMAN}\U0001f600",
    "bytes": b"\x00\r\n\xff",
    "tuple": (1, "1", 1.0, True),
    "set": {1, 2},
    "keys": {1: "a", "1": "b", (1, 2): "c"},
    "time": datetime(2026, 2, 28, 23, 59, 59, 1, tzinfo=UTC),
    "decimal": Decimal("0.10"),
    "large": b"\x00\x01" * 100_000,
}
WAIT_SECONDS: Final = 20
"""How long anything may take that happens in an instant on an idle machine."""
CALLERS: Final = 8


class Made:
    """Caches on one namespace, as in two processes, and calls of one colour."""

    def __init__(self, make: Callable[..., Cache], *, is_async: bool) -> None:
        self._make = make
        self._is_async = is_async
        self._runner = asyncio.Runner()
        self.namespace = f"conformance-{uuid4().hex}"
        self._caches: list[Cache] = []

    def cache(self, **options: Any) -> Cache:
        """Return a new cache on the namespace of this test."""
        made = self._make(namespace=self.namespace, **options)
        self._caches.append(made)
        return made

    def call(self, cache: Cache, method: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the face of this colour, to its end."""
        if not self._is_async:
            return getattr(cache, method)(*args, **kwargs)
        return self._runner.run(getattr(cache.aio, method)(*args, **kwargs))

    def loading(self, cache: Cache, key: str, change: Callable[[Cache], Any], value: Any) -> Any:
        """Load a key with the tag "t" while `change` runs; `change` gets this colour's face."""
        if not self._is_async:

            def load() -> Any:
                change(cache)
                return value

            return cache.get_or_load(key, load, tags=["t"])

        async def aload() -> Any:
            await change(cache.aio)  # type: ignore[arg-type]  # its methods have the same names
            return value

        return self._runner.run(cache.aio.get_or_load(key, aload, tags=["t"]))

    def at_once(self, thunks: list[Callable[[Any], Any]], faces: list[Cache]) -> list[Any]:
        """Make all calls at once, in threads or tasks; return their results in order."""
        if not self._is_async:
            barrier = threading.Barrier(len(thunks))

            def run(thunk: Callable[[Any], Any], face: Cache) -> Any:
                barrier.wait(WAIT_SECONDS)
                return thunk(face)

            with ThreadPoolExecutor(len(thunks)) as pool:
                return list(pool.map(run, thunks, faces))

        async def gather() -> list[Any]:
            calls = [thunk(face.aio) for thunk, face in zip(thunks, faces, strict=True)]
            return await asyncio.gather(*calls)

        return self._runner.run(gather())

    def slow_loader(self, counted: Iterator[int]) -> Callable[[], Any]:
        """Return a loader that is slow enough for all callers to arrive while it runs."""

        def load() -> int:
            time.sleep(0.2)
            return next(counted)

        async def aload() -> int:
            await asyncio.sleep(0.2)
            return next(counted)

        return aload if self._is_async else load

    def close(self) -> None:
        """Delete the entries of the test, and close its caches."""
        if self._caches:
            self._caches[0].clear()
        for cache in self._caches:
            self._runner.run(cache.aio.aclose())
        self._runner.close()


CHANGES: Final[dict[str, Callable[[Any], Any]]] = {
    "key": lambda face: face.invalidate("a"),
    "tag": lambda face: face.invalidate(tags=["t"]),
    "pattern": lambda face: face.invalidate(patterns=["a*"]),
    "clear": lambda face: face.clear(),
}
"""Calls on a face after which the key "a", which has the tag "t", is gone."""


class CacheConformance:
    """The rules that hold on each backend, in both colours.

    A subclass defines `make_cache`, which takes the options of a `Cache` (with `namespace`) and
    adds the backend. `is_shared` is False if two caches do not see each other's entries.
    """

    is_shared: ClassVar[bool] = True

    def make_cache(self, **options: Any) -> Cache:
        """Return a cache on the tested backend, with these options."""
        raise NotImplementedError

    @pytest.fixture(params=["sync", "async"])
    def made(self, request: pytest.FixtureRequest) -> Iterator[Made]:
        """The caches of one test."""
        caches = Made(self.make_cache, is_async=request.param == "async")
        yield caches
        caches.close()

    def test_it_answers(self, made: Made) -> None:
        assert made.call(made.cache(), "ping") is True

    @pytest.mark.parametrize("name", VALUES)
    def test_a_hit_equals_a_miss(self, made: Made, name: str) -> None:
        cache, value = made.cache(), VALUES[name]
        assert made.call(cache, "get", name, MISSING) is MISSING
        assert made.call(cache, "set", name, value)
        found = made.call(cache, "get", name, MISSING)
        assert (type(found), found) == (type(value), value)

    def test_a_value_ends_with_its_ttl(self, made: Made) -> None:
        cache = made.cache(jitter=0)
        made.call(cache, "set", "a", 1, ttl=0.3)
        made.call(cache, "set", "b", 1, ttl=None)
        _until(lambda: made.call(cache, "get", "a") is None)
        assert made.call(cache, "ttl", "b") is None
        assert made.call(cache, "get", "b") == 1

    @pytest.mark.parametrize("by", CHANGES)
    def test_what_is_invalidated_is_gone_and_nothing_else(self, made: Made, by: str) -> None:
        cache = made.cache()
        made.call(cache, "set", "a", 1, tags=["t"])
        made.call(cache, "set", "b[a*]", 2, tags=["u"])
        how = {"key": {}, "tag": {"tags": ["t"]}, "pattern": {"patterns": ["a*"]}, "clear": {}}
        args = ("a",) if by == "key" else ()
        done = made.call(cache, "clear" if by == "clear" else "invalidate", *args, **how[by])
        assert done.pending == 0
        assert made.call(cache, "get", "a") is None
        assert made.call(cache, "get", "b[a*]") == (None if by == "clear" else 2)

    @pytest.mark.parametrize("by", CHANGES)
    def test_a_load_that_began_before_an_invalidation_is_not_stored(
        self, made: Made, by: str
    ) -> None:
        cache = made.cache()
        other = made.cache() if self.is_shared else cache

        def change(face: Any) -> Any:
            return CHANGES[by](other if face is cache else other.aio)

        assert made.loading(cache, "a", change, "old") == "old"
        assert made.call(cache, "get", "a") is None
        assert made.call(cache, "get_or_load", "a", lambda: "new") == "new"

    def test_a_load_that_began_before_a_set_does_not_replace_it(self, made: Made) -> None:
        cache = made.cache()
        other = made.cache() if self.is_shared else cache

        def change(face: Any) -> Any:
            return (other if face is cache else other.aio).set("a", "new")

        made.loading(cache, "a", change, "old")
        assert made.call(cache, "get", "a") == "new"

    def test_nothing_is_stored_under_a_hold(self, made: Made) -> None:
        cache = made.cache()
        made.call(cache, "invalidate", "a", hold=60)
        assert made.call(cache, "get_or_load", "a", lambda: 1) == 1
        assert made.call(cache, "get", "a") is None

    def test_callers_at_once_share_one_load(self, made: Made) -> None:
        caches = [made.cache(), made.cache()] if self.is_shared else [made.cache()]
        load, calls = made.slow_loader(count(1)), range(CALLERS)
        faces = [caches[at % len(caches)] for at in calls]
        found = made.at_once([lambda face: face.get_or_load("a", load) for _ in calls], faces)
        assert found == [1] * CALLERS

    def test_a_loader_that_raises_stores_nothing(self, made: Made) -> None:
        cache = made.cache()
        error = LookupError("no row")

        def load() -> Any:
            raise error

        with pytest.raises(LookupError) as caught:
            made.call(cache, "get_or_load", "a", load)
        assert caught.value is error
        assert made.call(cache, "get_or_load", "a", lambda: 2) == 2

    def test_of_several_that_add_a_key_one_does(self, made: Made) -> None:
        cache = made.cache()
        thunks = [lambda face: face.add("a", 1) for _ in range(CALLERS)]
        assert sorted(made.at_once(thunks, [cache] * CALLERS))[-2:] == [False, True]

    def test_no_count_is_lost(self, made: Made) -> None:
        cache = made.cache()
        thunks = [lambda face: face.incr("n") for _ in range(CALLERS)]
        assert sorted(made.at_once(thunks, [cache] * CALLERS)) == [*range(1, CALLERS + 1)]

    def test_many_keys_are_read_and_listed(self, made: Made) -> None:
        cache = made.cache()
        values = {f"k:{number}": number for number in range(1_500)}
        made.call(cache, "set_many", values)
        assert made.call(cache, "get_many", [*values, "none"]) == values
        assert sorted(cache.keys("k:14[0-9][0-9]")) == [
            f"k:{number}" for number in range(1400, 1500)
        ]
        assert made.call(cache, "invalidate", patterns=["k:*"]).removed == 1_500

    def test_another_cache_sees_what_one_has_done(self, made: Made) -> None:
        if not self.is_shared:
            pytest.skip("two caches on this backend do not see each other's entries")
        one, other = made.cache(), made.cache()
        made.call(one, "set", "a", 1, tags=["t"])
        assert made.call(other, "get", "a") == 1
        made.call(other, "invalidate", tags=["t"])
        made.call(one, "fence")
        assert made.call(one, "get", "a") is None

    def test_foreign_bytes_are_a_miss(self, made: Made) -> None:
        cache = made.cache()
        made.call(cache, "set", "a", 1)
        try:
            name = f"{made.namespace}:a"
            whole: Any = cache.client.get(name)
            forged = [b"", b"{}", whole[:-1], whole + b"x", whole[:40] + b"\xff" + whole[41:]]
        except MissingClientError:
            pytest.skip("there is no client to write them with")
        for content in forged:
            cache.client.set(name, content)
            made.call(cache, "fence")
            assert made.call(cache, "get", "a") is None
        assert made.call(cache, "get_or_load", "a", lambda: 2) == 2

    def test_an_outage_costs_loads_and_no_invalidation(self, made: Made) -> None:
        clock = MovableClock()
        cache = made.cache(clock=clock)
        made.call(cache, "set", "a", "old")
        with cache.inject_fault(BackendUnavailable):
            assert made.call(cache, "invalidate", "a").pending == 1
            assert made.call(cache, "get_or_load", "b", lambda: 1) == 1
        clock.advance("1m")
        assert made.call(cache, "get_or_load", "a", lambda: "new") == "new"


def _until(is_true: Callable[[], bool]) -> None:
    """Wait until the backend's own clock has come so far."""
    ends = time.monotonic() + WAIT_SECONDS
    while not is_true():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)
