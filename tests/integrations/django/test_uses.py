"""Sessions, the per-view and the fragment cache of Django, over the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.http import HttpResponse
from django.middleware.cache import FetchFromCacheMiddleware, UpdateCacheMiddleware
from django.template import Context, Engine
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.views.decorators.cache import cache_page

from tests.integrations.django import urls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.integrations.django.project import Face, Project


@pytest.fixture
def views() -> Iterator[list[Any]]:
    yield urls.urlpatterns
    urls.urlpatterns.clear()


def fetched(colour: Colour, url: str, **headers: str) -> str:
    client = AsyncClient() if colour.is_async else Client()
    response = colour.run(lambda: client.get(url, headers=headers))
    assert response.status_code == 200
    return str(response.content.decode())


def test_a_view_is_run_once_for_each_url(colour: Colour, cache: Face, views: list[Any]) -> None:
    ran: list[str] = []

    def view(request: Any) -> HttpResponse:
        ran.append(request.GET.get("page", ""))
        response = HttpResponse(f"page {ran[-1]}".encode(), headers={"Vary": "accept-language"})
        response.set_cookie("seen", "1")
        return response

    views.append(path("page", cache_page(60)(view)))
    assert [fetched(colour, "/page?page=1") for _ in range(3)] == ["page 1"] * 3
    assert fetched(colour, "/page?page=2") == "page 2"
    assert ran == ["1", "2"]
    cache.clear()
    fetched(colour, "/page?page=1")
    assert ran == ["1", "2", "1"]


def test_a_site_is_cached_by_the_two_middlewares(
    colour: Colour, cache: Face, views: list[Any]
) -> None:
    ran: list[int] = []

    async def view(_: Any) -> HttpResponse:
        ran.append(1)
        return HttpResponse(b"page")

    views.append(path("site", view))
    middleware = [
        f"{each.__module__}.{each.__qualname__}"
        for each in (UpdateCacheMiddleware, FetchFromCacheMiddleware)
    ]
    with override_settings(MIDDLEWARE=middleware, CACHE_MIDDLEWARE_SECONDS=60):
        for _ in range(3):
            assert fetched(colour, "/site") == "page"
    assert len(ran) == 1


def test_a_fragment_is_rendered_once_and_stays_safe(cache: Face) -> None:
    engine = Engine(libraries={"cache": "django.templatetags.cache"})
    template = engine.from_string(
        "{% load cache %}{% cache 60 side user %}<b>{{ n }}</b>{% endcache %}"
    )

    def rendered(n: int, user: str) -> str:
        return str(template.render(Context({"n": n, "user": user})))

    assert rendered(1, "ada") == "<b>1</b>"
    assert rendered(2, "ada") == "<b>1</b>"
    assert rendered(3, "eve") == "<b>3</b>"


def test_a_session_is_kept_changed_and_ended(colour: Colour, cache: Face) -> None:
    def called(session: Any, method: str, *args: Any) -> Any:
        written = f"a{method}" if colour.is_async else method
        return colour.run(lambda: getattr(session, written)(*args))

    first = SessionStore()
    called(first, "set" if colour.is_async else "__setitem__", "user", 7)
    called(first, "save", True)
    key = first.session_key
    second = SessionStore(key)
    assert called(second, "get", "user") == 7
    called(second, "update", {"cart": [1, (2,)]})
    called(second, "save")
    assert called(SessionStore(key), "get", "cart") == [1, (2,)]
    called(second, "flush")
    assert called(SessionStore(key), "get", "user") is None
    assert called(SessionStore(), "exists", key) is False


def test_a_session_that_ended_elsewhere_is_not_brought_back(colour: Colour, cache: Face) -> None:
    from django.contrib.sessions.backends.base import UpdateError

    first = SessionStore()
    first["user"] = 7
    colour.run(first.acreate if colour.is_async else first.create)
    second = SessionStore(first.session_key)
    colour.run(second.adelete if colour.is_async else second.delete)
    first["user"] = 8
    with pytest.raises(UpdateError):
        colour.run(first.asave if colour.is_async else first.save)


def test_where_the_server_is_away_pages_are_served_and_nothing_raises(
    project: Project, colour: Colour, views: list[Any]
) -> None:
    away = project.entry(LOCATION="redis://127.0.0.1:1", options={"socket_timeout": 3})
    cache = project.use(default=away)
    views.append(path("away", cache_page(60)(lambda _: HttpResponse(b"page"))))
    assert fetched(colour, "/away") == "page"
    assert cache.get("key", "default") == "default"
    cache.set("key", 1)
    assert cache.set_many({"a": 1, "b": 2}) == ["a", "b"]
    assert (cache.add("key", 1), cache.touch("key"), cache.delete("key")) == (False, False, False)
    assert cache.get_or_set("key", lambda: 7) == 7
    with pytest.raises(ValueError, match="not found"):
        cache.incr("key")
