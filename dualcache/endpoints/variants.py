"""How the parameters that neither prefix nor id uses become part of a read's key: `:name=value`.

Numbers and text are written as they are wherever no other value of the parameter could look the
same; what is no scalar is written as a digest.
"""

from __future__ import annotations

from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from dualcache.frameworks.roles import ParameterRole, is_left_out, members
from dualcache.keys.canonical import canonical, digested, text
from dualcache.keys.compile import Value, fault_of
from dualcache.keys.digests import digest
from dualcache.keys.plans import value_at
from dualcache.keys.scalars import is_scalar_value
from dualcache.keys.security import is_hidden

if TYPE_CHECKING:
    from dualcache.keys.signature import FunctionSignature

__all__ = ["fix_of", "variant_parts"]

WORDS: Final = frozenset({"None", "True", "False", "nan", "inf"})
"""Texts that a value other than a string is written as."""


def variant_parts(
    signature: FunctionSignature, name: str, role: ParameterRole, hint: Any
) -> list[str | Value]:
    """Return a parameter's part of the key: nothing where a value is a framework's object."""
    at = signature.parameters.index(name)
    fault = fault_of(signature, name, fix_of(name))
    if role is not ParameterRole.OPEN and is_hidden(signature, name):
        return [f":{name}=", Value(f"p{at}", value_at(at), digested, fault, is_digested=True)]
    if role is ParameterRole.KEYABLE and _is_of_one_kind(hint):
        return [f":{name}=", Value(f"p{at}", value_at(at), _write_uniform, fault)]

    def write(value: Any) -> str:
        is_nothing = role is ParameterRole.OPEN and is_left_out(name, value)
        return "" if is_nothing else f":{name}={write_value(value)}"

    write_value = digested if is_hidden(signature, name) else _write_mixed

    # In parentheses, so that an int is not taken for the whole of what is written.
    return [Value(f"(p{at})", value_at(at), write, fault)]


def fix_of(name: str) -> str:
    """Return the lines to write where a parameter cannot be part of a key."""
    return (
        f'leave it out with ignore=("{name}",); if answers depend on it, also put the part that '
        f"identifies them in the prefix, like {{{name}.id}}, or in vary=lambda …: {name}.id"
    )


def _is_of_one_kind(hint: Any) -> bool:
    kinds = [kind for kind in members(hint) if kind is not NoneType]
    return len(kinds) == 1 and isinstance(kinds[0], type) and _is_scalar_class(kinds[0])


def _is_scalar_class(kind: type[Any]) -> bool:
    if hasattr(kind, "__cache_key__"):
        return False
    is_number_or_text = issubclass(kind, (str, int, float, bool, NoneType, Enum))
    return is_number_or_text or is_scalar_value(kind)


def _write_uniform(value: Any) -> str:
    """Write a value of a parameter that has one kind of value, or none.

    A value of another kind, as a default may be, is written as where kinds are mixed.
    """
    if value is None:
        return "None"
    if not _is_scalar_class(type(value)):
        return _digest(value)
    written = text(value)
    is_like_another = written == "None" or written.startswith(("'", "~"))
    return canonical(value) if is_like_another else written


def _write_mixed(value: Any) -> str:
    kind: type[Any] = type(value)
    if value is None or kind in (int, float, bool):
        return text(value)
    if kind is str and value.isidentifier() and value not in WORDS:
        return text(value)
    return canonical(value) if _is_scalar_class(kind) else _digest(value)


def _digest(value: Any) -> str:
    return digest(canonical(value))
