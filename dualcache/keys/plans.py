"""From a function's values to the names of its keys, tags and patterns.

Everything that can be known at decoration is checked there; what annotations cannot tell yet is
checked at the first call.
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.callables import taking_of
from dualcache.errors import UsageError
from dualcache.keys.canonical import canonical, digested, text
from dualcache.keys.checks import (
    check_ignored,
    checked_template,
    default_check,
    own_name,
    settled_now,
    template_check,
    unkeyable_fix,
)
from dualcache.keys.compile import NameKind, Plan, Value, compile_names, fault_of
from dualcache.keys.digests import is_credential
from dualcache.keys.names import is_pattern, several, star_in_key
from dualcache.keys.receivers import bound_parts, constant, receiver_form
from dualcache.keys.security import is_hidden
from dualcache.keys.signature import MARKS
from dualcache.keys.templates import field_text, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dualcache.core.callables import Taking
    from dualcache.keys.placeholders import Field, Template
    from dualcache.keys.signature import FunctionSignature

__all__ = [
    "KeyMaker",
    "extra_parts",
    "make_deletions",
    "make_key",
    "make_names",
    "template_parts",
    "value_at",
]


class KeyMaker(NamedTuple):
    """How one function's keys are made."""

    label: str
    """The template, or the function's dotted name: for events and errors."""
    of: Callable[..., str]
    """Takes the values in signature order; returns the full key, prefix included."""


def _no_fix(_name: str, _hint: Any) -> None:
    """Know no better advice than the general one."""


def make_key(
    signature: FunctionSignature,
    *,
    prefix: str,
    key: str | None,
    ignore: Collection[str] = (),
    vary: Callable[..., Any] | None = None,
    version: object = None,
    typed_key: bool = False,
    name: str | None = None,
    is_shared: bool = True,
    fix_of: Callable[[str, Any], str | None] = _no_fix,
) -> KeyMaker:
    """Compile the making of a function's keys, from the template `key` or from all its values.

    `UsageError`, `KeyTemplateError` or `UnkeyableArgument` for what can never give a right key.
    `is_shared` tells that other processes use the same keys. `fix_of` takes the name and the
    annotation of a parameter that no key can hold, and returns advice that fits it better.
    """
    check_ignored(signature, ignore)
    if key is None:
        label = own_name(signature, name, is_shared=is_shared)
        parts = _default_parts(signature, label, ignore, is_named=name is not None)
        check = default_check(signature, ignore, fix_of)
    else:
        template = checked_template(signature, key, "key")
        label = key
        parts = template_parts(signature, template, typed=typed_key, ignore=ignore)
        check = template_check(signature, template, stores=True)
    parts += extra_parts(signature, vary, version)
    plan = Plan(tuple(parts), "key", signature.name, prefix)
    make = compile_names(
        [plan],
        count=len(signature.parameters),
        where=f"{signature.module}.{signature.qualname}",
        is_single=True,
        settle=settled_now(signature, check),
        known={"_vary": vary},
    )
    return KeyMaker(label, make)


def make_names(
    signature: FunctionSignature, templates: Sequence[str], *, what: NameKind, prefix: str = ""
) -> Callable[..., tuple[str, ...]]:
    """Compile the making of tags, of keys to invalidate, or of patterns, from templates.

    The function takes the values in signature order; each name comes with `prefix` before it. In
    patterns the wildcards of the template count, those of a value do not.
    """
    written = several(templates, f"{what}s of {signature.name}", f'write {what}s=["…"]')
    parsed = [checked_template(signature, template, what) for template in written]
    checks = [template_check(signature, template, stores=False) for template in parsed]

    def check(*, is_last: bool) -> None:
        for one in checks:
            one(is_last=is_last)

    owner, parts = signature.name, [tuple(template_parts(signature, each)) for each in parsed]
    return compile_names(
        [Plan(each, what, owner, prefix) for each in parts],
        count=len(signature.parameters),
        where=f"{what}s of {signature.module}.{signature.qualname}",
        settle=settled_now(signature, check),
    )


def make_deletions(
    signature: FunctionSignature, templates: Sequence[str], instead: str
) -> Callable[..., tuple[str, ...]]:
    """Compile the making of keys to delete; a wildcard in a template belongs into `instead`."""
    made = make_names(signature, templates, what="key")
    parsed = [parse_template(each, owner=signature.name).parts for each in templates]
    if any(is_pattern(part) for parts in parsed for part in parts if isinstance(part, str)):
        raise star_in_key(f'did you mean {instead}=["…*"]?')
    return made


def _default_parts(
    signature: FunctionSignature, label: str, ignore: Collection[str], *, is_named: bool
) -> list[str | Value]:
    bound = bound_parts(signature, ignore, is_named=is_named)
    parts: list[str | Value] = [label, *bound]
    for at, name in enumerate(signature.parameters):
        if name in ignore:
            continue
        write = _default_form(signature, name, ignore)
        fault = fault_of(signature, name, unkeyable_fix(signature, name))
        parts += [
            ":",
            Value(f"p{at}", value_at(at), write, fault, is_digested=write is digested),
        ]
    return parts


def _default_form(
    signature: FunctionSignature, name: str, ignore: Collection[str]
) -> Callable[[Any], str]:
    if signature.first_is_receiver and name == signature.parameters[0]:
        return receiver_form(signature)
    if is_hidden(signature, name):
        return digested
    return _without(ignore, canonical) if ignore and _is_bundle(signature, name) else canonical


def _is_bundle(signature: FunctionSignature, name: str) -> bool:
    parameter = signature.by_name.get(name)
    return parameter is not None and parameter.kind is Parameter.VAR_KEYWORD


def _without(ignore: Collection[str], write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return the writer of `**kwargs`, without the values that are ignored."""
    return lambda values: write(
        {name: value for name, value in values.items() if name not in ignore}
    )


def template_parts(
    signature: FunctionSignature,
    template: Template,
    *,
    typed: bool = False,
    ignore: Collection[str] = (),
) -> list[str | Value]:
    parts: list[str | Value] = []
    for part in template.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        writer = _field_writer(template, part, typed=typed)
        if ignore and part.is_plain and _is_bundle(signature, part.name):
            writer = _without(ignore, writer)
        if part.name not in signature.parameters:
            parts.append(constant(signature.identity.value_of(part.name), writer, part))
            continue
        at = signature.parameters.index(part.name)
        help_line = f"name the part that identifies it, like {{{part.name}.id}}"
        parts.append(
            Value(
                f"p{at}",
                value_at(at),
                writer,
                fault_of(signature, part.name, help_line),
                part,
                likely_str=part.is_plain and not typed and signature.hints().get(part.name) is str,
                is_digested=part.is_digested,
            )
        )
    return parts


def extra_parts(
    signature: FunctionSignature, vary: Callable[..., Any] | None, version: object
) -> list[str | Value]:
    """Write the parts of `vary` and `version`: a value holds no `:`, so they cannot be forged."""
    parts: list[str | Value] = []
    if vary is not None:
        if not callable(vary):
            raise UsageError(
                f"vary of {signature.name} is not callable",
                code="DC154",
                help="give a function of the call's arguments",
            )
        how = vary
        taking = taking_of(
            vary,
            signature.parameters,
            option="vary",
            owner=signature.name,
        )

        def read(values: tuple[Any, ...]) -> Any:
            if taking is None:
                args, kwargs = signature.call_form(values)
                return how(*args, **kwargs)
            given = [values[at] for at in taking.positions]
            return how(*given, **{name: values[at] for name, at in taking.keywords})

        fault = fault_of(signature, "", "return text, a number, or a tuple of these from vary")
        parts += [":vary=", Value(_vary_call(signature, taking), read, _vary_form, fault)]
    if version is not None:
        parts.append(f":version={canonical(version)}")
    return parts


def _vary_form(value: Any) -> str:
    return digested(value) if is_credential(value) else canonical(value)


def _vary_call(signature: FunctionSignature, taking: Taking | None) -> str:
    if taking is not None:
        given = [f"p{at}" for at in taking.positions]
        return f"_vary({', '.join([*given, *(f'{name}=p{at}' for name, at in taking.keywords)])})"
    arguments = [
        f"{MARKS.get(parameter.kind, '')}p{at}"
        if parameter.kind is not Parameter.KEYWORD_ONLY
        else f"{name}=p{at}"
        for at, (name, parameter) in enumerate(signature.by_name.items())
    ]
    return f"_vary({', '.join(arguments)})"


def value_at(at: int) -> Callable[[tuple[Any, ...]], Any]:
    def read(values: tuple[Any, ...]) -> Any:
        return values[at]

    return read


def _field_writer(template: Template, field: Field, *, typed: bool) -> Callable[[Any], str]:
    if field.is_plain and not field.is_digested:
        return canonical if typed else text

    def write(value: Any) -> str:
        return field_text(template, field, value, typed)

    return write
