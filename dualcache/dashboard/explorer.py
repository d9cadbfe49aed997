"""The keys that are stored, looked up by what a person knows of them."""

from __future__ import annotations

from itertools import islice
from pprint import pformat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import RedisError

from dualcache import MISSING, BackendError, DualCacheError, MissingClientError, UsageError
from dualcache.inspection.patterns import chosen_pattern, pattern_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache, Entry

MOST_KEYS: Final = 100
MOST_LOOKED_AT: Final = 10_000
"""Of so many entries the tags are read, where a tag is looked for."""
PREVIEW_CHARACTERS: Final = 2_000


class Query(NamedTuple):
    """What is looked for; an empty text says nothing."""

    pattern: str = ""
    template: str = ""
    arguments: str = ""
    tag: str = ""


def found(cache: Cache, query: Query, *, limit: int = MOST_KEYS) -> dict[str, Any]:
    """Return rows of entries, and whether there are more. Raises `UsageError`, `BackendError`."""
    names = dict.fromkeys(islice(cache.keys(asked_pattern(cache, query)), MOST_LOOKED_AT))
    rows: list[dict[str, Any]] = []
    for row in rows_of(cache, names):
        if query.tag and query.tag not in row.get("tags", ()):
            continue
        if len(rows) == limit:
            return {"rows": with_sizes(cache, rows), "is_cut": True}
        rows.append(row)
    return {"rows": with_sizes(cache, rows), "is_cut": len(names) == MOST_LOOKED_AT}


def asked_pattern(cache: Cache, query: Query) -> str:
    """Return the pattern over keys that a query stands for."""
    if not query.template:
        return chosen_pattern(query.pattern or None, None)
    if query.pattern:
        return chosen_pattern(query.pattern, query.template)
    given = arguments_in(query.arguments)
    # Each is escaped as in a key: `a:b` is one argument, and looks like one.
    texts = {name: cache.key("{value}", value=text) for name, text in given.items()}
    return pattern_of(query.template, texts)


def arguments_in(text: str) -> dict[str, str]:
    """Read `user_id=42, lang=de`."""
    pairs = [each.partition("=") for each in text.split(",") if each.strip()]
    wrong = next((name for name, equals, _ in pairs if not equals), None)
    if wrong is not None:
        raise UsageError(
            "an argument has no name",
            code="DC503",
            help="write name=value, and a comma between two: user_id=42, lang=de",
        )
    return {name.strip(): value.strip() for name, _, value in pairs}


def rows_of(cache: Cache, names: dict[str, None]) -> Iterator[dict[str, Any]]:
    """Yield the row of each entry."""
    for name in names:
        try:
            entry = cache.peek(name)
        except BackendError:
            raise
        except DualCacheError as error:  # another codec, another secret
            yield {"key": name, "error": error.what}
            continue
        if entry is not None:
            yield row_of(name, entry)


def row_of(name: str, entry: Entry) -> dict[str, Any]:
    """Return the row of an entry: everything except its value."""
    return {
        "key": name,
        "age": entry.age,
        "ttl": entry.ttl,
        "tier": entry.tier,
        "is_stale": entry.stale,
        "is_negative": entry.negative,
        "tags": list(entry.tags),
    }


def with_sizes(cache: Cache, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add how many bytes each entry has on the server, in one trip."""
    prefix = f"{cache.namespace}:" if cache.namespace else ""
    try:
        trip: Any = cache.client.pipeline(transaction=False)
        for row in rows:
            trip.strlen(prefix + row["key"])
        sizes = trip.execute(raise_on_error=False)
    except (MissingClientError, RedisError, OSError):
        return rows
    for row, size in zip(rows, sizes, strict=True):
        row["size"] = size if isinstance(size, int) else None
    return rows


def value_text(cache: Cache, name: str) -> str:
    """Return the beginning of a value as Python writes it."""
    entry = cache.peek(name)
    if entry is None:
        return "nothing is stored"
    if entry.negative:
        return f"raises {entry.error!r}" if entry.error else "raises an exception"
    if entry.value is MISSING:
        return "only the type that its function returns reads it"
    text = pformat(entry.value, width=80, sort_dicts=False)
    is_long = len(text) > PREVIEW_CHARACTERS
    return text[:PREVIEW_CHARACTERS] + ("…" if is_long else "")
