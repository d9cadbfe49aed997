"""How a decorated endpoint of Starlette or FastAPI comes to stand behind HTTP mode.

Neither is imported before the program does it.

- Starlette calls an endpoint with its request and runs what it returns as an application, so the
  decorated endpoint returns one that answers from the cache.
- FastAPI solves dependencies before it calls an endpoint. So its route's `handle` is wrapped: by
  `cache.lifespan`, or by the first request, which then goes through the route once more. Before
  either, nothing of ours runs, so FastAPI itself answers a HEAD: with 405, for a route of GET only.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from functools import cache, partial, wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from dualcache.drivers.forking import renew_in_children
from dualcache.errors import UsageError
from dualcache.frameworks.routes import layers
from dualcache.http.advice import warn_of_tasks
from dualcache.http.applications import routes_within
from dualcache.http.asgi import MARK, AsgiHttp
from dualcache.http.decisions import SAFE_METHODS

if TYPE_CHECKING:
    from dualcache.http.recorder import Application, Receive, Recorder, Scope, Send

__all__ = ["decorated_endpoint", "wrap_routes"]

HTTP: Final = "__dualcache_http__"
CALL: Final = "dualcache_call"
"""The parameter by which FastAPI hands over the request and its background tasks."""


def decorated_endpoint(http: AsgiHttp, function: Any) -> Any:
    """Return the cached form of an endpoint."""
    kind = type(function).__name__
    if not inspect.isfunction(function):
        raise UsageError(
            f"cache.http() was given a {kind} instead of a function",
            code="DC435",
            help="decorate the endpoint, below the route's decorator",
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"cache.http() was given {function.__qualname__}, which streams its response",
            code="DC435",
            help="leave the decorator out: a stream is never stored",
        )
    endpoint = Endpoint(http, function)

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return endpoint.call(args, kwargs)

    @wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        return await endpoint.call_async(args, kwargs)

    answered: Any = awaited if inspect.iscoroutinefunction(function) else called
    setattr(answered, HTTP, http)
    signature = _signature_for_fastapi(function)
    if signature is not None:
        answered.__signature__ = signature
    return answered


class Endpoint:
    """The calls of one decorated function."""

    def __init__(self, http: AsgiHttp, function: Any) -> None:
        self._http = http
        self._function = function
        self._has_warned = False

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of a coroutine function."""
        scope, tasks = _taken(args, kwargs)
        instead = self._instead(scope, args, kwargs)
        if instead is not None:
            return instead
        result = await self._function(*args, **kwargs)
        if self._note(scope, tasks, result):
            await self._http.cache.aio.invalidate(tags=self._http.changed_by(scope))
        return result

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of a plain function."""
        scope, tasks = _taken(args, kwargs)
        instead = self._instead(scope, args, kwargs)
        if instead is not None:
            return instead
        result = self._function(*args, **kwargs)
        if self._note(scope, tasks, result):
            self._http.cache.invalidate(tags=self._http.changed_by(scope))
        return result

    def _instead(self, scope: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the application that answers a request which nobody handles yet."""
        if scope is None or self._recorder_in(scope) is not None:
            return None
        is_fastapi = not _has_request(args)
        if is_fastapi and scope["method"] not in SAFE_METHODS:
            return None  # its body has been read: it cannot go through its route once more
        if not is_fastapi:
            return partial(self._http.serve, self._plain(args, kwargs))
        route = scope.get("route")
        if not _is_wrapped(route) and not _wrap(route):
            return None
        return _answering()(route.handle)

    def _plain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Application:
        """Return the application that Starlette makes of the function itself."""
        at = next(at for at, value in enumerate(args) if _has_request((value,)))
        function, before, after = self._function, args[:at], args[at + 1 :]

        async def run_async(request: Any) -> Any:
            return self._noted(request, await function(*before, request, *after, **kwargs))

        def run(request: Any) -> Any:
            return self._noted(request, function(*before, request, *after, **kwargs))

        is_async = inspect.iscoroutinefunction(function)
        app: Application = sys.modules["starlette.routing"].request_response(
            run_async if is_async else run
        )
        return app

    def _noted(self, request: Any, result: Any) -> Any:
        self._note(request.scope, None, result)
        return result

    def _note(self, scope: Any, tasks: Any, result: Any) -> bool:
        """Note tasks that run after the response; tell whether this call has to invalidate."""
        if scope is None:
            return False
        handled = self._recorder_in(scope)
        if handled is None:
            status = getattr(result, "status_code", 200)
            return scope["method"] not in SAFE_METHODS and status < 400
        recorder = handled[1]
        if recorder is not None:
            in_response = getattr(result, "background", None) is not None
            recorder.has_background = in_response or bool(getattr(tasks, "tasks", None))
            if recorder.has_background and not self._has_warned:
                self._has_warned = True
                warn_of_tasks(self._function)
        return False

    def _recorder_in(self, scope: Any) -> tuple[AsgiHttp, Recorder | None] | None:
        """Return who handles a request, if that is this endpoint's own."""
        handled = scope.get(MARK)
        return handled if handled is not None and handled[0] is self._http else None


def wrap_routes(app: Any, owner: Any) -> None:
    """Put every decorated route of an application behind its cache, mounted ones included."""
    for route in routes_within(app):
        endpoint = getattr(route, "endpoint", None)
        http = _http_of(endpoint)
        if http is None:
            _warn_of_route_beneath(route, endpoint, owner)
        elif http.cache is owner and not _is_wrapped(route):
            _wrap(route)


def _wrap(route: Any) -> bool:
    """Wrap the `handle` of FastAPI's route; tell whether it is one."""
    http = _http_of(getattr(route, "endpoint", None))
    if http is None or not hasattr(route, "dependant"):
        return False
    # Plain endpoints run in threads, and two of them may have a route's first requests. In a second
    # wrapper the response of the first would count as private: nothing of it would be stored.
    with _wrapping.lock:
        if not _is_wrapped(route):
            # Of this route alone: an included router makes other objects of it, but all lead here.
            route.handle = _wrapped(route, http)
    return True


class _Wrapping:
    """Its lock is held while a route is wrapped. A forked child begins with a free one."""

    def __init__(self) -> None:
        self.lock = Lock()
        renew_in_children(self)

    def after_fork(self) -> None:
        self.lock = Lock()


_wrapping: Final = _Wrapping()


def _wrapped(route: Any, http: AsgiHttp) -> Application:
    handle = route.handle
    methods: frozenset[str] = frozenset(getattr(route, "methods", None) or ())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in methods:
            await http.serve(handle, scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "HEAD" and "GET" in methods:
            # Starlette's routes for GET have HEAD, FastAPI's refuse it.
            await http.serve_head(handle, scope, receive, send)
        else:
            await handle(scope, receive, send)

    setattr(answer, HTTP, http)
    return answer


def _warn_of_route_beneath(route: Any, endpoint: Any, owner: Any) -> None:
    """Warn of an endpoint that its module has by the same name under `cache.http`."""
    if not inspect.isfunction(endpoint):
        return
    above = endpoint.__globals__.get(endpoint.__name__)
    http = _http_of(above)
    if http is not None and http.cache is owner and endpoint in layers(above):
        code = endpoint.__code__
        warnings.warn_explicit(
            f"[DC413] {getattr(route, 'path', '')} does not use the cache: "
            f"{endpoint.__qualname__} has cache.http above the route's decorator; write it below",
            UserWarning,
            code.co_filename,
            code.co_firstlineno,
        )


def _is_wrapped(route: Any) -> bool:
    return hasattr(getattr(route, "handle", None), HTTP)


def _http_of(endpoint: Any) -> AsgiHttp | None:
    found = (vars(layer).get(HTTP) for layer in layers(endpoint) if hasattr(layer, "__dict__"))
    return next((each for each in found if isinstance(each, AsgiHttp)), None)


def _taken(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Return the scope of a call's request and its background tasks; `None`: called directly."""
    request, tasks = kwargs.pop(CALL, (None, None))
    if request is None:
        request = next((value for value in args if _has_request((value,))), None)
    return None if request is None else request.scope, tasks


def _has_request(values: tuple[Any, ...]) -> bool:
    module = sys.modules.get("starlette.requests")
    return module is not None and any(isinstance(value, module.Request) for value in values)


@cache
def _answering() -> Any:
    """Return the class of a response that has an application answer; FastAPI asks for a class."""
    response: Any = sys.modules["starlette.responses"].Response

    class Answering(response):  # type: ignore[misc]  # not imported before the program does it
        def __init__(self, app: Application) -> None:
            super().__init__()
            self._app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self._app(scope, receive, send)

    return Answering


def _signature_for_fastapi(function: Any) -> inspect.Signature | None:
    """Return the signature by which FastAPI hands over the request and the background tasks."""
    fastapi: Any = sys.modules.get("fastapi")
    if fastapi is None:
        return None

    async def call(request: Any, tasks: Any) -> tuple[Any, Any]:
        return request, tasks

    # By a dependency: FastAPI hands each of the two to one parameter of a function, and the
    # endpoint may have its own. All dependencies of a request share one list of tasks.
    call.__annotations__ = {"request": fastapi.Request, "tasks": fastapi.BackgroundTasks}
    try:
        # Older versions look for the names of annotations where the wrapper is written.
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # noqa: BLE001  a name that is not there yet; FastAPI tells, if it matters
        signature = inspect.signature(function)
    given = list(signature.parameters.values())
    at = len(given) - (bool(given) and given[-1].kind is inspect.Parameter.VAR_KEYWORD)
    own = inspect.Parameter(CALL, inspect.Parameter.KEYWORD_ONLY, default=fastapi.Depends(call))
    return signature.replace(parameters=[*given[:at], own, *given[at:]])
