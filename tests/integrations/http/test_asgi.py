"""What only bare ASGI messages show: extensions, odd applications, requests without a client."""

from __future__ import annotations

import asyncio
import gc
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from dualcache import Cache
from dualcache.http.asgi import AsgiHttp
from dualcache.http.recorder import Recorder
from tests.integrations.http.policies import parsed_status, policy

if TYPE_CHECKING:
    from collections.abc import Iterator

START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"Content-Type", b"x")],
}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"hello"}


class Route:
    """An application that sends these messages, behind HTTP mode."""

    def __init__(self, *messages: dict[str, Any], **options: Any) -> None:
        self.now_ms = 1_000_000
        self.cache = Cache("memory://", clock=lambda: self.now_ms / 1000)
        self.messages = messages
        self.received: list[str] = []
        self.reads = 0
        self.runs = 0
        self.again = asyncio.Event()
        self._http = AsgiHttp(self.cache, self.cache._runtime, policy(**options), "route")

    async def get(self) -> list[dict[str, Any]]:
        """Send a GET; return the messages that came."""
        came: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            came.append({**message})

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await self._http.serve(self.app, scope, receive, send)
        return came

    async def app(self, _scope: Any, receive: Any, send: Any) -> None:
        self.runs += 1
        self.received += [(await receive())["type"] for _ in range(self.reads)]
        for message in self.messages:
            await send(message)
        if self.runs == 2:
            self.again.set()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


def status_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return parsed_status(dict(messages[0]["headers"])[b"cache-status"])


@pytest.mark.parametrize(
    "messages",
    [
        ({**START, "trailers": True}, BODY, {"type": "http.response.trailers", "headers": []}),
        (START, {"type": "http.response.pathsend", "path": "/etc/hostname"}),
    ],
    ids=["trailers", "pathsend"],
)
def test_a_response_by_an_extension_of_the_server_passes_as_it_is(
    runner: asyncio.Runner, messages: tuple[dict[str, Any], ...]
) -> None:
    route = Route(*messages)
    for _ in range(2):
        came = runner.run(route.get())
        assert [each["type"] for each in came] == [each["type"] for each in messages]
        assert status_of(came) == {"fwd": "uri-miss", "detail": "extension"}
    assert route.runs == 2


def test_names_of_fields_are_compared_in_lower_case(runner: asyncio.Runner) -> None:
    route = Route({**START, "headers": [(b"Set-Cookie", b"a=b")]}, BODY)
    assert status_of(runner.run(route.get())) == {"fwd": "uri-miss", "detail": "set-cookie"}


def test_what_a_test_client_is_told_of_a_template_is_no_part_of_the_response(
    runner: asyncio.Runner,
) -> None:
    route = Route({"type": "http.response.debug", "info": {}}, START, BODY)
    for _ in range(2):
        came = runner.run(route.get())
        assert [each["type"] for each in came] == [START["type"], BODY["type"]]
    assert route.runs == 1


def test_an_application_without_a_response_is_told(runner: asyncio.Runner) -> None:
    with pytest.raises(RuntimeError, match="without a response"):
        runner.run(Route().get())


def test_an_exception_of_the_application_leaves_nothing_behind(runner: asyncio.Runner) -> None:
    route = Route({"type": "http.response.start"})  # without a status: it fails

    async def failing() -> int:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with pytest.raises(KeyError):
                    await route.get()
            await asyncio.sleep(0)
            # By type: a proxy among them would be resolved by isinstance().
            return sum(type(each) is Recorder for each in gc.get_objects())
        finally:
            gc.enable()

    assert runner.run(failing()) == 0


def test_a_refresh_in_the_background_finds_an_empty_body_and_no_disconnect(
    runner: asyncio.Runner,
) -> None:
    route = Route(START, BODY, stale_while_revalidate=600)

    async def refreshed() -> list[dict[str, Any]]:
        await route.get()
        route.now_ms += 100_000
        route.reads = 1
        stale = await route.get()
        await route.again.wait()
        await route.cache.aclose()
        return stale

    assert status_of(runner.run(refreshed())) == {"hit": True, "ttl": -40}
    assert route.received == ["http.request"]


def test_a_wrapped_route_refuses_other_methods_as_before(runner: asyncio.Runner) -> None:
    cache, app = Cache("memory://"), FastAPI()

    @app.get("/")
    @cache.http(ttl=60)
    async def read() -> int:
        return 1

    async def statuses() -> list[int]:
        found: list[int] = []

        async def send(message: Any) -> None:
            found.append(message.get("status", 0))

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async with cache.lifespan(app), cache.lifespan(app):
            for method in ("GET", "POST"):
                scope: dict[str, Any] = {
                    "type": "http",
                    "method": method,
                    "path": "/",
                    "headers": [],
                    "query_string": b"",
                    "root_path": "",
                }
                await app(scope, receive, send)
        return [status for status in found if status]

    assert runner.run(statuses()) == [200, 405]


def test_a_function_that_takes_any_keywords_is_decorated_too() -> None:
    @Cache("memory://").http(ttl=60)
    def read(number: int, **more: int) -> int:
        return number + sum(more.values())

    assert [*inspect.signature(read).parameters] == ["number", "dualcache_call", "more"]
    assert read(1, other=2) == 3
