"""Checks at decoration, or at the first call where annotations could not be read before."""

from __future__ import annotations

import re
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, Protocol, get_args, get_origin

from msgspec.structs import replace

from dualcache.core.nearest import nearest
from dualcache.errors import KeyTemplateError, UnkeyableArgument, UsageError
from dualcache.keys.annotations import is_free_text, is_keyable_annotation
from dualcache.keys.escaping import escape_literal
from dualcache.keys.identity import home_module
from dualcache.keys.members import check_members, members_of
from dualcache.keys.names import user_key
from dualcache.keys.placeholders import Field, Template
from dualcache.keys.security import holds_credential
from dualcache.keys.templates import check_names, check_unambiguous, literal_prefix, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dualcache.keys.compile import NameKind
    from dualcache.keys.signature import FunctionSignature

__all__ = [
    "Check",
    "check_ignored",
    "checked_template",
    "default_check",
    "own_name",
    "settled_now",
    "template_check",
    "unkeyable_fix",
    "unkeyable_hint",
]


_open_class = re.compile(r"^(?:\\.|[^\[\\]|\[(?:\\.|[^\]\\])*\])*\[(?:\\.|[^\]\\])*$", re.DOTALL)


class Check(Protocol):
    """Looks at what annotations tell; with `is_last`, what cannot be resolved counts as absent."""

    def __call__(self, *, is_last: bool) -> None: ...


def own_name(signature: FunctionSignature, name: str | None, *, is_shared: bool) -> str:
    if name is not None:
        return user_key(name)
    is_lambda = signature.qualname.endswith("<lambda>")
    module = home_module(signature.identity.function, signature.module)
    if is_lambda or (is_shared and module is None):
        what = "a lambda" if is_lambda else f"{signature.name} of __main__"
        raise UsageError(
            f"{what} needs a key or a name",
            code="DC114",
            details=[
                ("why", "functions elsewhere can have the same name, and would share its keys")
            ],
            help='give @cache a name="…", or a key="…" template',
        )
    return escape_literal(f"{module or signature.module}.{signature.qualname}")


def check_ignored(signature: FunctionSignature, ignore: Collection[str]) -> None:
    if isinstance(ignore, str):
        raise UsageError(
            f"ignore of {signature.name} is one text, not several names",
            code="DC113",
            help=f'write ignore=("{ignore}",)',
        )
    known = (*signature.parameters, *signature.identity.names)
    kinds = {parameter.kind for parameter in signature.by_name.values()}
    for name in ignore:
        # A name that no parameter has is one that goes into **kwargs.
        if name in known or Parameter.VAR_KEYWORD in kinds:
            continue
        near = nearest(name, known)
        raise UsageError(
            f"ignore of {signature.name} names an unknown parameter",
            code="DC113",
            details=[("ignore", f'"{name}" is not a parameter of {signature}')],
            help=f'did you mean "{near}"?' if near else "leave it out of ignore",
        )


def checked_template(signature: FunctionSignature, text: object, what: NameKind) -> Template:
    if not isinstance(text, str):
        raise KeyTemplateError(
            f"{what} template of {signature.name} must be text",
            code="DC105",
            details=[("given", f"a value of type {type(text).__name__}")],
            help='write it as text, like "user:{user_id}"',
        )
    template = _hiding(
        signature, parse_template(text, what=f"{what} template", owner=signature.name)
    )
    known = (*signature.parameters, *signature.identity.names)
    check_names(template, known, signature_text=str(signature))
    start = literal_prefix(template)
    if not template.parts or (what != "tag" and start.startswith("~")):
        raise KeyTemplateError(
            f"{what} template of {signature.name} "
            + ("begins with ~" if template.parts else "is empty"),
            code="DC105",
            details=[("template", f'"{text}"')],
            help="begin it with another character: names with ~ belong to the cache"
            if template.parts
            else "write a key for the calls, or leave the option out",
        )
    if what == "pattern":
        _check_outside_classes(template)
    return template


def _hiding(signature: FunctionSignature, template: Template) -> Template:
    """Return a template that writes a digest for values of a security scheme."""
    parts = tuple(
        replace(part, is_digested=True)
        if isinstance(part, Field) and part.is_plain and holds_credential(signature, part.name)
        else part
        for part in template.parts
    )
    return replace(template, parts=parts)


def _check_outside_classes(template: Template) -> None:
    """Refuse a placeholder between `[` and `]`, where a value's `-` and `^` would be wildcards."""
    before = ""
    for part in template.parts:
        if isinstance(part, str):
            before += part
        elif _open_class.search(before):
            raise KeyTemplateError(
                f"{template.what} of {template.owner} has a placeholder inside [ ]",
                code="DC108",
                details=[("template", f'"{template.text}"')],
                help="move the placeholder outside, or \\[ for a bracket of the key itself",
            )


def settled_now(signature: FunctionSignature, check: Check) -> Callable[[], bool] | None:
    """Check now; return the check for the first call, where annotations are still open."""
    check(is_last=False)
    if not signature.unresolved():
        return None

    def settle() -> bool:
        check(is_last=True)
        return True

    return settle


def default_check(
    signature: FunctionSignature,
    ignore: Collection[str],
    fix_of: Callable[[str, Any], str | None],
) -> Check:
    """Check a default key; `fix_of` gives the advice for annotations that it knows."""

    def check(*, is_last: bool) -> None:
        del is_last
        for name, hint in signature.hints().items():
            is_receiver = signature.first_is_receiver and name == signature.parameters[0]
            if name not in ignore and not is_receiver and is_keyable_annotation(hint) is False:
                help_line = fix_of(name, hint) or unkeyable_fix(signature, name)
                raise unkeyable_hint(signature, name, hint, help_line)

    return check


def template_check(signature: FunctionSignature, template: Template, *, stores: bool) -> Check:
    def check(*, is_last: bool) -> None:
        hints = signature.hints()
        for field in template.fields:
            hint = hints.get(field.name)
            if field.is_plain and field.name in hints and is_keyable_annotation(hint) is False:
                help_line = f"name the part that identifies it, like {{{field.name}.id}}"
                raise unkeyable_hint(signature, field.name, hint, help_line)
        if not stores:
            return
        waiting: frozenset[str] = frozenset() if is_last else signature.unresolved()

        def is_bundle(name: str) -> bool:
            kind = signature.by_name[name].kind
            return kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

        def is_free(name: str) -> bool:
            if name not in signature.parameters:
                return is_free_text(type(signature.identity.value_of(name)))
            return (
                not is_bundle(name) and name not in waiting and is_free_text(hints.get(name, str))
            )

        def members(name: str) -> tuple[Any, ...] | None:
            is_listed = name in hints and not is_bundle(name)
            return members_of(hints[name]) if is_listed else None

        check_unambiguous(template, is_free)
        check_members(template, is_free, members)

    return check


def unkeyable_hint(
    signature: FunctionSignature, name: str, hint: Any, help_line: str
) -> UnkeyableArgument:
    if get_origin(hint) is Annotated:  # what stands behind the type may hold values
        hint = get_args(hint)[0]
    shown = f"{hint.__module__}.{hint.__qualname__}" if isinstance(hint, type) else str(hint)
    return UnkeyableArgument(
        f"parameter {name} of {signature.name} cannot be part of a key",
        code="DC111",
        details=[("parameter", f"{name}: {shown}")],
        help=help_line,
    )


def unkeyable_fix(signature: FunctionSignature, name: str) -> str:
    """Return the lines to write for a parameter that a default key cannot hold.

    `ignore=` comes with its condition: one who follows blindly would serve the answer for one
    object, user or secret to another.
    """
    if signature.is_in_class and name == signature.parameters[0]:
        return (
            f"if it is the method's object, say how two objects differ: a __cache_key__() "
            f'method on its class, or key="…:{{{name}.id}}:…"'
        )
    return (
        f'only if the result never depends on it: ignore=("{name}",); otherwise name the part that '
        f'identifies it: key="…:{{{name}.id}}:…", or a __cache_key__() method on its class'
    )
