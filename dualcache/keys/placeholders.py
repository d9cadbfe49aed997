"""A parsed template with its placeholders, and errors with a caret under the one that is meant."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from dualcache.errors import KeyTemplateError

__all__ = ["Field", "Template", "ambiguous", "malformed", "pointed"]

Step: TypeAlias = "tuple[bool, str | int]"
"""One step into a value: whether it is an attribute (else an item), and its name."""


class Field(Struct, frozen=True):
    """One placeholder; `start` and `end` tell where it stands in the template.

    `is_digested`: `None` stays `None`, any other value is written as a digest.
    """

    name: str
    path: tuple[Step, ...]
    as_str: bool
    spec: str
    start: int
    end: int
    is_digested: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the placeholder is a parameter's own value, formatted in no way."""
        return not (self.path or self.as_str or self.spec)


class Template(Struct, frozen=True):
    """A parsed template: `parts` alternate as they stand; literals are escaped already."""

    text: str
    parts: tuple[str | Field, ...]
    what: str = "key template"
    owner: str = ""

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(part for part in self.parts if isinstance(part, Field))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that the placeholders begin with, each once, in order."""
        return tuple(dict.fromkeys(field.name for field in self.fields))


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


def ambiguous(
    template: Template, first: Field, second: Field, *, has_members: bool = False
) -> KeyTemplateError:
    """Build the error for two placeholders of which nobody can tell where one ends.

    `has_members`: one of them is an Enum.
    """
    names = f"{{{first.name}}} and {{{second.name}}}"
    return KeyTemplateError(
        f"{template.what} of {template.owner} could give two calls the same key",
        code="DC103",
        details=pointed(template, first.start, second.end, f"where does {{{first.name}}} end?"),
        help=f"put a : between {names}: members of an Enum hold what stands there now"
        if has_members
        else f"put a : between {names}, or annotate one as int, UUID, date, bool or an Enum",
    )
