"""`dualcache get`."""

from __future__ import annotations

import sys
from pprint import pformat
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace
from redis.exceptions import ResponseError

from dualcache import MISSING, MissingClientError, outline_of, read_head
from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.options import connected
from dualcache.cli.printing import complain, seconds, shown

if TYPE_CHECKING:
    from dualcache import Cache, Entry
    from dualcache.cli.session import Session


@click.command()
@click.argument("key")
@click.option("--raw", is_flag=True, help="Write the stored bytes, header included, to stdout.")
@click.option("--meta", is_flag=True, help="Add age, ttl, tags and size.")
@connected
def get(session: Session, key: str, raw: bool, meta: bool) -> int:
    """Print the value under KEY.

    Prints Python or, with --json, JSON.
    """
    cache = session.answering()
    content = stored_bytes(cache, key)
    entry = None if raw else cache.peek(key)
    if entry is not None and entry.value is MISSING:
        value = outline_of(stored_name(cache, key), content)
        entry = replace(entry, value=value)
    if raw and content:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return DONE
    if entry is None:
        complain(why_not(key, content))
        return NOT_SO
    told = about(entry, content) if meta else {}
    session.out.document({"key": key, "value": value_of(entry), **told})
    session.out.line(text_of(entry))
    if told:
        session.out.line("")
        rows = [(name, human(name, one)) for name, one in told.items()]
        session.out.table(("about", ""), rows)
    return DONE


def stored_name(cache: Cache, key: str) -> str:
    """Return the name of a key on the server."""
    return f"{cache.namespace}:{key}" if cache.namespace else key


def stored_bytes(cache: Cache, key: str) -> bytes:
    """Return the bytes under a key on the server, empty if there are none."""
    try:
        found: Any = cache.client.get(stored_name(cache, key))
    except MissingClientError:
        return b""
    except ResponseError:  # it is a list, a hash, …
        return b"another type of Redis"
    return found if isinstance(found, bytes) else b""


def why_not(key: str, content: bytes) -> str:
    """Say why there is no entry to show."""
    head = read_head(content)
    if not content:
        return f"nothing is stored under {shown(key)}"
    if head is None:
        return f"the value under {shown(key)} was not written by dualcache"
    if head.kind == "filling":
        return f"nothing is stored under {shown(key)}: a load is under way"
    if head.kind == "tombstone":
        return f"nothing is stored under {shown(key)}: a hold keeps loads from storing"
    return f"the value under {shown(key)} cannot be served: one of its tags was invalidated"


def about(entry: Entry, content: bytes) -> dict[str, Any]:
    """Return the details that --meta shows."""
    head = read_head(content)
    told: dict[str, Any] = {
        "age": entry.age,
        "ttl": entry.ttl,
        "stale": entry.stale,
        "negative": entry.negative,
        "tags": list(entry.tags),
    }
    if head is not None:
        told |= {
            "codec": head.codec,
            "compressed": head.is_compressed,
            "signed": head.is_signed,
            "shape": head.shape,
            "bytes": len(content),
        }
    return told


def human(name: str, value: Any) -> str:
    """Write a value of --meta for people."""
    if name in {"age", "ttl"}:
        return seconds(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return shown(", ".join(value)) or "none"
    return str(value) or "none"


def value_of(entry: Entry) -> Any:
    """Return the value for JSON; an exception as its text."""
    if entry.negative:
        return {"raises": repr(entry.error) if entry.error else entry.value}
    return None if entry.value is MISSING else entry.value


def text_of(entry: Entry) -> str:
    """Write the value as Python does."""
    if entry.negative:
        return f"raises {entry.error or entry.value!r}"
    if entry.value is MISSING:
        return "(only its function reads it; --app may help)"
    return shown_lines(
        pformat(entry.value, width=get_terminal_size().columns, sort_dicts=False, compact=True)
    )


def shown_lines(text: str) -> str:
    return "\n".join(shown(line) for line in text.split("\n"))
