"""Which options of the connection go with which scheme of a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.errors import UsageError
from dualcache.options.option import Part, Where
from dualcache.options.table import checked, names
from dualcache.options.target_checks import without_surrogates

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CLUSTER_SCHEMES",
    "OWNER",
    "SENTINEL_SCHEMES",
    "TLS_SCHEMES",
    "checked_option",
    "checked_text",
    "options_of",
    "refuse_tls_option",
]

OWNER: Final = "the URL"
SENTINEL_SCHEMES: Final = (
    *("redis+sentinel", "rediss+sentinel", "valkey+sentinel", "valkeys+sentinel"),
)
CLUSTER_SCHEMES: Final = (
    *("redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster"),
)
_TLS_OF: Final = {
    "redis": "rediss",
    "valkey": "valkeys",
    "redis+sentinel": "rediss+sentinel",
    "valkey+sentinel": "valkeys+sentinel",
    "redis+cluster": "rediss+cluster",
    "valkey+cluster": "valkeys+cluster",
}
TLS_SCHEMES: Final = frozenset(_TLS_OF.values())
_TLS_SWITCHES: Final = frozenset({"ssl", "tls", "use_ssl", "use_tls"})
"""Arguments by which other clients switch TLS on; here the scheme does."""

_MEMORY: Final = frozenset(names(Where.URL, Part.MEMORY))
_PLAIN: Final = frozenset(names(Where.URL, Part.CONNECTION))
_ENCRYPTED: Final = frozenset(names(Where.URL, Part.CONNECTION, Part.TLS))
_OF_SENTINELS: Final = frozenset(names(Where.URL, Part.SENTINEL))


def options_of(scheme: str) -> frozenset[str]:
    """Return the names of the options that a URL of this scheme takes."""
    if scheme == "memory":
        return _MEMORY
    if scheme == "null":
        return frozenset()
    known = _ENCRYPTED if scheme in TLS_SCHEMES else _PLAIN
    return known | _OF_SENTINELS if scheme in SENTINEL_SCHEMES else known


def checked_option(name: str, value: Any) -> Any:
    """Return the clean value of an option of the connection; a `UsageError` never shows it."""
    return checked(name, value, owner=OWNER)


def checked_text(text: str) -> str:
    """Refuse a part of the URL that cannot be sent as UTF-8."""
    return without_surrogates(text, owner=OWNER)


def refuse_tls_option(given: Iterable[str], scheme: str, *, owner: str) -> None:
    """Raise for an option of TLS where the scheme says all there is to say of it."""
    for name in given:
        is_switch = name in _TLS_SWITCHES
        if scheme in _TLS_OF and (is_switch or name.startswith("ssl_")):
            fix = f"write {_TLS_OF[scheme]}://, which means TLS"
        elif scheme in TLS_SCHEMES and is_switch:
            fix = f"leave it out: {scheme}:// means TLS"
        else:
            continue
        raise UsageError(f"{owner} has no option {name}", code="DC151", help=fix)
