"""The endpoint decorator's decisions: its options, which parameter is the id, read or write.

Pure: nothing is stored, deleted or rendered here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.entry import MISSING
from dualcache.errors import CacheIdentificationInferenceError, InvalidRequestError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from dualcache.calls.signature import CallSignature

__all__ = [
    "ENDPOINT",
    "GLOBAL",
    "Choice",
    "EndpointOptions",
    "Way",
    "choose",
    "endpoint_options",
    "is_endpoint",
    "is_named_id",
    "no_id",
    "no_request",
    "prefixed",
    "way_of",
]

ENDPOINT: Final = (
    "key_prefix",
    "resource_id_name",
    "resource_id_type",
    "to_invalidate_extra",
    "pattern_to_invalidate_extra",
)
GLOBAL: Final = "global"
"""The id of an endpoint without parameters, and of a read none of whose parameters is an id."""
PASSING: Final = frozenset({"OPTIONS", "TRACE"})
SAFE: Final = frozenset({"GET", "HEAD", *PASSING})
FAMILIES: Final = (
    '@cache(key="user:{user_id}") or @cache(key_prefix="user", resource_id_name="user_id")'
)


class Way(Enum):
    """What becomes of a call."""

    READ = "read"
    PROBE = "probe"
    """Serve what is stored, else run the body without storing: HEAD."""
    PASS = "pass"  # noqa: S105  no secret
    WRITE = "write"


class Choice(Enum):
    """What can be said where no parameter was chosen as the id."""

    NONE = "none"
    OPEN = "open"
    """Only the values of a call can tell."""


class EndpointOptions(NamedTuple):
    """The options of the endpoint decorator, checked."""

    prefix: str
    names: tuple[str, ...] = ()
    types: tuple[type, ...] = (int,)
    is_type_written: bool = False
    extra: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()

    @property
    def invalidates(self) -> bool:
        """Whether anything besides the own key is to be deleted: such an endpoint never reads."""
        return bool(self.extra or self.patterns)


def is_endpoint(options: Collection[str]) -> bool:
    """Tell whether options of `cache(...)` are written in the endpoint's spelling."""
    return any(name in options for name in ENDPOINT)


def prefixed(prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with a prefix that was written first and without its name."""
    if "key_prefix" in options:
        raise UsageError(
            "cache() has two prefixes",
            code="DC400",
            help="write key_prefix= once, as the first argument or by its name",
        )
    return {"key_prefix": prefix, **options}


def endpoint_options(options: Mapping[str, Any], owner: str) -> EndpointOptions:
    """Check the endpoint's options; `UsageError` that says which ones belong together."""
    written = [name for name in ENDPOINT if name in options]
    for name in ("key", "name"):
        if options.get(name) is not None:
            raise UsageError(
                f"{name} of {owner} does not go with {written[0]}",
                code="DC400",
                details=[("either", FAMILIES)],
                help="key= names the whole key, key_prefix= lets the id follow: write one of them; "
                "after key=, invalidate with @cache.invalidates",
            )
    prefix = options.get("key_prefix")
    if prefix is None:
        raise UsageError(
            f"{written[0]} of {owner} needs key_prefix",
            code="DC400",
            details=[("either", FAMILIES)],
            help='add key_prefix="…": the key is made of it and the id',
        )
    types = options.get("resource_id_type", MISSING)
    return EndpointOptions(
        _text(prefix, "key_prefix", owner),
        _names(options.get("resource_id_name"), owner),
        (int,) if types is MISSING else _types(types, owner),
        types is not MISSING,
        _extra(options.get("to_invalidate_extra"), owner),
        _patterns(options.get("pattern_to_invalidate_extra"), owner),
    )


def way_of(method: str | None, options: EndpointOptions, owner: str) -> Way:
    """Decide what becomes of a call by its request's method; `None`: there is no request.

    `InvalidRequestError` for a read that is asked to invalidate.
    """
    if method is None:
        return Way.WRITE if options.invalidates else Way.READ
    if method not in SAFE:
        return Way.WRITE
    if method in PASSING:
        return Way.PASS
    if options.invalidates:
        raise InvalidRequestError(
            f"{owner} is asked to invalidate on a {method}, which only reads",
            code="DC403",
            help="put to_invalidate_extra and pattern_to_invalidate_extra on the endpoint that "
            "writes: POST, PUT, PATCH or DELETE",
        )
    return Way.READ if method == "GET" else Way.PROBE


def choose(
    candidates: Sequence[str],
    fits: Callable[[str], bool | None],
    is_keyable: Callable[[str], bool | None],
    options: EndpointOptions,
    used: Collection[str],
    call: CallSignature,
) -> tuple[str, ...] | Choice:
    """Choose the parameters that are the id; `("global",)` where no parameter counts at all.

    `fits` and `is_keyable` answer `None` where only a value can tell. `used` are the parameters of
    the prefix. `CacheIdentificationInferenceError` where two could be meant.
    """
    if options.names:
        return options.names
    likely = {name: fits(name) for name in candidates if is_named_id(name)}
    sure = [name for name, verdict in likely.items() if verdict]
    if len(sure) > 1:
        raise two_ids(call, sure)
    if None in likely.values():
        return Choice.OPEN
    if sure:
        return (sure[0],)
    if options.is_type_written:
        for name in candidates:
            verdict = False if name in used else fits(name)
            if verdict is not False:
                return (name,) if verdict else Choice.OPEN
    keyable = {is_keyable(name) for name in candidates}
    return Choice.NONE if True in keyable else Choice.OPEN if None in keyable else (GLOBAL,)


def is_named_id(name: str) -> bool:
    """Tell whether a parameter is called as ids are."""
    return name == "id" or name.endswith("_id")


def two_ids(call: CallSignature, names: Sequence[str]) -> CacheIdentificationInferenceError:
    """Make the error of an id that could be either of several parameters."""
    several = ", ".join(f'"{name}"' for name in names)
    return CacheIdentificationInferenceError(
        f"{call.name} has more than one id",
        code="DC401",
        details=[("ids", " and ".join(names)), ("of", str(call))],
        help=f'say which: resource_id_name="{names[0]}", or all: resource_id_name=({several})',
    )


def no_id(call: CallSignature, options: EndpointOptions) -> CacheIdentificationInferenceError:
    """Make the error of an id that no parameter can be."""
    kinds = ", ".join(kind.__name__ for kind in options.types)
    return CacheIdentificationInferenceError(
        f"{call.name} has no parameter that is its id",
        code="DC402",
        details=[
            ("wanted", f"one called id or ending in _id, of type {kinds}"),
            ("of", str(call)),
        ],
        help='name it: resource_id_name="…"; or annotate it; or give its type: resource_id_type=…',
    )


def no_request(call: CallSignature) -> UsageError:
    """Make the error of an endpoint that shall invalidate and does not know its request."""
    return UsageError(
        f"{call.name} is to invalidate, but has no request that tells a read from a write",
        code="DC404",
        details=[("of", str(call))],
        help="add a parameter `request: Request`, or decorate it with @cache.invalidates(…)",
    )


def _text(value: object, option: str, owner: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise _not(option, owner, "text that is not empty")


def _names(value: object, owner: str) -> tuple[str, ...]:
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    wanted = "the name of a parameter, or a tuple of several"
    if not isinstance(names, tuple | list) or not names:
        raise _not("resource_id_name", owner, wanted)
    for name in names:
        steps = name.split(".") if isinstance(name, str) else [""]
        if not all(step.isidentifier() for step in steps):
            raise _not("resource_id_name", owner, wanted)
    return tuple(names)


def _types(value: object, owner: str) -> tuple[type, ...]:
    types: Any = value if isinstance(value, tuple | list) else (value,)
    if not types or not all(isinstance(kind, type) for kind in types):
        raise _not("resource_id_type", owner, "a type, or a tuple of types")
    return tuple(types)


def _extra(value: Any, owner: str) -> tuple[tuple[str, str], ...]:
    wanted = 'a dict of templates like {"user_posts": "{user_id}", "latest_posts": "global"}'
    if value is None:
        return ()
    if not hasattr(value, "items"):
        raise _not("to_invalidate_extra", owner, wanted)
    pairs = tuple(value.items())
    if not all(isinstance(each, str) and each for pair in pairs for each in pair):
        raise _not("to_invalidate_extra", owner, wanted)
    return pairs


def _patterns(value: Any, owner: str) -> tuple[str, ...]:
    wanted = 'a list of patterns like ["user_{user_id}_*"]'
    if value is None:
        return ()
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise _not("pattern_to_invalidate_extra", owner, wanted)
    patterns = tuple(value)
    if not all(isinstance(each, str) and each for each in patterns):
        raise _not("pattern_to_invalidate_extra", owner, wanted)
    return patterns


def _not(option: str, owner: str, wanted: str) -> UsageError:
    return UsageError(f"{option} of {owner} is not {wanted}", code="DC408", help=f"write {wanted}")
