"""Names of keys, tags and patterns as they stand in Redis: escaped, and bounded in length.

How a value is written inside a name is in `canonical`; what an annotation says in `annotations`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from dualcache.errors import UsageError
from dualcache.keys.escaping import escape_literal
from dualcache.keys.globs import has_wildcard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

_whole_part = re.compile(r"(?:^|[:_/.-])\*|\*(?:[:_/.-]|$)")

__all__ = [
    "MAX_KEY_BYTES",
    "SURELY_SHORT",
    "fit",
    "full_tags",
    "is_pattern",
    "no_pattern",
    "no_patterns",
    "several",
    "star_in_key",
    "user_key",
    "user_pattern",
    "user_tag",
]

MAX_KEY_BYTES = 512
SURELY_SHORT = MAX_KEY_BYTES // 4
"""So many characters always fit: one takes at most four bytes."""

# What stands in Redis as it was written: short, of visible ASCII, no star in it, no ~ before it.
_PLAIN = rf"[!-)+-}}][!-)+-~]{{0,{SURELY_SHORT - 1}}}+"
_plain_lines = re.compile(rf"{_PLAIN}(?:\n{_PLAIN})*+")

_DIGEST_BYTES = 20
_END_BYTES = (MAX_KEY_BYTES - 2 * _DIGEST_BYTES - len("~~")) // 2


def fit(name: str) -> str:
    """Keep a name of up to 512 UTF-8 bytes; of a longer one keep head and tail around a digest.

    So that patterns over either end still match. Both have up to 235 bytes.
    """
    if len(name) <= SURELY_SHORT:
        return name
    data = name.encode("utf-8", "surrogatepass")
    if len(data) <= MAX_KEY_BYTES:
        return name
    # Imported here: it loads OpenSSL, and few keys are this long.
    from hashlib import blake2b

    digest = blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()
    # A character that is cut in two is left out.
    head = data[:_END_BYTES].decode("utf-8", "ignore")
    tail = data[-_END_BYTES:].decode("utf-8", "ignore")
    return f"{head}~{digest}~{tail}"


def several(names: Iterable[T], what: str, fix: str) -> list[T]:
    """Return names as a list; `UsageError` for a single text, which would give its characters.

    `what` says which names they are, `fix` what to write instead.
    """
    if isinstance(names, str | bytes | bytearray):
        raise UsageError(f"{what} is one text, not several names", code="DC157", help=fix)
    try:
        return list(names)
    except TypeError:
        kind = type(names).__name__
        raise UsageError(
            f"{what} is of type {kind}, not several names", code="DC157", help=fix
        ) from None


def user_key(key: object) -> str:
    """Check and write a key that the caller gave directly; `UsageError` if it cannot be one."""
    return fit(_not_internal(_user_text(key, "key"), "key"))


def no_pattern(key: object) -> str:
    """Check and write a key that the caller wants to delete; `UsageError` if it is a pattern."""
    if isinstance(key, str) and is_pattern(key):
        raise star_in_key('did you mean patterns=["…*"]? In a pattern, \\* is a star of the key')
    return user_key(key)


def no_patterns(keys: Sequence[str]) -> list[str]:
    """Check and write keys that the caller wants to delete: as `no_pattern` each, but in one look.

    Most keys need no escape, and there may be thousands.
    """
    try:
        text = "\n".join(keys)
    except TypeError:  # one of them is no text: refused below
        text = ""
    if _plain_lines.fullmatch(text):
        names = text.split("\n")
        if len(names) == len(keys):
            return names
    return [no_pattern(key) for key in keys]


def is_pattern(key: str) -> bool:
    """Tell whether a key was meant as a pattern: a star stands for a whole part of it.

    Other stars, and `?` and `[`, stand in keys too: in formulas, in URLs.
    """
    return _whole_part.search(key) is not None


def star_in_key(help_line: str) -> UsageError:
    """Build the error for a key to delete that is meant as a pattern."""
    return UsageError(
        "a key to invalidate holds a *, which is not a wildcard there", code="DC128", help=help_line
    )


def user_pattern(pattern: object) -> str:
    """Check and write a glob pattern over keys; its wildcards stay.

    A pattern is matched against the stored name: of a key longer than 512 bytes, head and tail.
    """
    name = _not_internal(_user_text(pattern, "pattern"), "pattern")
    return name if has_wildcard(name) else fit(name)


def user_tag(tag: object) -> str:
    """Check and write a tag: any text that is not empty."""
    return fit(_user_text(tag, "tag"))


def full_tags(prefix: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return the keys under which tags live."""
    return tuple([f"{prefix}~t:{name}" for name in names])


def _user_text(name: object, what: str) -> str:
    if not isinstance(name, str):
        raise UsageError(
            f"a {what} must be text",
            code="DC106",
            details=[("given", f"a value of type {type(name).__name__}")],
            help=f'write it as text, or build it with cache.key("…:{{id}}", id=…) as a {what}',
        )
    if not name:
        raise UsageError(f"a {what} must not be empty", code="DC106", help="give it a name")
    return escape_literal(str.__str__(name))


def _not_internal(name: str, what: str) -> str:
    if name.startswith("~"):
        raise UsageError(
            f"a {what} must not begin with ~",
            code="DC107",
            help="begin it with another character: names with ~ belong to the cache",
        )
    return name
