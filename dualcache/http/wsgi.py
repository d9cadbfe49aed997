"""HTTP mode around a WSGI application as a whole (PEP 3333)."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dualcache.errors import UsageError
from dualcache.http.answers import passed_fields
from dualcache.http.application import has_parameters
from dualcache.http.fields import field
from dualcache.http.requests import HttpRequest
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from dualcache.http.answers import Answer
    from dualcache.http.cache_status import CacheStatus
    from dualcache.http.fields import Fields
    from dualcache.http.policy import HttpPolicy
    from dualcache.http.sync_http import SyncHttp

__all__ = [
    "MARK",
    "as_text",
    "environ_again",
    "is_wsgi_application",
    "request_of",
    "wsgi_application",
]

Environ: TypeAlias = "dict[str, Any]"
WsgiApplication: TypeAlias = "Callable[[Environ, Callable[..., Any]], Iterable[bytes]]"

MARK: Final = "dualcache.http"
"""The place in an environment that tells whether an application around this one loads."""
PARAMETERS: Final = ("environ", "start_response")
CONTENT: Final = {"CONTENT_TYPE": b"content-type", "CONTENT_LENGTH": b"content-length"}
"""Fields of a request that have no `HTTP_` before their names."""


def is_wsgi_application(given: object) -> bool:
    """Tell an application from a view, by the names that PEP 3333 gives its parameters."""
    return has_parameters(given, PARAMETERS)


def wsgi_application(http: SyncHttp, app: WsgiApplication) -> WsgiApplication:
    """Return the application that answers from the cache, or by `app`."""
    _refuse_parameters(http.policy)

    def answer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get(MARK):
            return app(environ, start_response)
        return http.serve(_AppExchange(app, environ, start_response))

    return answer


def request_of(
    environ: Environ, given: Callable[[], Any], values: Any = None, template: str = ""
) -> HttpRequest:
    """Return the parts of a WSGI environment that the rules look at."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return HttpRequest(
        environ["REQUEST_METHOD"],
        path.encode("latin-1").decode("utf-8", "replace") or "/",
        environ.get("QUERY_STRING", "").encode("latin-1"),
        [*_fields_of(environ)],
        {} if values is None else values,
        given,
        template,
    )


def as_text(fields: Fields) -> list[tuple[str, str]]:
    """Return header fields as WSGI has them; names as they are mostly written."""
    return [(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in fields]


def environ_again(environ: Environ) -> Environ:
    """Return an environment for the same GET once more, whose client waits for nothing."""
    return {**environ, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"}


def _fields_of(environ: Environ) -> Iterator[tuple[bytes, bytes]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").lower().encode("latin-1"), value.encode("latin-1")
        elif name in CONTENT and value:
            yield CONTENT[name], value.encode("latin-1")
    user = environ.get("REMOTE_USER")
    if user and not environ.get("HTTP_AUTHORIZATION"):
        # A server that checks who asks may keep the field itself, as mod_wsgi does.
        yield b"authorization", str(user).encode("utf-8", "surrogatepass")


class _AppExchange:
    """One request to an application."""

    def __init__(
        self, app: WsgiApplication, environ: Environ, start_response: Callable[..., Any]
    ) -> None:
        self.request = request_of(environ, lambda: environ)
        self._app = app
        self._environ = environ
        self._start_response = start_response

    def run(self, *, is_load: bool = False) -> _Begun:
        self._environ[MARK] = is_load
        return _Begun(self._app, self._environ, self._start_response)

    @contextmanager
    def run_again(self) -> Generator[_Begun]:
        environ = {**environ_again(self._environ), MARK: True}
        made = _Begun(self._app, environ, self._start_response)
        try:
            yield made
        finally:
            made.close()

    def answered(self, answer: Answer) -> Iterable[bytes]:
        self._start_response(_line_of(answer.status), as_text(answer.fields))
        return [answer.body]


class _Begun:
    """A response of an application: its head, and as much of its body as came before that."""

    def __init__(
        self, app: WsgiApplication, environ: Environ, start_response: Callable[..., Any]
    ) -> None:
        self.reason = ""
        self._start_response = start_response
        self._head: list[Any] = []
        self._first: list[bytes] = []
        self._iterable = app(environ, self._start)
        self._is_closed = False
        try:
            self._rest = iter(self._iterable)
            while not self._head:  # an application may begin as late as with its first chunk
                self._first.append(self._next())
        except BaseException:
            self.close()
            raise
        self.status = int(self._head[0].partition(" ")[0])
        self.fields: Fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in self._head[1]
        ]
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(self._iterable, wrapper):
            self.reason = "extension"

    def body(self, most: int) -> bytes | str:
        """Read the body, if it is whole: its length is known beforehand."""
        length = field(self.fields, b"content-length")
        if not length.isdecimal():
            if not isinstance(self._iterable, list | tuple):
                return "stream"
        elif int(length) > most:
            return "size"
        size = sum(map(len, self._first))
        for chunk in self._rest:
            self._first.append(chunk)
            size += len(chunk)
            if size > most:
                return "size"
        return b"".join(self._first)

    def passed(
        self, status: CacheStatus, at_end: Callable[[], object] | None = None
    ) -> Iterable[bytes]:
        line, headers, *failed = self._head
        told = as_text(passed_fields([], status))
        self._start_response(line, [*headers, *told], *failed)
        if at_end is None and not self._first:
            return self._iterable  # which may be of a kind that the server knows, as a file
        return _Rest(self, chain(self._first, self._rest), at_end)

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None and not self._is_closed:
            self._is_closed = True
            close()

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        self._head = [status, headers] if exc_info is None else [status, headers, exc_info]
        return self._first.append

    def _next(self) -> bytes:
        try:
            return next(self._rest)
        except StopIteration:
            raise RuntimeError("the application returned without a response") from None


class _Rest:
    """The chunks of a response that passes, as a server takes them."""

    def __init__(
        self, begun: _Begun, chunks: Iterator[bytes], at_end: Callable[[], object] | None
    ) -> None:
        self._begun = begun
        self._chunks = chunks
        self._at_end = at_end

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        try:
            self._begun.close()
        finally:
            if self._at_end is not None:
                self._at_end()


def _refuse_parameters(policy: HttpPolicy) -> None:
    """Refuse templates of path parameters, which an application as a whole has not."""
    for template in (policy.key or "", *policy.tags, *policy.invalidates):
        if template and parse_template(template, owner="cache.http()").names:
            raise UsageError(
                f"cache.http() around an application has the template {template!r}",
                code="DC460",
                details=[("why", "the path of a whole application has no parameters")],
                help="write key=, or vary=, as a function of the WSGI environment, or decorate the "
                "views",
            )


def _line_of(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:  # a status of nobody's
        return f"{status} Unknown"
