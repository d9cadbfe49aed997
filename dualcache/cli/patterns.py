"""From what a person names to a pattern over keys."""

from __future__ import annotations

import re
from typing import Final

from dualcache import UsageError

PLACEHOLDER: Final = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
WILDCARDS: Final = re.compile(r"([*?\[\]\\])")


def chosen_pattern(pattern: str | None, template: str | None) -> str:
    """Return the one pattern that was given, or that of all keys."""
    if pattern is not None and template is not None:
        raise UsageError(
            "a pattern and a template are given",
            code="DC492",
            help="give one of them",
        )
    if template is not None:
        return pattern_of(template)
    return "*" if pattern is None else pattern


def pattern_of(template: str) -> str:
    """Return the pattern of all keys of a template: a `*` for each placeholder.

    A text without a placeholder is the name of a function, whose arguments follow it.
    """
    if not PLACEHOLDER.search(template):
        return WILDCARDS.sub(r"\\\1", template) + "*"
    made: list[str] = []
    last = 0
    for found in PLACEHOLDER.finditer(template):
        made.append(WILDCARDS.sub(r"\\\1", template[last : found.start()]))
        made.append(found[0][0] if found[0] in {"{{", "}}"} else "*")
        last = found.end()
    made.append(WILDCARDS.sub(r"\\\1", template[last:]))
    return "".join(made)
