"""Checks of single options: from the value as it was written to the one that the engine uses.

Each check returns the clean value or raises a `UsageError` that names the option, its owner and
the fix. What was given is not shown: it may be a secret in the wrong place.
"""

from __future__ import annotations

from typing import Any

from dualcache.errors import UsageError

__all__ = [
    "revealed",
    "subject",
    "to_bool",
    "to_int",
    "to_namespace",
    "to_share",
    "to_size",
]

_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
_LONGEST_NUMBER = 20
_PUNCTUATION = "._-"


def revealed(value: Any) -> Any:
    """Return the text of a pydantic secret or URL, as settings hold them; any other value as it is.

    They are known by their methods, so that pydantic need not be imported.
    """
    if isinstance(value, str):
        return value
    reveal = getattr(value, "get_secret_value", None)
    if reveal is not None:
        return revealed(reveal())
    package = type(value).__module__.partition(".")[0]
    is_url = package in ("pydantic", "pydantic_core") and hasattr(value, "unicode_string")
    return value.unicode_string() if is_url else value


def to_share(value: object, option: str, *, owner: str = "") -> float:
    """Check a share of a whole: a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refusal(option, owner, f"is {_a(value)}, not a number", "a number from 0 to 1")
    if not 0 <= value <= 1:  # nor nan
        raise _refusal(option, owner, "is not between 0 and 1", "a number from 0 to 1")
    return float(value)


def to_int(
    value: object,
    option: str,
    *,
    owner: str = "",
    minimum: int = 0,
    maximum: int | None = None,
) -> int:
    """Check a whole number, given as such or as decimal digits."""
    fix = f"a whole number, {minimum} or more"
    if maximum is not None:
        fix = f"a whole number from {minimum} to {maximum}"
    if isinstance(value, str):
        value = _digits(value)
        if value is None:
            raise _refusal(option, owner, "is not a whole number", fix)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refusal(option, owner, f"is {_a(value)}, not a whole number", fix)
    if value < minimum or (maximum is not None and value > maximum):
        raise _refusal(option, owner, "is out of range", fix)
    return int(value)


def to_size(
    value: object, option: str, *, owner: str = "", minimum: int = 0, allow_none: bool = False
) -> int | None:
    """Check a number of bytes; `None`, where it is allowed, is no bound."""
    if value is None and allow_none:
        return None
    if type(value) is not int or value < minimum:
        raise UsageError(
            f"{subject(option, owner)} is not a number of bytes",
            code="DC175",
            help=f"give {option}= an int of at least {minimum}",
        )
    return value


def to_bool(value: object, option: str, *, owner: str = "") -> bool:
    """Check a yes or no, given as a bool or as one of the usual words."""
    if isinstance(value, bool):
        return value
    word = _WORDS.get(str(value).strip().lower()) if isinstance(value, int | str) else None
    if word is None:
        raise _refusal(option, owner, "is neither yes nor no", "true or false")
    return word


def to_namespace(value: object, option: str = "namespace", *, owner: str = "") -> str:
    """Check a namespace: ASCII letters, digits and `._-`; the empty one is none at all."""
    fix = 'letters, digits and "._-" only, such as "shop" or "shop.v2"'
    if not isinstance(value, str):
        raise _refusal(option, owner, f"is {_a(value)}, not text", fix, code="DC153")
    for at, character in enumerate(value):
        if not (character.isascii() and (character.isalnum() or character in _PUNCTUATION)):
            raise UsageError(
                f"{subject(option, owner)} holds a character that is not allowed there",
                code="DC153",
                details=(("position", str(at)), ("character", f"U+{ord(character):04X}")),
                help=f"write {fix}",
            )
    return value


def subject(option: str, owner: str) -> str:
    """Name an option and, where it is known, whose it is: `ttl of get_user()`."""
    return f"{option} of {owner}" if owner else option


def _refusal(
    option: str, owner: str, problem: str, wanted: str, *, code: str = "DC152"
) -> UsageError:
    return UsageError(f"{subject(option, owner)} {problem}", code=code, help=f"write {wanted}")


def _a(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _digits(text: str) -> int | None:
    stripped = text.strip()
    unsigned = stripped.removeprefix("-")
    # int() also takes "1_000" and other scripts' digits, and is slow on very long text.
    is_number = unsigned.isascii() and unsigned.isdigit() and len(unsigned) <= _LONGEST_NUMBER
    return int(stripped) if is_number else None
