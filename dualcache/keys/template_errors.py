"""Errors of templates, with a caret under the placeholder that is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.errors import KeyTemplateError

if TYPE_CHECKING:
    from dualcache.keys.templates import Field, Template

__all__ = ["ambiguous", "malformed", "pointed"]


def pointed(template: Template, start: int, end: int, note: str) -> list[tuple[str, str]]:
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in template.text
    )
    return [("template", f'"{shown}"'), ("", f"{' ' * (start + 1)}{'^' * (end - start)} {note}")]


def malformed(
    template: Template, start: int, end: int, note: str, doubled: str
) -> KeyTemplateError:
    return KeyTemplateError(
        f"{template.what} of {template.owner} cannot be read",
        code="DC101",
        details=pointed(template, start, end, note),
        help=f"write {doubled} for a brace of the key itself" if doubled
        else "write {param}, {param.attribute}, {param[item]} or {param:format}",
    )  # fmt: skip


def ambiguous(template: Template, first: Field, second: Field) -> KeyTemplateError:
    names = f"{{{first.name}}} and {{{second.name}}}"
    return KeyTemplateError(
        f"{template.what} of {template.owner} cannot tell two calls apart",
        code="DC103",
        details=pointed(template, first.start, second.end, f"where does {{{first.name}}} end?"),
        help=f"put a : between {names}, or annotate one as int, UUID, date, bool or an Enum",
    )
