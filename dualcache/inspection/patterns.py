"""From what a person names to a pattern over keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dualcache import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
ENDS_NAME: Final = re.compile(r"[.\[!:]")
WILDCARDS: Final = re.compile(r"([*?\[\]\\])")


def chosen_pattern(pattern: str | None, template: str | None) -> str:
    """Return the one pattern that was given, or that of all keys."""
    if pattern is not None and template is not None:
        raise UsageError(
            "both a pattern and a template are given",
            code="DC492",
            help="give one of them",
        )
    if template is not None:
        return pattern_of(template)
    return "*" if pattern is None else pattern


def pattern_of(template: str, values: Mapping[str, str] | None = None) -> str:
    """Return the pattern of the keys of a template: a `*` for each placeholder.

    `values` are escaped texts of some arguments, by the names of their placeholders. A text without
    a placeholder is the name of a function, whose arguments follow it.
    """
    known = {name: escaped(text) for name, text in (values or {}).items()}
    if not PLACEHOLDER.search(template):
        return escaped(template) + "".join(f"*{text}" for text in known.values()) + "*"
    made: list[str] = []
    last = 0
    for found in PLACEHOLDER.finditer(template):
        made.append(escaped(template[last : found.start()]))
        name = ENDS_NAME.split(found[0][1:-1])[0]
        made.append(found[0][0] if found[0] in {"{{", "}}"} else known.get(name, "*"))
        last = found.end()
    made.append(escaped(template[last:]))
    return "".join(made)


def escaped(text: str) -> str:
    """Return a pattern that matches a text alone."""
    return WILDCARDS.sub(r"\\\1", text)
