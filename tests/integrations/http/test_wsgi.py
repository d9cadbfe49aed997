"""What only bare WSGI shows: late heads, `write`, files, `close`, whole applications."""

from __future__ import annotations

import gc
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import flask
import pytest

from dualcache import Cache, KeyTemplateError, UsageError
from dualcache.http.sync_http import _Reading
from dualcache.http.wsgi import _AppExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = ("200 OK", [("Content-Type", "text/plain")])


FILES: dict[str, Any] = {"wsgi.file_wrapper": FileWrapper}


class Server:
    """Calls an application as a server does, and records what it is told."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.head: tuple[Any, ...] = ()
        self.iterable: Any = None

    def get(self, path: str = "/", /, **environ: Any) -> bytes:
        given = {"PATH_INFO": path, "SCRIPT_NAME": "", **environ}
        setup_testing_defaults(given)
        self.iterable = self._app(given, self._start)
        try:
            return b"".join(self.iterable)
        finally:
            if hasattr(self.iterable, "close"):
                self.iterable.close()

    @property
    def status(self) -> str:
        return dict(self.head[1])["Cache-Status"]  # type: ignore[no-any-return]

    def _start(self, *head: Any) -> Callable[[bytes], None]:
        self.head = head
        return lambda _: None


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache("memory://", max_value_bytes=1_000)
    yield made
    made.close()


class Body:
    """An iterable that counts how often it is closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.closed = 0
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_body_is_closed_once_whether_it_is_stored_or_passes(cache: Cache, is_whole: bool) -> None:
    body = Body(b"ab", b"cd")

    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        length = [("Content-Length", "4")] if is_whole else []
        start_response(HEAD[0], [*HEAD[1], *length])
        return body

    server = Server(app)
    assert server.get() == b"abcd"
    assert server.status == f"dualcache; fwd=uri-miss; {'stored' if is_whole else 'detail=stream'}"
    assert body.closed == 1
    assert (server.iterable is body) is not is_whole


def test_an_application_may_begin_with_its_first_chunk_and_may_write(cache: Cache) -> None:
    @cache.http(ttl=60)
    def late(environ: Any, start_response: Any) -> Any:
        yield b""
        write = start_response("200 OK", [("Content-Length", "2")])
        write(b"a")
        yield b"b"

    server = Server(late)
    assert [server.get(), server.get()] == [b"ab", b"ab"]
    assert server.status == "dualcache; hit; ttl=60"


def test_a_late_head_of_a_stream_loses_no_chunk(cache: Cache) -> None:
    @cache.http(ttl=60)
    def late(environ: Any, start_response: Any) -> Any:
        yield b""
        start_response(*HEAD)
        yield b"a"
        yield b"b"

    assert Server(late).get() == b"ab"


@pytest.mark.parametrize("length", [None, "1001"])
def test_a_body_above_the_limit_passes_as_it_is(cache: Cache, length: str | None) -> None:
    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", length)] if length else [])
        return [b"x" * 600, b"y" * 401]

    server = Server(app)
    assert server.get() == b"x" * 600 + b"y" * 401
    assert server.status == "dualcache; fwd=uri-miss; detail=size"


def test_a_file_is_left_to_the_server(cache: Cache, tmp_path: Any) -> None:
    (tmp_path / "file").write_bytes(b"abc")

    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "3")])
        return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))

    server = Server(app)
    assert server.get("/", **FILES) == b"abc"
    assert server.status == "dualcache; fwd=uri-miss; detail=extension"
    assert isinstance(server.iterable, FileWrapper)


def test_an_application_without_a_response_is_told_and_closed(cache: Cache) -> None:
    body = Body(b"a")

    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        return body

    with pytest.raises(RuntimeError, match="without a response"):
        Server(app).get()
    assert body.closed == 1


def test_a_failure_after_the_head_goes_to_the_server(cache: Cache) -> None:
    failure = (ValueError, ValueError(), None)

    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response(*HEAD)
        start_response("404 Gone", [], failure)
        return [b"no"]

    server = Server(app)
    assert server.get() == b"no"
    assert (server.head[0], server.head[2]) == ("404 Gone", failure)


def test_a_status_of_ones_own_is_kept(cache: Cache) -> None:
    @cache.http(ttl=60, statuses=[599])
    def app(environ: Any, start_response: Any) -> Any:
        start_response("599 Own", [])
        return [b"no"]

    server = Server(app)
    assert [server.get(), server.get()] == [b"no", b"no"]
    assert (server.head[0], server.status) == ("599 Unknown", "dualcache; hit; ttl=60")


def test_a_write_invalidates_again_when_its_response_is_closed(cache: Cache) -> None:
    seen: list[int] = []
    body = Body(b"done")

    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response(*HEAD)
        return body if environ["REQUEST_METHOD"] == "POST" else [b"read"]

    server = Server(app)
    cache.on_event(lambda _: seen.append(body.closed))
    server.get(REQUEST_METHOD="POST")
    assert seen == [0, 1]


def test_the_path_is_that_of_the_client(cache: Cache) -> None:
    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response(*HEAD)
        return [b"read"]

    server = Server(app)
    server.get("/Ã¤", SCRIPT_NAME="/shop")  # Latin-1 for the bytes of UTF-8
    assert len([*cache.keys("http:GET:/shop/*")]) == 1
    assert server.get("/Ã¤", SCRIPT_NAME="/shop") == b"read"
    assert server.status == "dualcache; hit; ttl=60"


def test_a_user_that_the_server_has_checked_is_an_identity(cache: Cache) -> None:
    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        start_response(*HEAD)
        return [environ.get("REMOTE_USER", "nobody").encode()]

    server = Server(app)
    assert [server.get(), server.get(REMOTE_USER="ada")] == [b"nobody", b"ada"]
    assert server.status == "dualcache; fwd=bypass; detail=authorization"
    own = Server(cache.http(ttl=60, vary=["authorization"], key="own")(app))
    users = ["ada", "eve", "ada"]
    assert [own.get(REMOTE_USER=user) for user in users] == [b"ada", b"eve", b"ada"]


def test_a_whole_application_of_flask_is_behind_it(cache: Cache) -> None:
    app, runs = flask.Flask(__name__), []

    @app.before_request
    def before() -> None:
        runs.append(flask.request.path)

    @app.route("/<path:path>", methods=["GET", "POST"])
    def read(path: str) -> str:
        return path

    app.wsgi_app = cache.http(ttl=60)(app.wsgi_app)  # type: ignore[method-assign]
    client = app.test_client()
    assert [client.get(path).text for path in ("/a", "/a", "/b")] == ["a", "a", "b"]
    assert runs == ["/a", "/b"]
    client.post("/a")
    assert client.get("/a").headers["cache-status"] == "dualcache; fwd=uri-miss; stored"


def test_a_view_within_an_application_that_loads_is_stored_once(cache: Cache) -> None:
    app, runs = flask.Flask(__name__), []

    @app.route("/", methods=["GET", "PUT"])
    @cache.http(ttl=60, invalidates=["/other"])
    def read() -> list[int]:
        runs.append(flask.request.method)
        return [len(runs)]

    app.wsgi_app = cache.http(ttl=60, vary=["cookie"])(app.wsgi_app)  # type: ignore[method-assign]
    client = app.test_client()
    answers = [client.get("/") for _ in range(2)]
    assert [answer.json for answer in answers] == [[1], [1]]
    told = [answer.headers.getlist("cache-status") for answer in answers]
    assert told == [["dualcache; fwd=uri-miss; stored"], ["dualcache; hit; ttl=60"]]
    changed = client.put("/", headers={"Range": "x"}).headers.getlist("cache-status")
    assert changed == ["dualcache; fwd=method"] * 2
    assert client.get("/").json == [3]


@pytest.mark.parametrize("raises", [True, False])
def test_an_exception_and_a_failure_leave_nothing_behind(cache: Cache, raises: bool) -> None:
    @cache.http(ttl=60)
    def app(environ: Any, start_response: Any) -> Any:
        if raises:
            raise KeyError
        start_response("503 Down", HEAD[1])
        return [b"down"]

    def failing() -> int:
        server = Server(app)
        for _ in range(3):
            with pytest.raises(KeyError) if raises else nullcontext():
                server.get()
        del server
        # By type: a proxy among them would be resolved by isinstance().
        return sum(type(each) in (_Reading, _AppExchange) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        assert failing() == 0
    finally:
        gc.enable()


def test_templates_of_an_application_have_no_parameters(cache: Cache) -> None:
    def app(environ: Any, start_response: Any) -> Any: ...

    refused: tuple[Any, ...] = ({"key": "{a}"}, {"tags": ["{a}"]}, {"invalidates": ["/{a}"]})
    for options in refused:
        with pytest.raises(UsageError) as caught:
            cache.http(**options)(app)
        assert caught.value.code == "DC460"
        assert not isinstance(caught.value, KeyTemplateError)
    cache.http(key="all", tags=["pages"])(app)
