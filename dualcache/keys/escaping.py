"""Percent escapes for names in Redis: of values, of structure inside values, of literal text.

All three write UTF-8 bytes as `%XX` in upper case and keep every other character.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["escape", "escape_literal", "escape_part"]

# White space (Unicode's too), C0 and C1 controls, lone surrogates.
_INVISIBLE = r"\s\x00-\x1f\x7f-\x9f\ud800-\udfff"
_SPECIAL = r"%:{}*?\[\]\\"

_literal = re.compile(f"[{_INVISIBLE}]")
_value = re.compile(f"[{_SPECIAL}{_INVISIBLE}]")
_part = re.compile(f"[{_SPECIAL}{_INVISIBLE}'(),=]")


def escape(text: str) -> str:
    """Escape a value, so that it can forge neither a separator nor a wildcard."""
    if text.isalnum() or _value.search(text) is None:
        return text
    return _value.sub(_percent, text)


def escape_part(text: str) -> str:
    """Escape text that stands inside a canonical form: a value's escapes, and `' ( ) , =`."""
    if text.isalnum() or _part.search(text) is None:
        return text
    return _part.sub(_percent, text)


def escape_literal(text: str) -> str:
    """Escape a name that the caller wrote: only white space, controls and lone surrogates."""
    if text.isalnum() or _literal.search(text) is None:
        return text
    return _literal.sub(_percent, text)


def _percent(found: re.Match[str]) -> str:
    character = found[0]
    known = _ASCII.get(character)
    if known is not None:
        return known
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


# Spaces and colons are in many names, and every hit spells its key.
_ASCII: Final = {chr(code): f"%{code:02X}" for code in range(0x80)}
