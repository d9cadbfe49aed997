"""One application three times: as routes of Starlette, as views of Flask, and as bare WSGI."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import flask
import httpx
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from dualcache import Cache
from tests.bodies import WAIT_SECONDS
from tests.endpoints.conftest import Stage
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

METHODS: Final = ("GET", "POST", "DELETE")


class Reply(NamedTuple):
    """What a body says, in any framework; a length is sent with it."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = {}  # noqa: RUF012  nobody changes it


Body: TypeAlias = "Callable[[str], Reply]"
"""From the method of a request to the reply."""


class Door(Stage):
    """An application behind HTTP mode, and its client; the test moves the clock of the cache."""

    def __init__(self, url: str, **options: Any) -> None:
        self.now = 1_000_000.0
        made = Cache(patient(url), clock=lambda: self.now, **options)
        super().__init__(made, is_async=False)
        self._threads = ThreadPoolExecutor(12)
        self._client: httpx.Client | None = None

    def route(self, path: str, **options: Any) -> Callable[[Body], Body]:
        """Put a body behind HTTP mode, under a path."""

        def add(body: Body) -> Body:
            self.add(path, options, body)
            return body

        return add

    def add(self, path: str, options: dict[str, Any], body: Body) -> None:
        raise NotImplementedError

    def transport(self) -> httpx.BaseTransport:
        raise NotImplementedError

    def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        if self._client is None:
            self._client = httpx.Client(
                transport=self.transport(), base_url="http://test", cookies=_forgetful()
            )
        return self._client.request(method, path, **options)

    def start(self, method: str, path: str, **options: Any) -> Future[httpx.Response]:
        """Send a request and do not wait for its answer."""
        return self._threads.submit(self.send, method, path, **options)

    def get(self, path: str, **options: Any) -> str:
        return self.send("GET", path, **options).text

    def close(self) -> None:
        for gate in self._gates:
            gate.open()
        self._threads.shutdown()
        if self._client is not None:
            self._client.close()
        super().close()


def _forgetful() -> CookieJar:
    """Return a jar that keeps no cookie."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class StarletteDoor(Door):
    """Routes of Starlette."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._routes: list[Route] = []

    def add(self, path: str, options: dict[str, Any], body: Body) -> None:
        @self.cache.http(**options)
        def endpoint(request: Any) -> Response:
            reply = body(request.method)
            return Response(reply.text, reply.status, reply.headers)

        self._routes.append(Route(path, endpoint, methods=list(METHODS)))

    def transport(self) -> httpx.BaseTransport:
        site = self.site(Starlette(routes=self._routes))
        site._client.cookies = _forgetful()  # it takes a jar, too
        return _OfSite(site)


class _OfSite(httpx.BaseTransport):
    """Sends to an application in the loop of another thread."""

    def __init__(self, site: Any) -> None:
        self._site = site

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        headers = {name: value for name, value in request.headers.items() if name != "host"}
        sent = self._site.start(request.method, path, headers=headers)
        answer: httpx.Response = sent.result(WAIT_SECONDS)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


class FlaskDoor(Door):
    """Views of Flask."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._app = flask.Flask(__name__)
        self._app.testing = True

    def add(self, path: str, options: dict[str, Any], body: Body) -> None:
        @self.cache.http(**options)
        def view() -> flask.Response:
            reply = body(flask.request.method)
            return flask.Response(reply.text, reply.status, reply.headers)

        self._app.add_url_rule(path, path, view, methods=METHODS)

    def transport(self) -> httpx.BaseTransport:
        return httpx.WSGITransport(self._app)


class WsgiDoor(Door):
    """An application for each path."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self._apps: dict[str, Any] = {}

    def add(self, path: str, options: dict[str, Any], body: Body) -> None:
        @self.cache.http(**options)
        def application(environ: Any, start_response: Any) -> Any:
            reply = body(environ["REQUEST_METHOD"])
            content = reply.text.encode()
            headers = {"Content-Length": str(len(content)), **reply.headers}
            start_response(f"{reply.status} Said", list(headers.items()))
            yield content

        self._apps[path] = application

    def transport(self) -> httpx.BaseTransport:
        return httpx.WSGITransport(self._app)

    def _app(self, environ: Any, start_response: Any) -> Any:
        return self._apps[environ["PATH_INFO"]](environ, start_response)


DOORS: Final[tuple[type[Door], ...]] = (StarletteDoor, FlaskDoor, WsgiDoor)
