"""The role of an endpoint's parameter: the request, a framework's object, or part of the key.

Frameworks are known by the names of their modules and classes, and by what their objects can do;
none is imported here, nor has to be installed.
"""

from __future__ import annotations

from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

from dualcache.frameworks.flask_context import serving
from dualcache.keys.annotations import bare, is_keyable_annotation
from dualcache.keys.classes import field_names
from dualcache.keys.signature import ABSENT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

__all__ = [
    "REQUESTS",
    "ParameterRole",
    "fits",
    "has_type",
    "is_left_out",
    "is_named_request",
    "is_request",
    "is_request_type",
    "is_response",
    "members",
    "method_of",
    "request_of",
    "role_of",
    "takes_tasks",
]


class ParameterRole(Enum):
    """The role of a parameter, as far as its annotation tells."""

    REQUEST = "request"
    RESPONSE = "response"
    LEFT_OUT = "left out"
    KEYABLE = "keyable"
    REFUSED = "refused"
    OPEN = "open"
    """Not told by the annotation: each value is looked at."""


WEB: Final = frozenset(
    {"starlette", "fastapi", "flask", "werkzeug", "quart", "litestar", "django", "sanic", "aiohttp"}
)
WEB_CLASSES: Final = frozenset(
    {"Request", "HttpRequest", "HTTPConnection", "WebSocket", "BackgroundTask", "BackgroundTasks"}
)
REDIS_CLASSES: Final = frozenset({"Redis", "RedisCluster", "Pipeline", "Valkey"})
CONNECTIONS: Final = frozenset(
    {"Connection", "AsyncConnection", "ConnectionPool", "AsyncConnectionPool", "Pool"}
)
CLIENTS: Final = frozenset({"Client", "AsyncClient", "Session"})
SESSIONS: Final = frozenset(
    {"Session", "AsyncSession", "scoped_session", "async_scoped_session", "Engine", "AsyncEngine"}
    | {"sessionmaker", "async_sessionmaker", "Connection", "AsyncConnection"}
)
SERVICES: Final = {
    **dict.fromkeys(WEB, WEB_CLASSES),
    **dict.fromkeys(("redis", "valkey"), REDIS_CLASSES),
    **dict.fromkeys(("sqlite3", "aiosqlite", "asyncpg"), CONNECTIONS),
    **dict.fromkeys(("psycopg", "psycopg2", "psycopg_pool"), CONNECTIONS),
    **dict.fromkeys(("httpx", "requests"), CLIENTS),
    "sqlalchemy": SESSIONS,
    "dualcache": frozenset({"Cache", "AsyncCache"}),
}
"""Classes, by the package they come from, whose objects never tell one answer from another."""
RESPONSES: Final = frozenset({"Response", "HttpResponseBase", "StreamResponse", "HTTPResponse"})
BACKGROUND: Final = frozenset({"BackgroundTask", "BackgroundTasks"})
REQUESTS: Final = frozenset({"Request", "HttpRequest"})
REQUEST_PARTS: Final = ("method", "url", "headers")
SERVICE_PARTS: Final = (
    ("execute", "commit", "rollback"),
    ("execute_command", "pipeline"),
    ("add_task", "tasks"),
)
"""Methods by which a session, a Redis client or a list of background tasks is recognised."""


def role_of(name: str, hint: Any) -> ParameterRole:
    """Decide the role of a parameter by its name and its resolved annotation (or `ABSENT`)."""
    if hint is ABSENT:
        return ParameterRole.OPEN
    kinds = [kind for kind in members(hint) if kind is not NoneType]
    roles = {_role_of_class(kind) for kind in kinds}
    if len(roles) == 1 and (role := roles.pop()) is not None:
        return role
    verdict = is_keyable_annotation(hint)
    if verdict is True:
        return ParameterRole.KEYABLE
    if verdict is None:
        return ParameterRole.OPEN
    names = {getattr(kind, "__name__", "") for kind in kinds}
    is_named_so = name == "request" or any(each.endswith("Request") for each in names)
    return ParameterRole.REQUEST if is_named_so else ParameterRole.REFUSED


def is_request(value: object) -> bool:
    """Tell whether an object holds a request: method, url and headers."""
    # The class first: to make the url of a request may fail, where its query is no UTF-8.
    kind = type(value)
    return all(hasattr(kind, part) or hasattr(value, part) for part in REQUEST_PARTS)


def is_request_type(hint: Any) -> bool:
    """Tell whether an annotation is that of a request, whatever its parameter is called."""
    return any(_role_of_class(kind) is ParameterRole.REQUEST for kind in members(hint))


def is_response(value: object) -> bool:
    """Tell whether an object is a response of a web framework."""
    return _is_named(type(value), RESPONSES)


def is_named_request(name: str) -> bool:
    """Tell whether a parameter without annotation is called as a request is."""
    return "req" in name.lower().split("_")[-1]


def is_left_out(name: str, value: object) -> bool:
    """Tell whether a value whose parameter tells nothing is a framework's object."""
    if value is None:
        return name == "request"
    kind = type(value)
    if kind.__module__ == "builtins":
        return False
    return is_request(value) or _role_of_class(kind) is not None


def takes_tasks(hints: Iterable[Any]) -> bool:
    """Tell whether an annotation is that of background tasks."""
    return any(
        isinstance(kind, type) and _is_named(kind, BACKGROUND)
        for hint in hints
        for kind in members(hint)
    )


def members(hint: Any) -> tuple[Any, ...]:
    """Return the classes that an annotation allows, without `Annotated`, `NewType` and aliases."""
    hint = bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(dict.fromkeys(each for one in get_args(hint) for each in members(one)))
    if get_origin(hint) is Literal:
        return tuple(dict.fromkeys(type(item) for item in get_args(hint)))
    if hint is None:
        return (NoneType,)
    return (get_origin(hint) or hint,)


def fits(hint: Any, types: tuple[type, ...]) -> bool | None:
    """Tell whether values so annotated have one of the types; `None` where the value must tell."""
    if hint is ABSENT:
        return None
    kinds = [kind for kind in members(hint) if kind is not NoneType]
    # Any is a class, too, since Python 3.11.
    if not kinds or not all(isinstance(kind, type) and kind not in (object, Any) for kind in kinds):
        return None if kinds else False
    verdicts = {_is_of(kind, types) for kind in kinds}
    return verdicts.pop() if len(verdicts) == 1 else None


def has_type(value: object, types: tuple[type, ...]) -> bool:
    """Tell whether a value has one of the types; a bool is no int."""
    return _is_of(type(value), types)


def request_of(values: Sequence[Any], places: Sequence[int]) -> Any | None:
    """Return the request among these values, or the current one of Flask or Quart."""
    for at in places:
        value = values[at]
        # Django's request has no url: its class tells what it is.
        if isinstance(getattr(value, "method", None), str) and (
            is_request(value) or _role_of_class(type(value)) is ParameterRole.REQUEST
        ):
            return value
    framework = serving()
    return None if framework is None else framework.request


def method_of(values: Sequence[Any], places: Sequence[int]) -> str | None:
    """Return the method of the request among these values, or of the current one."""
    request = request_of(values, places)
    return None if request is None else str(request.method).upper()


def _role_of_class(kind: Any) -> ParameterRole | None:
    if not isinstance(kind, type):
        return None
    if _is_named(kind, RESPONSES):
        return ParameterRole.RESPONSE
    if _is_named(kind, REQUESTS) or _has_all(kind, REQUEST_PARTS, _set_by_init(kind)):
        return ParameterRole.REQUEST
    if any(each.__name__ in SERVICES.get(_package(each), ()) for each in kind.__mro__):
        return ParameterRole.LEFT_OUT
    is_value = field_names(kind) is not None
    if not is_value and any(_has_all(kind, parts) for parts in SERVICE_PARTS):
        return ParameterRole.LEFT_OUT
    return None


def _is_named(kind: type, names: frozenset[str]) -> bool:
    return any(each.__name__ in names and _package(each) in WEB for each in kind.__mro__)


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _has_all(kind: type, parts: Sequence[str], others: Collection[str] = ()) -> bool:
    if any(parent.__module__ == "builtins" and parent is not object for parent in kind.__mro__):
        return False
    declared = (*others, *(field_names(kind) or ()))
    return all(part in declared or hasattr(kind, part) for part in parts)


def _set_by_init(kind: type) -> set[str]:
    """Name the attributes that a class sets in its `__init__`."""
    code = getattr(getattr(kind, "__init__", None), "__code__", None)
    if code is None:
        return set()
    from dis import get_instructions

    return {each.argval for each in get_instructions(code) if each.opname == "STORE_ATTR"}


def _is_of(kind: type, types: tuple[type, ...]) -> bool:
    if issubclass(kind, bool):
        return bool in types
    return issubclass(kind, types)
