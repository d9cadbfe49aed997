"""Options from an environment or a settings object; `os.environ` is never read here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct

from dualcache.core.nearest import nearest
from dualcache.errors import UsageError
from dualcache.options.checks import revealed, to_bool, to_int, to_namespace
from dualcache.options.durations import to_ms
from dualcache.options.option import Where
from dualcache.options.table import names

__all__ = ["KNOWN_VARIABLES", "Settings", "likely_address", "read_environment"]

_PREFIXES = ("DUALCACHE_", "REDIS_CACHE_")
_OWNER = "the environment"
_PARTS = ("REDIS_CACHE_HOST", "REDIS_CACHE_PORT", "REDIS_CACHE_PASSWORD", "REDIS_CACHE_DB")
KNOWN_VARIABLES = (
    *(f"DUALCACHE_{name.upper()}" for name in names(Where.ENVIRONMENT)),
    # Read by the test suite alone.
    "DUALCACHE_TEST_SERVERS",
    "REDIS_CACHE_URL",
    *_PARTS,
)
_ELSEWHERE = ("REDIS_URL", "VALKEY_URL", "CACHE_URL")
"""Where other programs say where a server is."""
_NO_FRONT = frozenset({"off", "no", "false", "none"})
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Settings(Struct, frozen=True):
    """The defaults of a `Cache` for arguments that are not given."""

    url: str | None = None
    """`None`: no server is configured."""
    namespace: str = ""
    ttl: float | None = None
    """Seconds; `None`: not set, so the default of `Cache` holds."""
    front: int | None = None
    """Entries of the front tier; `None`: one tier."""
    enabled: bool = True
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without the URL: it may hold a password.
        return (
            f"Settings(namespace={self.namespace!r}, ttl={self.ttl!r}, front={self.front!r}, "
            f"enabled={self.enabled!r}, warnings={self.warnings!r})"
        )


def read_environment(source: Mapping[str, Any] | object) -> Settings:
    """Read the variables of dualcache and of the endpoint decorator.

    `source` is a mapping, or an object with attributes of these names in upper or lower case, such
    as pydantic's settings. An empty variable counts as not set. An unknown variable with one of the
    prefixes becomes a warning in the result. A value that cannot be right is a `UsageError` that
    names its variable.
    """
    given = _given(source)
    texts = {name: _text(name, value) for name, value in given.items()}
    values = {name: text for name, text in texts.items() if text.strip()}
    ttl = values.get("DUALCACHE_TTL")
    return Settings(
        url=_url(values),
        namespace=_namespace(values.get("DUALCACHE_NAMESPACE", "")),
        ttl=None if ttl is None else to_ms(ttl, option="DUALCACHE_TTL", owner=_OWNER) / 1_000,
        front=_front(values.get("DUALCACHE_FRONT", "off")),
        enabled=to_bool(values.get("DUALCACHE_ENABLED", True), "DUALCACHE_ENABLED", owner=_OWNER),
        warnings=tuple(_warning(name) for name in sorted(given.keys() - {*KNOWN_VARIABLES})),
    )


def likely_address(source: Mapping[str, str]) -> str | None:
    """Return another program's variable that names a server; it is not read here."""
    starts = ("redis", "valkey", "unix")  # CACHE_URL may also lead to a server of another kind
    return next((name for name in _ELSEWHERE if source.get(name, "").startswith(starts)), None)


def _given(source: Any) -> dict[str, Any]:
    """Return the entries of a mapping, or the attributes of an object, with one of the prefixes."""
    if isinstance(source, Mapping):
        return {
            name: source[name]
            for name in source
            if isinstance(name, str) and name.startswith(_PREFIXES)
        }
    # A class of settings has its values as attributes, an object in its fields.
    names = {*KNOWN_VARIABLES, *(name.upper() for name in getattr(source, "__dict__", ()))}
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(source, name, getattr(source, name.lower(), None))
        if name.startswith(_PREFIXES) and value is not None:
            found[name] = value
    if not found.keys() & {*KNOWN_VARIABLES}:
        kind = type(source).__name__
        raise UsageError(
            f"settings of Cache() is of type {kind}, and has none of the known variables",
            code="DC132",
            details=(("known", ", ".join(KNOWN_VARIABLES)),),
            help="give a mapping or an object that has them, or the URL itself as Cache(url)",
        )
    return found


def _text(name: str, value: object) -> str:
    """Write a value as it would stand in the environment."""
    value = revealed(value)
    if value is None:
        return ""
    if isinstance(value, timedelta):
        return f"{value // timedelta(milliseconds=1)}ms"
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(
        f"{name} of {_OWNER} is of type {type(value).__name__}",
        code="DC152",
        help="write text or a number",
    )


def _namespace(text: str) -> str:
    return to_namespace(text.strip(), "DUALCACHE_NAMESPACE", owner=_OWNER)


def _front(text: str) -> int | None:
    if text.strip().lower() in _NO_FRONT:
        return None
    return to_int(text, "DUALCACHE_FRONT", owner=_OWNER) or None


def _url(values: Mapping[str, str]) -> str | None:
    for name in ("DUALCACHE_URL", "REDIS_CACHE_URL"):
        if name in values:
            return values[name].strip()
    if not any(name in values for name in _PARTS):
        return None
    port = to_int(
        values.get("REDIS_CACHE_PORT", 6379),
        "REDIS_CACHE_PORT",
        owner=_OWNER,
        minimum=1,
        maximum=65_535,
    )
    db = to_int(values.get("REDIS_CACHE_DB", 0), "REDIS_CACHE_DB", owner=_OWNER)
    host = _host(values.get("REDIS_CACHE_HOST", "localhost").strip())
    password = values.get("REDIS_CACHE_PASSWORD", "")
    user_info = f":{_quoted(password)}@" if password else ""
    return f"redis://{user_info}{host}:{port}/{db}"


def _host(text: str) -> str:
    if not text.isprintable() or any(character in "/?#@% " for character in text):
        raise UsageError(
            f"REDIS_CACHE_HOST of {_OWNER} is not a host name",
            code="DC155",
            help="write a host name or an address; put a whole URL into REDIS_CACHE_URL",
        )
    is_bare_ipv6 = text.count(":") > 1 and not text.startswith("[")
    return f"[{text}]" if is_bare_ipv6 else text


def _quoted(secret: str) -> str:
    octets = secret.encode("utf-8", "surrogatepass")
    return "".join(chr(octet) if octet in _UNRESERVED else f"%{octet:02X}" for octet in octets)


def _warning(name: str) -> str:
    close = nearest(name, KNOWN_VARIABLES)
    hint = f"; did you mean {close}?" if close else ""
    return f"the environment variable {name} is not known to dualcache{hint}"
