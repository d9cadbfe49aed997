"""Values that a key must not show: how names identify them, and the digest of a value."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

__all__ = ["digest", "is_credential", "is_secret_name"]

_DIGEST_BYTES: Final = 16
_SECRETS: Final = frozenset(
    {"token", "secret", "password", "passwd", "pwd", "passphrase", "passcode", "authorization"}
    | {"credential", "credentials", "bearer", "jwt", "otp", "apikey", "cookie", "cookies"}
    | {"tokens", "secrets", "passwords", "authtoken", "accesstoken"}
)
_SECRET_PAIRS: Final = frozenset(
    {("api", "key"), ("access", "key"), ("private", "key"), ("auth", "key"), ("signing", "key")}
    | {("auth", "header"), ("session", "key"), ("pass", "phrase"), ("pass", "word")}
)
# `token_id` and `max_tokens` say something about a secret, or about the words of a text.
_ABOUT_FIRST: Final = frozenset(
    {"max", "min", "num", "number", "total", "is", "has", "needs", "with", "no"}
)
_ABOUT_LAST: Final = frozenset(
    {"id", "ids", "uuid", "name", "names", "type", "kind", "scheme", "count", "counts", "limit"}
    | {"length", "size", "index", "position", "ttl", "age", "expiry", "expires", "at", "url"}
    | {"number", "total", "enabled", "required"}
)
# A scheme of RFC 9110 and what follows it; the head of a JSON Web Token, which begins with `{"`.
_credential: Final = re.compile(
    r"(?:(?:bearer|basic|digest|token|negotiate) +\S|eyJ[\w-]+\.)", re.IGNORECASE
)
_word: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@lru_cache(1_024)
def is_secret_name(name: str) -> bool:
    """Return whether a parameter, attribute or item of this name holds a secret.

    A whole word of the name says so: `token`, `api_key`, `X-Auth-Token`, `userPassword`.
    """
    words = [word.lower() for word in _word.findall(name)]
    if not words or words[0] in _ABOUT_FIRST or words[-1] in _ABOUT_LAST:
        return False
    return not _SECRETS.isdisjoint(words) or not _SECRET_PAIRS.isdisjoint(pairwise(words))


def is_credential(value: object) -> bool:
    """Tell whether a value is text as it stands in an Authorization header, or a signed token."""
    return isinstance(value, str) and _credential.match(value) is not None


def digest(form: str) -> str:
    """Return the digest that replaces a hidden value in a key: `~` and 32 hexadecimal digits.

    Anybody who can guess the value can compute the digest: it hides long random secrets from
    MONITOR, SCAN and logs, and hides short ones from a glance only.
    """
    # Imported here: it loads OpenSSL, and few keys need it.
    from hashlib import blake2b

    data = form.encode("utf-8", "surrogatepass")
    return f"~{blake2b(data, digest_size=_DIGEST_BYTES).hexdigest()}"
