"""From a function's values to the names of its keys, tags and patterns.

Everything that can be known at decoration is checked there; what annotations cannot tell yet is
checked at the first call.
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.calls.receivers import receiver_form
from dualcache.calls.rendering import Kind, Plan, Value, compile_names
from dualcache.core.escaping import escape_literal
from dualcache.core.keys import canonical, is_free_text, is_keyable_annotation, user_key
from dualcache.core.templates import (
    Field,
    Template,
    check_names,
    check_unambiguous,
    field_text,
    literal_prefix,
    parse_template,
)
from dualcache.errors import KeyTemplateError, UnkeyableArgument, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dualcache.calls.signature import CallSignature

__all__ = ["KeyMaker", "make_key", "make_names"]


class KeyMaker(NamedTuple):
    """How one function's keys are made."""

    label: str
    """The template, or the function's dotted name: for events and errors, the same for every call."""
    of: Callable[..., str]
    """Takes the values in signature order; returns the full key, prefix included."""


def make_key(
    signature: CallSignature,
    *,
    prefix: str,
    key: str | None,
    ignore: Collection[str] = (),
    vary: Callable[..., Any] | None = None,
    version: object = None,
    typed_key: bool = False,
    name: str | None = None,
    is_shared: bool = True,
) -> KeyMaker:
    """Compile the making of a function's keys, from the template `key` or from all its values.

    `UsageError`, `KeyTemplateError` or `UnkeyableArgument` for what can never give a right key.
    `is_shared` tells that other processes use the same keys.
    """
    _check_ignored(signature, ignore)
    if key is None:
        label = _own_name(signature, name, is_shared=is_shared)
        parts, check = _default_parts(signature, label, ignore), _default_check(signature, ignore)
    else:
        template = _checked_template(signature, key, "key")
        label = key
        parts = _template_parts(signature, template, typed=typed_key)
        check = _template_check(signature, template, stores=True)
    parts += _extra_parts(signature, vary, version)
    plan = Plan(tuple(parts), "key", signature.name, prefix)
    make = compile_names(
        [plan],
        count=len(signature.parameters),
        where=f"{signature.module}.{signature.qualname}",
        is_single=True,
        settle=_settled_now(signature, check),
        known={"_vary": vary},
    )
    return KeyMaker(label, make)


def make_names(
    signature: CallSignature, templates: Sequence[str], *, what: Kind
) -> Callable[..., tuple[str, ...]]:
    """Compile the making of tags, of keys to invalidate, or of patterns, from templates.

    The function takes the values in signature order; names come without the prefix. In patterns
    the wildcards of the template count, those of a value do not.
    """
    parsed = [_checked_template(signature, template, what) for template in templates]
    checks = [_template_check(signature, template, stores=False) for template in parsed]

    def check(*, is_last: bool) -> None:
        for one in checks:
            one(is_last=is_last)

    return compile_names(
        [Plan(tuple(_template_parts(signature, each)), what, signature.name) for each in parsed],
        count=len(signature.parameters),
        where=f"{what}s of {signature.module}.{signature.qualname}",
        settle=_settled_now(signature, check),
    )


def _settled_now(
    signature: CallSignature, check: Callable[..., None]
) -> Callable[[], bool] | None:
    """Check now, and return what checks again at the first call where annotations are still open."""
    check(is_last=False)
    if not signature.unresolved():
        return None

    def settle() -> bool:
        check(is_last=True)
        return True

    return settle


def _own_name(signature: CallSignature, name: str | None, *, is_shared: bool) -> str:
    if name is not None:
        return user_key(name)
    is_lambda = signature.qualname.endswith("<lambda>")
    if is_lambda or (is_shared and signature.module == "__main__"):
        what = "a lambda" if is_lambda else f"{signature.name} of __main__"
        raise UsageError(
            f"{what} needs a key or a name",
            code="DC114",
            details=[("why", "other functions elsewhere have the same one, and would share its keys")],
            help='give @cache a name="…" of its own, or a key="…" template',
        )
    return escape_literal(f"{signature.module}.{signature.qualname}")


def _check_ignored(signature: CallSignature, ignore: Collection[str]) -> None:
    if isinstance(ignore, str):
        raise UsageError(
            f"ignore of {signature.name} is one text, not several names",
            code="DC113",
            help=f'write ignore=("{ignore}",)',
        )
    for name in ignore:
        if name in signature.parameters:
            continue
        from difflib import get_close_matches  # noqa: PLC0415  only errors need it

        near = get_close_matches(name, signature.parameters, 1, 0.5)
        raise UsageError(
            f"ignore of {signature.name} names an unknown parameter",
            code="DC113",
            details=[("ignore", f'"{name}" is not a parameter of {signature}')],
            help=f'did you mean "{near[0]}"?' if near else "leave it out of ignore",
        )


def _checked_template(signature: CallSignature, text: object, what: Kind) -> Template:
    if not isinstance(text, str):
        raise KeyTemplateError(
            f"{what} template of {signature.name} must be text",
            code="DC105",
            details=[("given", f"a value of type {type(text).__name__}")],
            help='write it as text, like "user:{user_id}"',
        )
    template = parse_template(text, what=f"{what} template", owner=signature.name)
    check_names(template, signature.parameters, signature_text=str(signature))
    start = literal_prefix(template)
    if not template.parts or (what != "tag" and start.startswith("~")):
        raise KeyTemplateError(
            f"{what} template of {signature.name} "
            + ("begins with ~" if template.parts else "is empty"),
            code="DC105",
            details=[("template", f'"{text}"')],
            help="begin it with another character: names with ~ are the cache's own"
            if template.parts
            else "write what the calls are stored under, or leave the option out",
        )
    return template


def _default_parts(
    signature: CallSignature, label: str, ignore: Collection[str]
) -> list[str | Value]:
    parts: list[str | Value] = [label]
    for at, name in enumerate(signature.parameters):
        if name in ignore:
            continue
        is_receiver = at == 0 and signature.first_is_receiver
        help_line = f'leave it out with ignore=("{name}",), or write key="…" with what tells calls apart'
        write = receiver_form(signature) if is_receiver else canonical
        parts += [":", Value(f"p{at}", _item(at), write, _fault(signature, name, help_line))]
    return parts


def _template_parts(
    signature: CallSignature, template: Template, *, typed: bool = False
) -> list[str | Value]:
    parts: list[str | Value] = []
    for part in template.parts:
        if isinstance(part, str):
            parts.append(part)
            continue
        at = signature.parameters.index(part.name)
        help_line = f"read what tells its values apart, like {{{part.name}.id}}"
        parts.append(
            Value(
                f"p{at}",
                _item(at),
                _field_writer(template, part, typed=typed),
                _fault(signature, part.name, help_line),
                part,
                likely_str=part.is_plain and not typed and signature.hints().get(part.name) is str,
            )
        )
    return parts


def _extra_parts(
    signature: CallSignature, vary: Callable[..., Any] | None, version: object
) -> list[str | Value]:
    """Write what `vary` and `version` add: a value can hold no `:`, so they cannot be forged."""
    parts: list[str | Value] = []
    if vary is not None:
        how = vary

        def read(values: tuple[Any, ...]) -> Any:
            args, kwargs = signature.call_form(values)
            return how(*args, **kwargs)

        fault = _fault(signature, "", "return text, a number, or a tuple of these from vary")
        parts += [":vary=", Value(_vary_call(signature), read, canonical, fault)]
    if version is not None:
        parts.append(f":version={canonical(version)}")
    return parts


def _vary_call(signature: CallSignature) -> str:
    marks = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
    arguments = [
        f"{marks.get(parameter.kind, '')}p{at}"
        if parameter.kind is not Parameter.KEYWORD_ONLY
        else f"{name}=p{at}"
        for at, (name, parameter) in enumerate(signature.signature.parameters.items())
    ]
    return f"_vary({', '.join(arguments)})"


def _item(at: int) -> Callable[[tuple[Any, ...]], Any]:
    def read(values: tuple[Any, ...]) -> Any:
        return values[at]

    return read


def _field_writer(template: Template, field: Field, *, typed: bool) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        return field_text(template, field, value, typed)

    return write


def _fault(
    signature: CallSignature, name: str, help_line: str
) -> Callable[[UnkeyableArgument], UnkeyableArgument]:
    what = f"argument {name} of {signature.name}" if name else f"what vary gives for {signature.name}"

    def told(error: UnkeyableArgument) -> UnkeyableArgument:
        if error.code != "DC110":
            return error
        return UnkeyableArgument(
            f"{what} cannot be part of a key",
            code="DC110",
            details=error.details,
            help=help_line,
        )

    return told


def _default_check(signature: CallSignature, ignore: Collection[str]) -> Callable[..., None]:
    def check(*, is_last: bool) -> None:
        del is_last
        for name, hint in signature.hints().items():
            is_receiver = signature.first_is_receiver and name == signature.parameters[0]
            if name not in ignore and not is_receiver and is_keyable_annotation(hint) is False:
                raise _unkeyable_hint(
                    signature, name, hint, f'leave it out with ignore=("{name}",), or write key="…"'
                )

    return check


def _template_check(
    signature: CallSignature, template: Template, *, stores: bool
) -> Callable[..., None]:
    def check(*, is_last: bool) -> None:
        hints = signature.hints()
        for field in template.fields:
            hint = hints.get(field.name)
            if field.is_plain and field.name in hints and is_keyable_annotation(hint) is False:
                help_line = f"read what tells its values apart, like {{{field.name}.id}}"
                raise _unkeyable_hint(signature, field.name, hint, help_line)
        if not stores:
            return
        waiting = frozenset() if is_last else signature.unresolved()

        def is_free(name: str) -> bool:
            kind = signature.signature.parameters[name].kind
            is_bundle = kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
            return not is_bundle and name not in waiting and is_free_text(hints.get(name, str))

        check_unambiguous(template, is_free)

    return check


def _unkeyable_hint(
    signature: CallSignature, name: str, hint: Any, help_line: str
) -> UnkeyableArgument:
    shown = f"{hint.__module__}.{hint.__qualname__}" if type(hint) is type else str(hint)
    return UnkeyableArgument(
        f"parameter {name} of {signature.name} cannot be part of a key",
        code="DC111",
        details=[("parameter", f"{name}: {shown}")],
        help=help_line,
    )
