"""HTTP mode under trio: a real worker, and what only scopes of trio show.

The rules are tested by `pytest --on-trio tests/integrations/http`.
"""

from __future__ import annotations

import gc
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse

from dualcache import Cache
from dualcache.http.asgi import AsgiHttp
from dualcache.http.recorder import Recorder
from tests.bodies import WAIT_SECONDS, Gate
from tests.integrations.http.policies import policy
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

trio = pytest.importorskip("trio")
pytest.importorskip("trio.testing")
hypercorn = pytest.importorskip("hypercorn.trio")

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
BODY: dict[str, Any] = {"type": "http.response.body", "body": b"hello"}


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        with trio.fail_after(WAIT_SECONDS):
            await main()

    trio.run(in_time)


@contextmanager
def served(app: FastAPI) -> Generator[httpx.Client]:
    """Serve an application as hypercorn's trio worker does, in a thread; yield its client."""
    config = hypercorn.Config()
    config.bind, config.errorlog = ["127.0.0.1:0"], None
    begun: Future[tuple[str, Callable[[], None]]] = Future()

    async def main() -> None:
        ends = trio.Event()
        token = trio.lowlevel.current_trio_token()
        serve = partial(hypercorn.serve, app, config, shutdown_trigger=ends.wait)
        async with trio.open_nursery() as nursery:
            (url,) = await nursery.start(serve)
            begun.set_result((url, partial(token.run_sync_soon, ends.set)))
            await ends.wait()
            with trio.fail_after(WAIT_SECONDS):
                while system_tasks():
                    await trio.sleep(0.001)

    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(trio.run, main)
        url, end = begun.result(WAIT_SECONDS)
        try:
            with httpx.Client(base_url=url, timeout=WAIT_SECONDS) as client:
                yield client
        finally:
            end()
            run.result(WAIT_SECONDS)


def system_tasks() -> list[str]:
    """Name the tasks that the cache has started and that still run."""
    root = trio.lowlevel.current_root_task()
    tasks = [task.name for each in root.child_nurseries for task in each.child_tasks]
    return [name for name in tasks if name.startswith("dualcache")]


def test_a_worker_of_hypercorn_stores_responses(backend_url: str) -> None:
    cache, runs = Cache(patient(backend_url)), []
    app = FastAPI(lifespan=cache.lifespan)

    @app.get("/prices/{number}")
    @cache.http(ttl=60)
    def read(number: int) -> int:
        runs.append(number)
        return len(runs)

    @app.put("/prices/{number}")
    @cache.http()
    async def write(number: int) -> None: ...

    with served(app) as client:
        first, second = (client.get("/prices/1") for _ in range(2))
        assert first.headers["cache-status"] == "dualcache; fwd=uri-miss; stored"
        assert second.headers["cache-status"].startswith("dualcache; hit; ttl=")
        assert (first.json(), second.json(), runs) == (1, 1, [1])
        known = {"if-none-match": first.headers["etag"]}
        assert client.get("/prices/1", headers=known).status_code == 304
        head = client.head("/prices/1")
        assert (head.status_code, head.headers["content-length"]) == (200, "1")
        client.put("/prices/1")
        assert client.get("/prices/1").json() == 2


def test_a_client_of_hypercorn_gets_a_stream_by_parts_and_ends_it() -> None:
    cache, gate, has_ended = Cache("memory://"), Gate(is_async=True), threading.Event()
    app = FastAPI(lifespan=cache.lifespan)

    @app.get("/")
    @cache.http(ttl=60)
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncGenerator[str]:
            try:
                yield "first"
                await gate.passed()
                yield "second"
                await trio.sleep_forever()
            finally:
                has_ended.set()

        return StreamingResponse(chunks())

    with served(app) as client:
        with client.stream("GET", "/") as answer:
            assert answer.headers["cache-status"] == "dualcache; fwd=uri-miss; detail=stream"
            parts = answer.iter_text()
            assert next(parts) == "first"
            gate.open()
            assert next(parts) == "second"
        assert has_ended.wait(WAIT_SECONDS)


def route(app: Any, **options: Any) -> Any:
    """Put a bare application behind HTTP mode; return a function that sends it a GET."""
    cache = Cache("memory://")
    http = AsgiHttp(cache, cache._runtime, policy(**options), "route")

    async def get() -> list[dict[str, Any]]:
        came: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            came.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await http.serve(app, scope, trio.sleep_forever, send)
        return came

    return get


@pytest.mark.parametrize("messages", [[], [START, {**BODY, "more_body": True}], [START, BODY]])
def test_a_cancelled_request_ends_its_application_before_it_ends(messages: list[Any]) -> None:
    steps: list[str] = []
    is_there = trio.Event()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        try:
            for message in messages:
                await send(message)
            is_there.set()
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()
            steps.append("application")

    get = route(app)

    async def asked() -> None:
        try:
            await get()
        finally:
            steps.append("request")

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asked)
            await is_there.wait()
            nursery.cancel_scope.cancel()
        assert steps == ["application", "request"]

    run(main)


@pytest.mark.parametrize("is_late", [False, True], ids=["instead of a response", "after it"])
def test_an_exception_of_the_application_is_the_servers_and_leaves_nothing(is_late: bool) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        for message in [START, {**BODY, "more_body": True}] if is_late else []:
            await send(message)
        raise ZeroDivisionError

    get = route(app)

    async def main() -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                with pytest.raises(ZeroDivisionError):
                    await get()
            await trio.lowlevel.checkpoint()
            # By type: a proxy among them would be resolved by isinstance().
            assert sum(type(each) is Recorder for each in gc.get_objects()) == 0
        finally:
            gc.enable()

    run(main)
