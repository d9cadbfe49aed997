"""`DualStore`: what Litestar's own tests ask of a store, and what they leave open."""

from __future__ import annotations

import asyncio
import string
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import BackendUnavailable, Cache, FrontTier, UsageError
from dualcache.integrations.litestar import DualStore
from tests.colours import PATIENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator


class Stored:
    """A store, whose coroutines are run to their end."""

    def __init__(self, url: str, front: FrontTier | None) -> None:
        self.now = 1_000_000.0
        options: dict[str, Any] = dict(PATIENT) if url.startswith("redis") else {}
        self.cache = Cache(url, namespace="shop", front=front, clock=lambda: self.now, **options)
        self.runner = asyncio.Runner()
        self.store = DualStore(self.cache)

    def __call__(self, step: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await step

        return self.runner.run(awaited())

    def close(self) -> None:
        self(self.cache.aclose())
        self.runner.close()


@pytest.fixture(params=[False, True], ids=["one tier", "front tier"])
def run(backend_url: str, request: pytest.FixtureRequest) -> Iterator[Stored]:
    made = Stored(backend_url, FrontTier(max_entries=100) if request.param else None)
    yield made
    made.close()


def test_a_value_comes_back_as_bytes(run: Stored) -> None:
    assert run(run.store.get("key")) is None
    for value, found in ((b"\x00\xff", b"\x00\xff"), ("é", "é".encode()), (b"", b"")):
        run(run.store.set("key", value))
        assert run(run.store.get("key")) == found
    run(run.store.delete("key"))
    run(run.store.delete("key"))
    assert run(run.store.get("key")) is None


def test_any_text_is_a_key_and_no_two_are_one(run: Stored) -> None:
    keys = [*string.punctuation, "", "..", "~x", "a b", "a%20b", "é", "e\u0301", "a:b", "x" * 600]
    keys.append("x" * 599 + "y")
    for number, key in enumerate(keys):
        run(run.store.set(key, str(number)))
    assert [run(run.store.get(key)) for key in keys] == [b"%d" % n for n in range(len(keys))]


def test_values_end_in_time(run: Stored) -> None:
    run(run.store.set("seconds", b"1", expires_in=60))
    run(run.store.set("delta", b"1", expires_in=timedelta(days=2)))
    run(run.store.set("ever", b"1"))
    names = ("seconds", "delta", "ever", "missing")
    left = [run(run.store.expires_in(name)) for name in names]
    assert left == [60, 172_800, -1, None]
    assert [run(run.store.exists(name)) for name in names] == [True, True, True, False]
    for over in (0, -1, timedelta(0)):
        run(run.store.set("ever", b"2", expires_in=over))
        assert run(run.store.get("ever")) is None


def test_a_read_renews_what_ends_and_nothing_else(run: Stored) -> None:
    run(run.store.set("session", b"1", expires_in=60))
    run(run.store.set("ever", b"1"))
    assert run(run.store.get("session", renew_for=timedelta(hours=1))) == b"1"
    assert run(run.store.get("ever", renew_for=60)) == b"1"
    assert run(run.store.get("missing", renew_for=60)) is None
    names = ("session", "ever", "missing")
    assert [run(run.store.expires_in(name)) for name in names] == [3600, -1, None]


def test_namespaces_are_apart_and_delete_all_reaches_downwards(run: Stored) -> None:
    inner = run.store.with_namespace("inner")
    innermost = inner.with_namespace("most")
    stores = (run.store, inner, innermost)
    for store in stores:
        run(store.set("key", store.name_of("")))
    run(run.store.set("inner:key", b"no key of the store within"))
    run(run.cache.aio.set("elsewhere", 1))
    assert [run(store.get("key")) for store in stores] == [
        b"litestar:",
        b"litestar:inner:",
        b"litestar:inner:most:",
    ]
    run(inner.delete_all())
    assert [run(store.exists("key")) for store in stores] == [True, False, False]
    run(innermost.set("key", b"1"))
    run(run.store.delete_all())
    assert [run(store.exists("key")) for store in stores] == [False, False, False]
    assert run(run.cache.aio.get("elsewhere")) == 1


@pytest.mark.parametrize("namespace", ["", "a:b", "a*", "a b", None])
def test_a_namespace_that_could_be_a_pattern_is_refused(namespace: Any) -> None:
    with Cache("memory://") as cache:
        store = DualStore(cache)
        with pytest.raises(UsageError, match="DC470"):
            DualStore(cache, namespace)
        with pytest.raises(UsageError, match="DC470"):
            store.with_namespace(namespace)


def test_a_server_that_fails_raises_nothing(run: Stored) -> None:
    run(run.store.set("key", b"1", expires_in=60))
    with run.cache.inject_fault(BackendUnavailable):
        run(run.store.set("other", b"1"))
        run(run.store.delete("key"))
        assert run(run.store.get("other", renew_for=60)) is None
        assert run(run.store.exists("other")) is False
        assert run(run.store.expires_in("other")) is None
    run.now += 60
    assert run(run.store.get("key")) is None
