"""How a decorated view of Flask comes to stand behind HTTP mode.

What is kept is the response that Flask makes of the view's result, or of its exception. Functions
before and after a request run on a hit as well: they may check who asks.

Flask is not imported before the program does it.
"""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from dualcache.frameworks.flask_context import origins
from dualcache.frameworks.routes import VERBS, layers
from dualcache.http.advice import warn_of_tasks
from dualcache.http.answers import passed_fields
from dualcache.http.wsgi import MARK, as_text, environ_again, request_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dualcache.http.answers import Answer
    from dualcache.http.cache_status import CacheStatus
    from dualcache.http.fields import Fields
    from dualcache.http.sync_http import SyncHttp
    from dualcache.keys.signature import FunctionSignature

__all__ = ["view_or_endpoint"]


def view_or_endpoint(
    http: SyncHttp, signature: FunctionSignature, endpoint: Any
) -> Callable[..., Any]:
    """Return a function that answers requests of Flask, and leaves all other calls to `endpoint`.

    `endpoint` is the function as it is decorated for ASGI.
    """
    function: Any = signature.function
    view = _View(http, function)

    @wraps(endpoint)
    def called(*args: Any, **kwargs: Any) -> Any:
        if view.is_asked():
            return view.answer(args, kwargs)
        return endpoint(*args, **kwargs)

    @wraps(endpoint)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if not view.is_asked():
            return await endpoint(*args, **kwargs)
        from asgiref.sync import sync_to_async  # a part of Flask's extra for coroutines

        # In the thread that waits for this loop: the loop lives as long as this request, and so
        # would connections of its own.
        return await sync_to_async(view.answer)(args, kwargs)

    is_async = inspect.iscoroutinefunction(function)
    # As a plain function Flask needs no event loop to call it: a hit starts none.
    return awaited if is_async and not _is_of_flask_alone(signature) else called


def _is_of_flask_alone(signature: FunctionSignature) -> bool:
    """Tell whether a function's module has something of Flask, and nothing of those with loops."""
    return {"flask", "quart", "starlette", "fastapi"} & origins(signature) == {"flask"}


class _View:
    """The requests for one decorated view."""

    def __init__(self, http: SyncHttp, function: Any) -> None:
        self.function = function
        self._http = http
        self._has_warned = False

    def is_asked(self) -> bool:
        """Tell whether Flask calls the view for its request, and this has to answer.

        Not if another view calls it as a function, nor within the load of the whole application.
        """
        flask: Any = sys.modules.get("flask")
        if flask is None or not flask.has_request_context():
            return False
        if flask.request.environ.get(MARK):
            return False
        view = flask.current_app.view_functions.get(flask.request.endpoint)
        kind = getattr(view, "view_class", None)
        names = () if kind is None else (*VERBS, "dispatch_request")
        handlers = (view, *(getattr(kind, name, None) for name in names))
        return any(layer is self.function for each in handlers for layer in layers(each))

    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the response to the current request."""
        return self._http.serve(_ViewExchange(self, args, kwargs))

    def warn(self) -> None:
        """Warn, once, of what responses leave to be done after them."""
        if not self._has_warned:
            self._has_warned = True
            warn_of_tasks(self.function)


class _ViewExchange:
    """One request for a view."""

    def __init__(self, view: _View, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._view = view
        self._args = args
        self._kwargs = kwargs
        self._flask: Any = sys.modules["flask"]
        self._app = self._flask.current_app._get_current_object()  # noqa: SLF001  Werkzeug's way
        request = self._flask.request._get_current_object()  # noqa: SLF001  the same
        self._environ = request.environ
        self.request = request_of(
            request.environ, lambda: request, request.view_args, str(request.url_rule)
        )

    def run(self, *, is_load: bool = False) -> _Response:  # noqa: ARG002  for applications
        view, context = self._view, self._flask.globals.request_ctx
        before = len(_later(context))
        try:
            value = self._app.ensure_sync(view.function)(*self._args, **self._kwargs)
        except Exception as error:  # noqa: BLE001  it is raised again where nothing handles it
            value = self._app.handle_user_exception(error)
        response = self._app.make_response(value)
        has_tasks = bool(getattr(response, "_on_close", ())) or len(_later(context)) > before
        if has_tasks:
            view.warn()
        return _Response(response, _session_of(context), has_tasks=has_tasks)

    @contextmanager
    def run_again(self) -> Generator[_Response]:
        with self._app.request_context(environ_again(self._environ)):
            early = self._app.preprocess_request()
            if early is None:
                yield self.run()
            else:  # the view was not asked
                yield _Response(self._app.make_response(early), None, has_tasks=True)

    def answered(self, answer: Answer) -> Any:
        # A list: of bytes the response would write its own Content-Length, also for a HEAD.
        return self._app.response_class([answer.body], answer.status, as_text(answer.fields))


class _Response:
    """A response of Flask, before it is sent."""

    def __init__(self, response: Any, session: Any, *, has_tasks: bool) -> None:
        self.status: int = response.status_code
        self.fields: Fields = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers
        ]
        self.reason = "background" if has_tasks else ""
        self._response = response
        # Both fields come after the view; they count for what is decided, and are not stored.
        if session is not None and session.modified:
            self.fields.append((b"set-cookie", b"session"))
        elif session is not None and session.accessed:
            self.fields.append((b"vary", b"Cookie"))

    def body(self, most: int) -> bytes | str:
        """Return the body; a stream and a file are not read."""
        length = self._response.content_length
        if self._response.direct_passthrough or (length is None and self._response.is_streamed):
            return "stream"
        if length is not None and length > most:
            return "size"
        data: bytes = self._response.get_data()
        return "size" if len(data) > most else data

    def passed(self, status: CacheStatus, at_end: Callable[[], object] | None = None) -> Any:
        """Return the response as the view made it."""
        for name, value in as_text(passed_fields([], status)):
            self._response.headers.add(name, value)
        if at_end is not None:
            self._response.call_on_close(at_end)
        return self._response

    def close(self) -> None:
        self._response.close()


def _later(context: Any) -> list[Any]:
    """Return the functions of `after_this_request`."""
    found: list[Any] = context._after_request_functions  # noqa: SLF001  there is no other way
    return found


def _session_of(context: Any) -> Any:
    """Return the session; since 3.1.3 a look at `session` itself counts as an access."""
    return context._session if hasattr(context, "_session") else context.session  # noqa: SLF001
