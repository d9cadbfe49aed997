"""`Dashboard`: paths, and what answers them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from dualcache import BackendError, Cache, DualCacheError, UsageError, __version__
from dualcache.dashboard.access import Access, token_for, with_token
from dualcache.dashboard.answers import FILES, document, guarded, page_file, text_of
from dualcache.dashboard.explorer import Query, found, value_text
from dualcache.dashboard.figures import FleetFigures, ServerFigures, overview
from dualcache.dashboard.sampling import Line, Sampler
from dualcache.doctor import examine
from dualcache.inspection.settings import Origin, values_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from typing import Self

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from dualcache.dashboard.access import Auth

EVERY_SECONDS: Final = 2.0
STREAM_SECONDS: Final = 20.0
"""How long a stream lasts. The browser opens the next one; a server that ends waits no longer."""
MOST_BYTES: Final = 100_000
"""The longest body of a request."""


class Dashboard:
    """An ASGI application that shows a cache: `app.mount("/cache", Dashboard(cache, auth=…))`.

    `auth(request)` returns whether a request may see it, or a response to send instead; it may be a
    coroutine function. Without it only this machine may. `can_write` shows buttons that invalidate;
    it may be a function as `auth` is. `show_values` lets people look at values. `follows`: the
    event list gets changes by other processes, from `tell`. Nothing runs before the first request.
    Then a thread reads the counters every `every` seconds, until `close()`.
    """

    def __init__(
        self,
        cache: Cache,
        auth: Auth | None = None,
        can_write: bool | Auth = False,
        *,
        show_values: bool = False,
        every: float = EVERY_SECONDS,
        stream_seconds: float = STREAM_SECONDS,
        origin: Origin | None = None,
        follows: bool = False,
    ) -> None:
        self._cache = cache
        self._access = Access(auth, can_write)
        self._show_values = show_values
        self._every = every
        self._stream_seconds = stream_seconds
        self._origin = origin or Origin()
        self._follows = follows
        self._sampler = Sampler(cache, every)
        self._servers = ServerFigures(cache)
        self._fleet = FleetFigures(cache)
        self._app = Starlette(routes=self._routes(), lifespan=self._lifespan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer: Any = await self._access.refusal(Request(scope, receive)) or self._app
        if answer is self._app:
            self.start()
        await answer(scope, receive, guarded(send))

    def start(self) -> None:
        """Begin to sample now, and not at the first request: the lines begin here."""
        self._sampler.start()

    def sample(self) -> None:
        """Read the counters now, as the thread does by itself."""
        self._sampler.take()

    @property
    def is_watched(self) -> bool:
        """Whether a page was open until a moment ago."""
        return self._sampler.is_watched

    def tell(self, name: str, about: str, **fields: str) -> None:
        """Put a line into the event list, for a change by another process."""
        self._sampler.put(Line(name, about, fields))

    def close(self) -> None:
        """End the thread that samples, and the open streams; the next request begins anew."""
        self._sampler.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @asynccontextmanager
    async def _lifespan(self, _: object) -> AsyncGenerator[None]:
        with self:
            yield

    def _routes(self) -> list[Route]:
        def shown(path: str) -> Callable[[Request], Response]:
            return lambda _: page_file(path)

        return [
            *(Route(f"/{path}", shown(path)) for path in FILES),
            Route("/api/session", self._session),
            Route("/api/overview", self._overview),
            Route("/api/stream", self._stream),
            Route("/api/keys", self._keys),
            Route("/api/value", self._value),
            Route("/api/config", self._config),
            Route("/api/doctor", self._doctor),
            Route("/api/invalidate", self._invalidate, methods=["POST"]),
            Route("/api/expire", self._expire, methods=["POST"]),
        ]

    # What is shown. Each runs in a thread: the sync face waits for the server there.

    async def _session(self, request: Request) -> Response:
        token = token_for(request)
        told = {
            "token": token,
            "can_write": await self._access.may_write(request),
            "show_values": self._show_values,
            "version": __version__,
            "namespace": self._cache.namespace,
            "follows": self._follows,
        }
        return with_token(document(told), request, token)

    def _overview(self, _: Request) -> Response:
        return document(self._figures())

    def _figures(self) -> dict[str, Any]:
        self._sampler.shown()
        return overview(self._cache, self._sampler, self._servers, self._fleet)

    def _stream(self, _: Request) -> Response:
        return StreamingResponse(self._messages(), media_type="text/event-stream")

    async def _messages(self) -> AsyncGenerator[str]:
        """Send all of the first page each time: a viewer that misses one has missed nothing."""
        until = monotonic() + self._stream_seconds
        yield "retry: 1000\n\n"
        while monotonic() < until and self._sampler.is_running:
            told = await run_in_threadpool(self._figures)
            yield f"data: {text_of(told)}\n\n"
            await anyio.sleep(self._every)

    def _keys(self, request: Request) -> Response:
        asked = {name: request.query_params.get(name, "").strip() for name in Query._fields}
        return answered(lambda: found(self._cache, Query(**asked)))

    def _value(self, request: Request) -> Response:
        if not self._show_values:
            return document({"error": "values are not shown: give show_values=True"}, 403)
        key = request.query_params.get("key", "")
        return answered(lambda: {"key": key, "value": value_text(self._cache, key)})

    def _config(self, _: Request) -> Response:
        return document([row._asdict() for row in values_of(self._cache, self._origin)])

    def _doctor(self, _: Request) -> Response:
        found = examine(self._cache, origin=self._origin.of_url)
        return answered(lambda: [{**one._asdict(), "level": one.level.value} for one in found])

    # What is changed

    async def _invalidate(self, request: Request) -> Response:
        return await self._changed(
            request, lambda keys, tags: self._cache.invalidate(*keys, tags=tags)
        )

    async def _expire(self, request: Request) -> Response:
        return await self._changed(request, lambda keys, _: self._cache.expire(*keys))

    async def _changed(
        self, request: Request, change: Callable[[list[str], list[str]], Any]
    ) -> Response:
        if refusal := await self._access.write_refusal(request):
            return refusal
        asked = await names_in(request)
        if asked is None:
            return document({"error": 'the body is {"keys": […], "tags": […]}'}, 400)

        def performed() -> dict[str, int]:
            done = change(*asked)
            return {name: getattr(done, name) for name in ("removed", "expired", "pending", "tags")}

        return await run_in_threadpool(answered, performed)


def answered(work: Callable[[], Any]) -> Response:
    """Return the result of a function as JSON, or the error that it raises."""
    try:
        return document(work())
    except BackendError as error:
        return document({"error": error.what}, 503)
    except (UsageError, DualCacheError) as error:
        return document({"error": error.what, "help": error.help}, 400)


async def names_in(request: Request) -> tuple[list[str], list[str]] | None:
    """Read the keys and tags of a change; `None`: the body says something else."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    if int(request.headers.get("content-length", MOST_BYTES + 1)) > MOST_BYTES:
        return None
    try:
        asked: Any = await request.json()
    except ValueError:
        return None
    if not isinstance(asked, dict):
        return None
    keys, tags = asked.get("keys", []), asked.get("tags", [])
    is_right = all(isinstance(each, list) and all(isinstance(one, str) for one in each)
                   for each in (keys, tags))  # fmt: skip
    return (keys, tags) if is_right and (keys or tags) else None
