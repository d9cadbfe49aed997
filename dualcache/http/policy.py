"""`HttpPolicy`: the options of `cache.http`, checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import Struct
from msgspec.structs import replace

from dualcache.core.entry import MISSING
from dualcache.errors import UsageError
from dualcache.keys.names import several
from dualcache.keys.templates import parse_template
from dualcache.options.checks import to_bool
from dualcache.options.durations import to_ms
from dualcache.options.written import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from dualcache.http.keys import Query

__all__ = ["HttpPolicy", "http_policy"]

OWNER: Final = "cache.http()"
FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
WRITE_LIST: Final = 'write them as a list: ["…"]'

DEFAULTS: Final[dict[str, Any]] = {
    "ttl": MISSING,
    "client_ttl": 0,
    "vary": ("accept-language",),
    "public": False,
    "key": None,
    "tags": (),
    "query": True,
    "honor_request": False,
    "shared": False,
    "invalidates": (),
    "stale_while_revalidate": 0,
    "stale_if_error": 0,
    "statuses": (),
}
"""Every option, and what holds where it is not written."""


class HttpPolicy(Struct, frozen=True):
    """How the responses of one route are kept and sent; durations are in seconds.

    `ttl_ms` is how long an entry is fresh, `None` for ever. `vary` are names of fields in lower
    case, `vary_of` and `key_of` functions of the request, `max_bytes` is the most that the cache
    keeps.
    """

    ttl_ms: int | None
    client_ttl: int
    vary: tuple[str, ...]
    vary_of: Callable[[Any], object] | None
    is_public: bool
    key: str | None
    key_of: Callable[[Any], str] | None
    tags: tuple[str, ...]
    query: Query
    honors_request: bool
    is_shared: bool
    invalidates: tuple[str, ...]
    stale_while_revalidate: int
    stale_if_error: int
    statuses: frozenset[int]
    max_bytes: int

    @property
    def names_identity(self) -> bool:
        """Whether the key tells apart who asks, by a function or by a field that says so."""
        is_function = self.vary_of is not None or self.key_of is not None
        return is_function or bool({"cookie", "authorization"}.intersection(self.vary))

    def covers(self, name: bytes) -> bool:
        """Tell whether a request with this field may be answered from the cache."""
        is_function = self.vary_of is not None or self.key_of is not None
        return self.is_shared or is_function or name.decode() in self.vary

    def with_fields(self, names: Collection[str]) -> HttpPolicy:
        """Return the policy whose key holds these fields too.

        Fields that identify the caller are not among them: a request with one passes by default.
        """
        more = {*names} - {"cookie", "authorization"}
        return replace(self, vary=tuple(sorted({*self.vary, *more}))) if more else self

    def varies_by(self, name: str) -> bool:
        """Tell whether the key holds a field that a response's `Vary` names."""
        return name.lower() in self.vary


def http_policy(
    written: Mapping[str, Any], default_ttl_ms: int | None, max_bytes: int
) -> HttpPolicy:
    """Check the options as they were written; raises `UsageError` that names the wrong one."""
    refuse_unknown(written, tuple(DEFAULTS), owner=OWNER)
    options = {**DEFAULTS, **written}
    ttl, vary = options["ttl"], options["vary"]
    key: Any = options["key"]
    vary_of = vary if callable(vary) else None
    is_public = _bool(options, "public")
    if is_public and vary_of is not None:
        raise UsageError(
            f"{OWNER} has public=True, and a vary that is a function",
            code="DC434",
            details=[("why", "caches between here and the client cannot know what it looks at")],
            help='name the header fields it reads: vary=["x-tenant"], or leave public=True out',
        )
    own_ttl_ms = None if ttl is MISSING else to_ms(ttl, "ttl", owner=OWNER, allow_none=True)
    return HttpPolicy(
        ttl_ms=default_ttl_ms if ttl is MISSING else own_ttl_ms,
        client_ttl=_seconds(options, "client_ttl"),
        vary=() if vary_of is not None else _field_names(vary),
        vary_of=vary_of,
        is_public=is_public,
        key=None if key is None or callable(key) else _template(key, "key"),
        key_of=cast("Callable[[Any], str]", key) if callable(key) else None,
        tags=_templates(options, "tags"),
        query=_query(options["query"]),
        honors_request=_bool(options, "honor_request"),
        is_shared=_bool(options, "shared"),
        invalidates=_templates(options, "invalidates"),
        stale_while_revalidate=_seconds(options, "stale_while_revalidate"),
        stale_if_error=_seconds(options, "stale_if_error"),
        statuses=_statuses(options["statuses"]),
        max_bytes=max_bytes,
    )


def _bool(options: Mapping[str, Any], option: str) -> bool:
    return to_bool(options[option], option, owner=OWNER)


def _seconds(options: Mapping[str, Any], option: str) -> int:
    """Return a duration in whole seconds, as header fields have them."""
    return -(-to_ms(options[option], option, owner=OWNER) // 1000)


def _field_names(vary: Any) -> tuple[str, ...]:
    names = several(vary, f"vary of {OWNER}", WRITE_LIST)
    for name in names:
        if not isinstance(name, str) or not FIELD_NAME.fullmatch(name) or name == "*":
            raise UsageError(
                f"vary of {OWNER} holds something that is not the name of a header field",
                code="DC430",
                help='write vary=["accept-language"], or a function of the request',
            )
    return tuple(sorted({name.lower() for name in names}))


def _templates(options: Mapping[str, Any], option: str) -> tuple[str, ...]:
    given = several(options[option], f"{option} of {OWNER}", WRITE_LIST)
    return tuple(_template(each, option) for each in given)


def _template(written: Any, option: str) -> str:
    if not isinstance(written, str) or not written:
        raise UsageError(
            f"{option} of {OWNER} is not text",
            code="DC431",
            help=f'write a template of path parameters: {option}="post:{{post_id}}"'
            if option == "key"
            else f'write templates of path parameters: {option}=["post:{{post_id}}"]',
        )
    parse_template(written, what=option, owner=OWNER)
    return written


def _query(query: Any) -> Query:
    if isinstance(query, bool):
        return query
    names: Iterable[Any] = (
        [query] if isinstance(query, str) else several(query, f"query of {OWNER}", WRITE_LIST)
    )
    kept = tuple(names)
    if not all(isinstance(name, str) and name.removeprefix("!") for name in kept):
        raise UsageError(
            f"query of {OWNER} holds something that is not the name of a parameter",
            code="DC432",
            help='write the names that count (["page", "q"]) or those that do not (["!utm_*"])',
        )
    return kept or False


def _statuses(statuses: Any) -> frozenset[int]:
    found = frozenset(several(statuses, f"statuses of {OWNER}", "write statuses=[404]"))
    if not all(isinstance(each, int) and 400 <= each < 600 for each in found):
        raise UsageError(
            f"statuses of {OWNER} holds something that is not a status of 400 or more",
            code="DC433",
            help="write statuses=[404, 410]: responses below 400 are stored anyway",
        )
    return found
