"""Key, tag and pattern templates: parsed, checked, rendered. Pure.

The syntax is that of `str.format` with names alone: `{param}`, `{req.user.id}`, `{data[name]}`,
`{page:03d}`, `{x!s}`, `{x!digest}`, and `{{ }}` for literal braces.
"""

from __future__ import annotations

import re
from types import NoneType
from typing import TYPE_CHECKING, Any

from dualcache.core.nearest import nearest
from dualcache.errors import KeyTemplateError
from dualcache.keys.canonical import text
from dualcache.keys.digests import digest, is_secret_name
from dualcache.keys.escaping import escape, escape_literal, escape_part
from dualcache.keys.names import user_key
from dualcache.keys.placeholders import Field, Template, ambiguous, malformed, pointed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "built_name",
    "check_names",
    "check_unambiguous",
    "field_text",
    "literal_prefix",
    "parse_template",
    "render",
]

_PLAIN_SCALARS = (int, float, bool, NoneType)
_token = re.compile(r"\{\{|\}\}|\{|\}")
_field = re.compile(
    r"(?P<name>[^\W\d]\w*)(?P<path>(?:\.[^\W\d]\w*|\[[^\[\]]+\])*)(?:!(?P<conversion>\w*))?(?::(?P<spec>.*))?",
    re.DOTALL,
)
_step = re.compile(r"\.(\w+)|\[([^\]]+)\]")
_numeric_spec = re.compile(r"(?:.?[<>=^])?[-+ ]?z?#?0?\d*[_,]?(?:\.\d+)?[bdoxXeEfFgGn%]", re.DOTALL)


def parse_template(
    template: str, *, what: str = "key template", owner: str = "get_user()"
) -> Template:
    """Parse a template; `KeyTemplateError` with a caret under the fault."""
    parts: list[str | Field] = []
    literal = ""
    at = 0
    while (found := _token.search(template, at)) is not None:
        literal += template[at : found.start()]
        at = found.end()
        token = found[0]
        if token in ("{{", "}}"):
            literal += token[0]
            continue
        bare = Template(template, (), what, owner)
        if token == "}":  # noqa: S105  a brace
            raise malformed(bare, found.start(), at, "closes no placeholder", "}}")
        end = template.find("}", at)
        if end < 0:
            raise malformed(bare, found.start(), at, "is never closed", "{{")
        if literal:
            parts.append(escape_literal(literal))
            literal = ""
        parts.append(_parsed_field(bare, at - 1, end + 1))
        at = end + 1
    literal += template[at:]
    if literal:
        parts.append(escape_literal(literal))
    return Template(template, tuple(parts), what, owner)


def check_names(
    template: Template,
    available: Sequence[str],
    *,
    signature_text: str,
    owner: str = "",
    is_open: bool = False,
) -> None:
    """Raise `KeyTemplateError` where a placeholder begins with no name of `available`.

    `is_open`: these are the names in a call that can have any other too.
    """
    owner = owner or template.owner
    for field in template.fields:
        if field.name in available:
            continue
        near = nearest(field.name, available)
        known = ", ".join(f"{{{name}}}" for name in available)
        raise KeyTemplateError(
            f"{template.what} of {owner} names an unknown parameter",
            code="DC102",
            details=pointed(
                template, field.start, field.end, f"not a parameter of {signature_text}"
            ),
            help=f"did you mean {{{near}}}?" if near
            else f"give it a value: {field.name}=…" if is_open
            else f"it has {known}" if available
            else "it has no parameters: write a key without placeholders",
        )  # fmt: skip


def check_unambiguous(template: Template, is_free: Callable[[str], bool]) -> None:
    """Raise `KeyTemplateError` if two placeholders could give two calls one key.

    That is so of two that may hold free text with no `:` between them, and of two with nothing at
    all between them and no width. `is_free` says whether a parameter may hold free text.
    """
    open_free: Field | None = None
    previous: str | Field = ""
    for part in template.parts:
        if isinstance(part, str):
            open_free = None if ":" in part else open_free
        else:
            is_text = _may_be_free(part, is_free)
            if is_text and open_free is not None:
                raise ambiguous(template, open_free, part)
            if isinstance(previous, Field) and not (previous.spec and part.spec):
                raise ambiguous(template, previous, part)
            open_free = part if is_text else open_free
        previous = part


def render(template: Template, values: Mapping[str, object], typed: bool = False) -> str:
    """Write the template's text for `values`; with `typed`, types count too.

    `KeyTemplateError` if a placeholder reads a part that its value does not have;
    `UnkeyableArgument` if a value has no key form. A `~` that a value would put first is escaped.
    """
    name = "".join(
        part if isinstance(part, str) else field_text(template, part, values[part.name], typed)
        for part in template.parts
    )
    if name[:1] == "~" and isinstance(template.parts[0], Field):
        return f"%7E{name[1:]}"
    return name


def field_text(template: Template, field: Field, value: object, typed: bool = False) -> str:
    """Write one placeholder for the value of the parameter that it begins with."""
    for is_attribute, step in field.path:
        value = _stepped(template, field, value, is_attribute, step)
    written = _value_text(template, field, value, typed)
    return digest(written) if field.is_digested and value is not None else written


def _value_text(template: Template, field: Field, value: object, typed: bool) -> str:
    kind = type(value)
    # Without a `__str__` of its own a value would show its repr, which may hold an address.
    if field.as_str and (kind.__str__ is not object.__str__ or kind in _PLAIN_SCALARS):
        value = str(value)
    elif not field.spec:
        return text(value, typed)
    written = _formatted(template, field, value)
    return f"{kind.__name__}'{escape_part(written)}'" if typed else escape(written)


def built_name(text: str, values: Mapping[str, object]) -> str:
    """Build a name from a template and values by name, as a direct call does."""
    template = parse_template(text, owner="key()")
    shown = ", ".join(["…", *values])
    check_names(template, tuple(values), signature_text=f"key({shown})", is_open=True)
    return user_key(render(template, values))


def literal_prefix(template: Template) -> str:
    """Return the literal text before the first placeholder, escaped as in the key."""
    first = template.parts[0] if template.parts else ""
    return first if isinstance(first, str) else ""


def _parsed_field(template: Template, start: int, end: int) -> Field:
    inside = template.text[start + 1 : end - 1]
    found = _field.fullmatch(inside)
    if "{" in inside:
        raise malformed(template, start, end, "holds another placeholder", "")
    if not inside.strip():
        raise malformed(template, start, end, "names no parameter", "")
    if found is None:
        raise malformed(template, start, end, "is not a parameter, attribute or item", "")
    conversion = found["conversion"]
    if conversion not in (None, "s", "digest"):
        raise malformed(template, start, end, "has a conversion other than !s and !digest", "")
    path = tuple(
        (True, attribute) if attribute else (False, int(item) if item.isdecimal() else item)
        for attribute, item in _step.findall(found["path"])
    )
    said = [step for _, step in path if isinstance(step, str)]
    is_secret = conversion is None and is_secret_name(said[-1] if said else found["name"])
    is_digested = is_secret or conversion == "digest"
    spec = found["spec"] or ""
    return Field(found["name"], path, conversion == "s", spec, start, end, is_digested)


def _may_be_free(field: Field, is_free: Callable[[str], bool]) -> bool:
    if field.is_digested or (field.spec and _numeric_spec.fullmatch(field.spec)):
        return False
    return bool(field.path) or is_free(field.name)


def _stepped(
    template: Template, field: Field, value: Any, is_attribute: bool, step: str | int
) -> object:  # fmt: skip
    try:
        return getattr(value, str(step)) if is_attribute else value[step]
    except (AttributeError, LookupError, TypeError) as error:
        missing = f"attribute {step}" if is_attribute else f"item {step}"
        raise KeyTemplateError(
            f"{template.what} of {template.owner} reads something that its argument does not have",
            code="DC104",
            details=pointed(
                template, field.start, field.end, f"{type(value).__name__} has no {missing}"
            ),
            help="pass a value that has it, or name another field in the template",
        ) from error


def _formatted(template: Template, field: Field, value: object) -> str:
    try:
        return format(value, field.spec)
    except (ValueError, TypeError):
        # Not chained: the text of a failed format may show the value.
        raise KeyTemplateError(
            f"{template.what} of {template.owner} cannot format its argument",
            code="DC104",
            details=pointed(
                template,
                field.start,
                field.end,
                f"{type(value).__name__} does not take this format",
            ),
            help="pass a value of the type that the format is for, or leave the format out",
        ) from None
