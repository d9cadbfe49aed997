"""Redis glob patterns, matched on bytes as the server's own matcher does.

Source of the rules: `stringmatchlen` in Redis's util.c, with its unclosed and reversed classes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["compile_glob", "has_wildcard", "literal_head", "matches_everything", "open_ended"]

Item: TypeAlias = "frozenset[int] | None"
"""The bytes that one position may hold, or `None` for a star."""

_ANY_BYTE = frozenset(range(256))
_STAR, _ONE, _OPEN, _CLOSE, _NOT, _TO, _QUOTE = b"*?[]^-\\"
_WILDCARDS = (_STAR, _ONE, _OPEN)


def compile_glob(pattern: str) -> Callable[[bytes], bool]:
    """Return a function that tells whether a key's bytes match `pattern`."""
    items = list(_items(_to_bytes(pattern)))
    find = re.compile(_expression(items), re.DOTALL).fullmatch

    def matches(key: bytes) -> bool:
        return find(key) is not None

    return matches


def has_wildcard(pattern: str) -> bool:
    """Tell whether `pattern` holds a wildcard that no backslash escapes."""
    return re.search(r"(?<!\\)(?:\\\\)*[*?\[]", pattern) is not None


def open_ended(pattern: str) -> str:
    """Return a pattern that has a wildcard at its end: `pattern` itself, or with a star."""
    data = _to_bytes(pattern)
    # Only reading it from its start tells: "[?-]-" is one class, which nobody closed.
    last = max((at for at, _ in _pieces(data)), default=None)
    if last is not None and data[last] in _WILDCARDS:
        return pattern
    slashes = len(pattern) - len(pattern.rstrip("\\"))
    # A lone backslash at the end stands for itself, and would escape the star.
    return f"{pattern}\\*" if slashes % 2 else f"{pattern}*"


def literal_head(pattern: str, most: int) -> str:
    """Return how every matching name begins, as a pattern of at most `most` characters."""
    literals = re.compile(rf"(?:[^*?\[\\]|\\.){{0,{most}}}", re.DOTALL)
    found = literals.match(pattern)
    return found[0] if found else ""


def matches_everything(pattern: str) -> bool:
    """Tell whether every key that is not empty matches `pattern`."""
    items = list(_items(_to_bytes(pattern)))
    ones = [item for item in items if item is not None]
    return len(ones) < len(items) and len(ones) <= 1 and all(one == _ANY_BYTE for one in ones)


def _to_bytes(pattern: str) -> bytes:
    return pattern.encode("utf-8", "surrogatepass")


def _items(pattern: bytes) -> Iterator[Item]:
    return (item for _, item in _pieces(pattern))


def _pieces(pattern: bytes) -> Iterator[tuple[int, Item]]:
    """Yield each item of a pattern with the place where it begins."""
    at = 0
    while at < len(pattern):
        begin, byte = at, pattern[at]
        if byte == _STAR:
            yield begin, None
        elif byte == _ONE:
            yield begin, _ANY_BYTE
        elif byte == _OPEN:
            members, at = _class(pattern, at + 1)
            yield begin, members
        else:
            if byte == _QUOTE and at + 1 < len(pattern):
                at += 1
            yield begin, frozenset((pattern[at],))
        at += 1


def _class(pattern: bytes, at: int) -> tuple[frozenset[int], int]:
    """Read a class from behind its `[`; return its bytes and the place of its last character."""
    is_negated = pattern[at : at + 1] == b"^"
    at += is_negated
    members: set[int] = set()
    while at < len(pattern) and pattern[at] != _CLOSE:
        if pattern[at] == _QUOTE and at + 1 < len(pattern):
            at += 1
            members.add(pattern[at])
        elif at + 2 < len(pattern) and pattern[at + 1] == _TO:
            members.update(_between(pattern[at], pattern[at + 2]))
            at += 2
        else:
            members.add(pattern[at])
        at += 1
    return frozenset(_ANY_BYTE - members if is_negated else members), at


def _between(first: int, last: int) -> Iterator[int]:
    """Yield the bytes of a range in either direction; the server compares signed chars."""
    low, high = sorted(byte - 256 if byte > 127 else byte for byte in (first, last))
    return (number % 256 for number in range(low, high + 1))


def _expression(items: list[Item]) -> bytes:
    chunks: list[bytes] = [b""]
    for item in items:
        if item is None:
            chunks.append(b"")
        else:
            chunks[-1] += _one(item)
    if len(chunks) == 1:
        return chunks[0]
    # All chunks are of fixed length, so each may settle for its first place: no backtracking.
    middle = b"".join(b"(?>.*?%s)" % chunk for chunk in chunks[1:-1] if chunk)
    return b"%s%s.*%s" % (chunks[0], middle, chunks[-1])


def _one(members: frozenset[int]) -> bytes:
    if len(members) == 1:
        return re.escape(bytes(members))
    if members == _ANY_BYTE:
        return b"."
    if not members:
        return b"(?!)"
    return b"[%s]" % b"".join(b"\\x%02x" % byte for byte in sorted(members))
