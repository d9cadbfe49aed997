"""The extension: factories, several applications, configuration, signals, commands."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import sys
import weakref
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import flask
import pytest
from click.testing import CliRunner
from flask.cli import FlaskGroup
from flask.views import MethodView

from dualcache import Cache, Event, FrontTier, UsageError
from dualcache.integrations.flask import DualCache, backend_down, invalidated, loaded
from dualcache.integrations.flask.commands import _group, group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

cache = DualCache()
runs: dict[str, int] = {}


def count(name: str) -> int:
    runs[name] = runs.get(name, 0) + 1
    return runs[name]


@cache(ttl="5m", key="price:{item}")
def price(item: int) -> int:
    return item * 100 + count("price")


@cache(ttl="5m", key="weight:{item}")
async def weight(item: int) -> int:
    return item * 100 + count("weight")


class Stock:
    @cache(ttl="5m", key="stock:{item}")
    def of(self, item: int) -> int:
        return item * 100 + count("stock")

    @staticmethod
    @cache(ttl="5m", key="known:{item}")
    def known(item: int) -> int:
        return item * 100 + count("known")


@cache.many(ttl="5m", key="name:{item}")
def names(items: list[int]) -> dict[int, str]:
    return {item: f"{item}.{count('names')}" for item in items}


@cache.invalidates("price:{item}")
def rename(item: int) -> int:
    return item


pages = flask.Blueprint("pages", __name__)


@pages.get("/whole/<int:item>")
@cache.http(ttl=60)
async def whole(item: int) -> list[int]:
    return [item, count("whole")]


@pages.route("/post/<int:post_id>", methods=["GET", "PUT"])
@cache(key_prefix="post")
def post(post_id: int) -> list[int]:
    return [post_id, count("post")]


@pages.get("/async/<int:item>")
@cache("async")
async def of_coroutine(item: int) -> list[int]:
    return [item, count("async")]


class Items(MethodView):
    @cache.http(ttl=60)
    def get(self, item: int) -> list[int]:
        return [item, count("items")]


pages.add_url_rule("/items/<int:item>", view_func=Items.as_view("items"))


@pytest.fixture
def factory() -> Iterator[Callable[..., flask.Flask]]:
    made: list[flask.Flask] = []
    runs.clear()

    def make(**config: Any) -> flask.Flask:
        app = flask.Flask(__name__)
        app.testing = True
        app.config.update({"DUALCACHE_URL": "memory://", **config})
        cache.init_app(app)
        app.register_blueprint(pages)
        made.append(app)
        return app

    yield make
    for app in made:
        for here in app.extensions.get("dualcache", {}).values():
            here.cache.close()
    made.clear()
    gc.collect()


def test_each_application_has_a_cache_of_its_own(factory: Callable[..., flask.Flask]) -> None:
    first, second = factory().test_client(), factory().test_client()
    for path, name in (
        ("/whole/1", "whole"), ("/post/1", "post"), ("/async/1", "async"), ("/items/1", "items")
    ):  # fmt: skip
        assert [first.get(path).json, first.get(path).json] == [[1, 1]] * 2, name
        assert [second.get(path).json, second.get(path).json] == [[1, 2]] * 2, name
    first.put("/post/1")
    assert first.get("/post/1").json == [1, 4]
    assert second.get("/post/1").json == [1, 2]


def test_functions_are_those_of_the_current_application(
    factory: Callable[..., flask.Flask],
) -> None:
    first, second = factory(), factory()
    stock = Stock()
    for number, app in enumerate((first, second), 1):
        with app.app_context():
            for _ in range(2):
                assert price(3) == 300 + number
                assert stock.of(3) == 300 + number
                assert Stock.known(3) == 300 + number
                assert names([3]) == {3: f"3.{number}"}
                assert asyncio.run(weight(3)) == 300 + number
            assert cache.get("price:3") == 300 + number
    with first.app_context():
        assert price.invalidate(3).removed == 1
        assert stock.of.invalidate(3).removed == 1
        rename(3)
        assert stock.of.key_for(4) == "stock:4"
        assert price(3) == 303
    with second.app_context():
        assert price(3) == 302
        assert price.cache_info().hits == 2


def test_without_a_context_the_only_application_counts(factory: Callable[..., flask.Flask]) -> None:
    with pytest.raises(UsageError) as caught:
        price(1)
    assert caught.value.code == "DC462"
    app = factory()
    assert [price(1), price(1)] == [101, 101]
    factory()
    with pytest.raises(UsageError):
        price(1)
    with flask.Flask("another").app_context(), pytest.raises(UsageError):
        price(1)
    assert app.extensions["dualcache"][cache].cache.get("price:1") == 101


def test_a_decorated_function_is_a_function_to_python() -> None:
    assert list(map(inspect.isfunction, (price, whole))) == [True, True]
    assert list(map(inspect.iscoroutinefunction, (price, weight, whole))) == [False, True, False]
    assert str(inspect.signature(price)) == "(item: 'int') -> 'int'"
    assert (price.__name__, price.__module__) == ("price", __name__)
    assert not hasattr(price, "methods")
    assert repr(price) == "<price of each application>"


def test_an_application_that_nobody_has_any_more_goes(factory: Callable[..., flask.Flask]) -> None:
    app = factory()
    with app.app_context():
        price(1)
    gone = weakref.ref(app.extensions["dualcache"][cache].cache)
    app.extensions.clear()
    del app
    gc.collect()
    assert gone() is None


def test_a_mistake_at_a_decorator_shows_when_an_application_is_made() -> None:
    app = flask.Flask("app")
    late, early = DualCache(), DualCache(app, url="memory://")
    kept = late(key="{nobody}")(lambda item: item)
    with pytest.raises(UsageError):
        late.init_app(app)
    with pytest.raises(UsageError):
        early(key="{nobody}")(kept.__wrapped__)


def shown(app: flask.Flask, **options: Any) -> str:
    return repr(DualCache(app, **options).cache)


def test_what_the_configuration_says_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    app = flask.Flask("app")
    monkeypatch.setenv("DUALCACHE_URL", "memory://")
    assert shown(app) == "Cache('memory://', namespace='')"
    assert shown(app, namespace="option") == "Cache('memory://', namespace='option')"
    monkeypatch.setenv("FLASK_DUALCACHE_NAMESPACE", "123")
    assert shown(app, namespace="option") == "Cache('memory://', namespace='123')"
    app.config["DUALCACHE_NAMESPACE"] = "config"
    assert shown(app) == "Cache('memory://', namespace='config')"


def test_options_may_be_objects_numbers_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DUALCACHE_MAX_ENTRIES", "7")
    monkeypatch.setenv("FLASK_DUALCACHE_TTL", "5m")
    app = flask.Flask("app")
    app.config.update(
        DUALCACHE_URL="memory://", DUALCACHE_FRONT=FrontTier(), DUALCACHE_TTL=timedelta(minutes=1)
    )
    DualCache(app).cache.close()
    app.config["DUALCACHE_NAMESPCE"] = "shop"
    with pytest.raises(UsageError, match="namespace"):
        DualCache(app)


def test_a_cache_can_be_switched_off_by_the_configuration() -> None:
    app = flask.Flask("app")
    app.config.update(DUALCACHE_URL="memory://", DUALCACHE_ENABLED=False)
    made = DualCache(app).cache
    assert made.set("key", 1) is False


def test_a_cache_that_is_there_already_is_shared() -> None:
    own = Cache("memory://")
    shared = DualCache(cache=own)

    @shared(ttl=60, key="one:{item}")
    def one(item: int) -> int:
        return item

    twice = shared.memoize(abs, ttl=60)
    assert (one(1), twice(-2)) == (1, 2)  # needs no application
    for name in ("first", "second"):
        app = flask.Flask(name)
        shared.init_app(app)
        with app.app_context():
            assert shared.cache is own
            assert shared.get("one:1") == 1
    with pytest.raises(UsageError, match="DC461"):
        DualCache(cache=own, namespace="other")


def test_signals_tell_what_happens_in_an_application(factory: Callable[..., flask.Flask]) -> None:
    told: list[tuple[str, Event]] = []

    def note(app: flask.Flask, event: Event, cache: Cache) -> None:
        assert app.extensions["dualcache"][globals()["cache"]].cache is cache
        told.append((type(event).__name__, event))

    before = factory()
    for signal in (invalidated, loaded, backend_down):
        signal.connect(note)
    after = factory()
    for app in (before, after):
        with app.app_context():
            price(1)
            price(1)
            price.invalidate(1)
    assert [name for name, _ in told] == ["Loaded", "Invalidated"] * 2


@pytest.fixture
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask's command line marks the process as its own, and processes that it starts."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "")


@pytest.mark.usefixtures("_own_environment")
def test_the_commands_work_on_the_cache_of_the_application(factory: Any) -> None:
    app = factory()
    with app.app_context():
        price(1)
    program = FlaskGroup(create_app=lambda: app)
    program.add_command(group, "dualcache")
    ran = CliRunner().invoke(program, ["dualcache", "keys", "--json"])
    assert "price:1" in json.dumps(ran.output), ran.output
    assert ran.exit_code == 0


def test_without_the_extra_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    ran = CliRunner().invoke(_group())
    assert ran.exit_code != 0
    assert 'pip install "dualcache[cli]"' in ran.output


@pytest.mark.usefixtures("_own_environment")
def test_a_program_without_a_cache_is_told_what_to_write() -> None:
    program = FlaskGroup(create_app=lambda: flask.Flask("app"))
    program.add_command(group, "dualcache")
    ran = CliRunner().invoke(program, ["dualcache", "ping"])
    assert ran.exit_code != 0
    assert "DC463" in ran.output + str(ran.exception)
