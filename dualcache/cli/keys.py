"""`dualcache keys`."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import TYPE_CHECKING, Final

import click

from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import amount, complain, shown
from dualcache.inspection.patterns import chosen_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from dualcache.cli.session import Session

AT_ONCE: Final = 500
"""Entries whose tags are read together: one connection carries them in one trip."""


@click.command()
@click.argument("pattern", required=False)
@click.option("--template", help='Keys of a key template, as "user:{user_id}", or of a function.')
@click.option("--tag", help="Keys of entries with this tag; each entry is read for it.")
@click.option("--limit", default=100, show_default=True, help="List at most that many; 0: all.")
@connected
def keys(
    session: Session, pattern: str | None, template: str | None, tag: str | None, limit: int
) -> int:
    """List keys: all, or those that match PATTERN.

    Lists keys that have values, not running loads and not keys of other programs.

    With --json, prints one object per line.
    """
    cache = session.answering()
    names = cache.keys(chosen_pattern(pattern, template))
    found = names if tag is None else with_tag(cache, names, tag)
    for count, name in enumerate(found):
        if limit and count == limit:
            complain(f"the first {amount(limit, 'key')}; --limit 0 lists all")
            break
        session.out.document({"key": name})
        session.out.line(shown(name))
    return DONE


def with_tag(cache: Cache, names: Iterator[str], tag: str) -> Iterator[str]:
    """Find those of the names whose entries have a tag."""
    while some := list(islice(names, AT_ONCE)):
        yield from asyncio.run(tagged(cache, some, tag))


async def tagged(cache: Cache, names: list[str], tag: str) -> list[str]:
    """Return those of some names whose entries have a tag."""
    try:
        entries = await asyncio.gather(*(cache.aio.peek(name) for name in names))
    finally:
        await cache.aio.aclose()
    pairs = zip(names, entries, strict=True)
    return [name for name, entry in pairs if entry is not None and tag in entry.tags]
