"""The backend for Flask-Caching: cachelib's interface, and Flask-Caching's decorators on it."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import flask
import flask_caching
import pytest

from dualcache import Cache, UsageError
from dualcache.integrations.flask import Backend
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret that is long enough for all"


class Site:
    """A backend, and the cache that it uses."""

    def __init__(self, url: str) -> None:
        self.cache = Cache(patient(url), namespace="test", codec="any", secret=SECRET)
        self.backend = Backend(self.cache)


@pytest.fixture
def site(backend_url: str) -> Iterator[Site]:
    made = Site(backend_url)
    yield made
    made.cache.clear()
    made.cache.close()


@pytest.fixture
def backend(site: Site) -> Backend:
    return site.backend


class Plain:
    """A class that only pickle stores."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]  # nobody hashes it


@pytest.mark.parametrize("value", ["a", 1, True, None, b"a", ["a"], {"a": (1, 2)}, Plain(3)])
def test_values_come_back_as_they_were(backend: Backend, value: Any) -> None:
    assert backend.set("key", value) is True
    assert backend.get("key") == value
    assert type(backend.get("key")) is type(value)
    assert backend.has("key") is True


def test_many_are_read_stored_and_deleted_at_once(backend: Backend) -> None:
    assert backend.set_many({"a": 1, "b": [2]}) == ["a", "b"]
    assert backend.get_many("a", "missing", "b") == [1, None, [2]]
    assert backend.get_dict("a", "missing") == {"a": 1, "missing": None}
    assert backend.delete_many("a", "missing") == ["a", "missing"]
    assert backend.unlink("b") == ["b"]
    assert backend.get_many("a", "b") == [None, None]


def test_delete_and_add_tell_what_was_there(backend: Backend) -> None:
    assert [backend.delete("key"), backend.add("key", 1), backend.add("key", 2)] == [
        False, True, False
    ]  # fmt: skip
    assert backend.get("key") == 1
    assert backend.delete("key") is True
    assert backend.has("key") is False


def test_counters_begin_at_nothing_and_keep_their_timeout(site: Site) -> None:
    backend = site.backend
    assert [backend.inc("count"), backend.inc("count", 5), backend.dec("count")] == [1, 6, 5]
    assert backend.dec("other", 2) == -2
    backend.set("timed", 1, 60)
    backend.inc("timed")
    assert 50 < (site.cache.ttl("timed") or 0) <= 60
    backend.set("text", "a")
    with pytest.raises(TypeError):
        backend.inc("text")


@pytest.mark.parametrize(
    ("timeout", "lives"),
    [(None, 300), (60, 60), (timedelta(seconds=59, milliseconds=1), 60), (0, None), (-1, None)],
)
def test_a_timeout_of_nothing_is_for_ever(site: Site, timeout: Any, lives: int | None) -> None:
    site.backend.set("key", 1, timeout)
    site.backend.set_many({"many": 1}, timeout)
    site.backend.add("added", 1, timeout)
    for key in ("key", "many", "added"):
        left = site.cache.ttl(key)
        assert left == lives if left is None else left > (lives or 0) - 10
        assert left is None or left <= (lives or 0)
        assert site.backend.has(key)


def test_clear_deletes_the_prefix_alone(site: Site, backend_url: str) -> None:
    with Cache(patient(backend_url), namespace="other") as other:
        other.set("key", 1)
        site.backend.set("key", 1)
        assert site.backend.clear() is True
        assert site.backend.get("key") is None
        assert other.get("key") == 1


@pytest.mark.parametrize("key", ["~key", "a*b", "50%41", "50%", "ä b", "a\nb", "x" * 3_000])
def test_any_key_is_one_of_its_own(backend: Backend, key: str) -> None:
    backend.set(key, 1)
    backend.set("a-b", 2)
    backend.set("50A", 3)
    assert backend.get(key) == 1


def test_what_nobody_can_store_is_an_error_of_pickle(backend: Backend) -> None:
    for store in (backend.set, backend.add):
        with pytest.raises(pickle.PickleError):
            store("key", lambda: 1)
    with pytest.raises(pickle.PickleError):
        backend.set_many({"key": lambda: 1})
    assert not backend.has("key")


class Shop:
    """An application with Flask-Caching on this backend."""

    def __init__(self, **config: Any) -> None:
        self.app = flask.Flask(__name__)
        self.app.config.update(
            CACHE_TYPE="dualcache.integrations.flask.Backend",
            DUALCACHE_URL="memory://",
            SECRET_KEY=SECRET,
            **config,
        )
        self.caching = flask_caching.Cache(self.app)
        self.runs = 0

    @property
    def backend(self) -> Backend:
        found = self.app.extensions["cache"][self.caching]
        assert isinstance(found, Backend)
        return found

    def run(self) -> int:
        self.runs += 1
        return self.runs


def test_views_and_functions_of_flask_caching_are_kept() -> None:
    shop = Shop(CACHE_DEFAULT_TIMEOUT=60)

    @shop.app.get("/")
    @shop.caching.cached(query_string=True)
    def view() -> flask.Response:
        return flask.jsonify(shop.run())

    @shop.caching.memoize()
    def load(item: int, **more: int) -> list[int]:
        return [item, *more.values(), shop.run()]

    client = shop.app.test_client()
    assert [client.get(path).json for path in ("/", "/", "/?a=1")] == [1, 1, 2]
    with shop.app.app_context():
        assert [load(1), load(1), load(2, other=3)] == [[1, 3], [1, 3], [2, 3, 4]]
        shop.caching.delete_memoized(load, 1)
        assert [load(1), load(2, other=3)] == [[1, 5], [2, 3, 4]]
        shop.caching.clear()
        assert load(1) == [1, 6]


def test_the_configuration_of_flask_caching_makes_the_cache() -> None:
    shop = Shop(
        CACHE_REDIS_URL="null://", CACHE_KEY_PREFIX="shop_", CACHE_OPTIONS={"stale_if_error": 5},
        DUALCACHE_NAMESPACE="other", CACHE_DEFAULT_TIMEOUT=7, CACHE_IGNORE_ERRORS=True,
    )  # fmt: skip
    assert repr(shop.backend.dualcache) == "Cache('null://', namespace='shop')"
    assert shop.backend.default_timeout == 7
    assert shop.backend.ignore_delete_many_errors is True
    with pytest.raises(UsageError, match="stale_if_error"):
        Shop(CACHE_OPTIONS={"stale_if_eror": 5})


def test_old_secrets_of_the_application_still_read() -> None:
    old = Shop()
    with old.app.app_context():
        assert old.caching.set("key", Plain(1))
    backend = Shop(SECRET_KEY_FALLBACKS=[SECRET.encode()]).backend
    assert backend.set("key", Plain(1))


def test_without_a_secret_only_plain_data_is_stored() -> None:
    shop = Shop()
    shop.app.config["SECRET_KEY"] = None
    backend = Backend.factory(
        shop.app, {}, [], {"default_timeout": 1, "ignore_delete_many_errors": True}
    )
    assert backend.set("key", [1])
    with pytest.raises(pickle.PickleError, match="set SECRET_KEY"):
        backend.set("key", Plain(1))
