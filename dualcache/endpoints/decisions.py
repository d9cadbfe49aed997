"""The endpoint decorator's decisions: which parameter is the id, read or write.

Pure: nothing is stored, deleted or rendered here.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from dualcache.core.nearest import nearest
from dualcache.errors import (
    CacheIdentificationInferenceError,
    InvalidRequestError,
    KeyTemplateError,
    UsageError,
)
from dualcache.frameworks.routes import PASSING, SAFE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dualcache.endpoints.options import EndpointOptions
    from dualcache.keys.signature import FunctionSignature

__all__ = [
    "GLOBAL",
    "EndpointAction",
    "IdChoice",
    "action_of",
    "check_ids",
    "choose",
    "is_named_id",
    "no_id",
    "no_request",
    "not_the_id",
]

GLOBAL: Final = "global"
"""The id of an endpoint without parameters, and of a read none of whose parameters is an id."""


class EndpointAction(Enum):
    """The decision about a call."""

    READ = "read"
    PROBE = "probe"
    """Serve what is stored, else run the body without storing: HEAD."""
    PASS = "pass"  # noqa: S105  no secret
    WRITE = "write"


class IdChoice(Enum):
    """The advice where no parameter was chosen as the id."""

    NONE = "none"
    OPEN = "open"
    """Only the values of a call can tell."""


def action_of(method: str | None, options: EndpointOptions, owner: str) -> EndpointAction:
    """Decide what becomes of a call by its request's method; `None`: there is no request.

    `InvalidRequestError` for a read that is asked to invalidate.
    """
    if method is None:
        return EndpointAction.WRITE if options.invalidates else EndpointAction.READ
    if method not in SAFE:
        return EndpointAction.WRITE
    if method in PASSING:
        return EndpointAction.PASS
    if options.invalidates:
        raise InvalidRequestError(
            f"{owner} is asked to invalidate on a {method}, which only reads",
            code="DC403",
            help="put to_invalidate_extra and pattern_to_invalidate_extra on the endpoint that "
            "writes: POST, PUT, PATCH or DELETE",
        )
    return EndpointAction.READ if method == "GET" else EndpointAction.PROBE


def choose(
    candidates: Sequence[str],
    fits: Callable[[str], bool | None],
    is_keyable: Callable[[str], bool | None],
    options: EndpointOptions,
    used: Collection[str],
    signature: FunctionSignature,
) -> tuple[str, ...] | IdChoice:
    """Choose the parameters that are the id; `("global",)` where no parameter counts at all.

    `fits` and `is_keyable` answer `None` where only a value can tell. `used` are the parameters of
    the prefix. `CacheIdentificationInferenceError` where two could be meant.
    """
    if options.names:
        return options.names
    likely = {name: fits(name) for name in candidates if is_named_id(name)}
    sure = [name for name, verdict in likely.items() if verdict]
    if len(sure) > 1:
        raise _two_ids(signature, sure)
    if None in likely.values():
        return IdChoice.OPEN
    if sure:
        return (sure[0],)
    if options.is_type_written:
        for name in candidates:
            verdict = False if name in used else fits(name)
            if verdict is not False:
                return (name,) if verdict else IdChoice.OPEN
    keyable = {is_keyable(name) for name in candidates}
    return IdChoice.NONE if True in keyable else IdChoice.OPEN if None in keyable else (GLOBAL,)


def check_ids(signature: FunctionSignature, names: Sequence[str]) -> None:
    """Raise `KeyTemplateError` where resource_id_name names no parameter."""
    known = (*signature.parameters, *signature.identity.names)
    for name in names:
        first = name.partition(".")[0]
        if first in known:
            continue
        near = nearest(first, known)
        raise KeyTemplateError(
            f"resource_id_name of {signature.name} names an unknown parameter",
            code="DC102",
            details=[("id", f'"{first}" is not a parameter of {signature}')],
            help=f'did you mean "{near}"?'
            if near
            else f"it has {', '.join(known)}"
            if known
            else "it has no parameters: leave resource_id_name out",
        )


def is_named_id(name: str) -> bool:
    """Tell whether a parameter is called as ids are."""
    return name == "id" or name.endswith("_id")


def _two_ids(
    signature: FunctionSignature, names: Sequence[str]
) -> CacheIdentificationInferenceError:
    """Make the error of an id that could be either of several parameters."""
    several = ", ".join(f'"{name}"' for name in names)
    return CacheIdentificationInferenceError(
        f"{signature.name} has more than one id",
        code="DC401",
        details=[("ids", " and ".join(names)), ("of", str(signature))],
        help=f'say which: resource_id_name="{names[0]}", or all: resource_id_name=({several})',
    )


def not_the_id(name: str, owner: str, options: EndpointOptions) -> str:
    """Say that a parameter has the name of an id, and another type."""
    kinds = " or ".join(kind.__name__ for kind in options.types)
    return (
        f"[DC410] {name} of {owner} is not of type {kinds}, so it is not the id: a read has the id "
        f'"global", and a write has no key to delete; write resource_id_name="{name}"'
    )


def no_id(
    signature: FunctionSignature, options: EndpointOptions
) -> CacheIdentificationInferenceError:
    """Make the error of an id that no parameter can be."""
    kinds = ", ".join(kind.__name__ for kind in options.types)
    return CacheIdentificationInferenceError(
        f"{signature.name} has no parameter that is its id",
        code="DC402",
        details=[
            ("wanted", f"one called id or ending in _id, of type {kinds}"),
            ("of", str(signature)),
        ],
        help='name it: resource_id_name="…"; or annotate it; or give its type: resource_id_type=…',
    )


def no_request(signature: FunctionSignature) -> UsageError:
    """Make the error of an endpoint that is to invalidate and does not know its request."""
    return UsageError(
        f"{signature.name} is to invalidate, but has no request that shows whether it reads or "
        "writes",
        code="DC404",
        details=[("of", str(signature))],
        help="add a parameter `request: Request`, or decorate it with @cache.invalidates(…)",
    )
