"""Header fields of requests and responses: how they are found, read and joined.

A field is a pair of bytes with its name in lower case, as ASGI has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Fields", "directives", "field", "has_field", "items", "values_of"]

Fields: TypeAlias = "list[tuple[bytes, bytes]]"


def values_of(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """Return the values of all lines of a field."""
    return [value for key, value in fields if key == name]


def field(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> str:
    """Return a field as one text, its lines joined (RFC 9110 §5.2); empty where there is none."""
    return ", ".join(value.decode("latin-1").strip() for value in values_of(fields, name))


def has_field(fields: Iterable[tuple[bytes, bytes]], name: bytes) -> bool:
    return any(key == name for key, _ in fields)


def items(text: str) -> Iterator[str]:
    """Yield the members of a comma-separated list; a comma within quotes separates nothing."""
    start, is_quoted, is_escaped = 0, False, False
    for at, char in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif char == "\\" and is_quoted:
            is_escaped = True
        elif char == '"':
            is_quoted = not is_quoted
        elif char == "," and not is_quoted:
            if member := text[start:at].strip():
                yield member
            start = at + 1
    if member := text[start:].strip():
        yield member


def directives(text: str) -> dict[str, str]:
    """Read a `Cache-Control`: names in lower case, values without quotes, empty for none.

    The first of two equal directives counts (RFC 9111 §4.2.1).
    """
    found: dict[str, str] = {}
    for member in items(text):
        name, _, value = member.partition("=")
        found.setdefault(name.strip().lower(), value.strip().strip('"'))
    return found
