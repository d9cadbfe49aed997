"""Warnings at decoration: nothing here changes a key or a call."""

from __future__ import annotations

import sys
import warnings
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, Union, get_args, get_origin

from dualcache.keys.annotations import is_keyable_annotation
from dualcache.keys.signature import ABSENT
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dualcache.keys.signature import FunctionSignature

__all__ = ["request_fix", "unnamed_parameters", "warn", "warn_of_function"]

PACKAGE: Final = __file__.removesuffix("functions/advice.py").removesuffix("functions\\advice.py")


def warn(message: str) -> None:
    """Warn at the line of the user's that led here."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001  `skip_file_prefixes` is Python 3.12
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def warn_of_function(signature: FunctionSignature, message: str) -> None:
    """Warn at the place of a function: of what only one of its calls could tell."""
    code = getattr(signature.function, "__code__", None)
    if code is None:
        warn(message)
    else:
        warnings.warn_explicit(message, UserWarning, code.co_filename, code.co_firstlineno)


def unnamed_parameters(
    signature: FunctionSignature, key: str, ignore: Collection[str]
) -> Iterator[str]:
    """Yield the warning of a template that two different calls have the same key by.

    Counted are parameters that can be part of a key, by annotation or for want of one; an
    annotation that does not resolve is mostly that of a service.
    """
    named = {*parse_template(key, owner=signature.name).names, *ignore, *signature.unresolved()}
    named |= {"self", "cls"}
    hints = signature.hints()
    if signature.is_in_class and signature.parameters[:1] and signature.parameters[0] not in hints:
        named.add(signature.parameters[0])
    # Under a decorator of somebody else's, what has no annotation is mostly what that supplies.
    may_be = is_keyable_annotation if signature.open_calls else _may_be_key
    left_out = [
        name
        for name in signature.parameters
        if name not in named and not name.startswith("_") and may_be(hints.get(name, ABSENT))
    ]
    bound = signature.identity.bound
    left_out += [one.name for one in bound if one.name not in named and not one.is_receiver]
    if left_out:
        several = ", ".join(f"{{{name}}}" for name in left_out)
        plural = ", ".join(f'"{name}"' for name in left_out)
        comma = "," if len(left_out) == 1 else ""
        yield (
            f"[DC127] the key of {signature.name} does not name {several}: calls that differ only "
            f"there share one result; add it to the template, or write ignore=({plural}{comma}) if "
            "the result does not depend on it"
        )


def request_fix(name: str, hint: Any) -> str | None:
    """Return the lines to write for a parameter that is a web request, or `None` for another."""
    # Few programs have a request where no key can hold it, so the recogniser loads when asked for.
    from dualcache.frameworks.roles import is_request_type

    if not is_request_type(hint):
        return None
    return (
        'for an endpoint: @cache(key_prefix="…"), whose key has the query but not the request; '
        f'otherwise, only if the result never depends on it: ignore=("{name}",)'
    )


def _may_be_key(hint: Any) -> bool:
    if hint is ABSENT or hint is Any or hint is object:
        return True
    if get_origin(hint) in (Union, UnionType):
        return any(_may_be_key(member) for member in get_args(hint) if member is not NoneType)
    return is_keyable_annotation(hint) is True
