"""`dualcache invalidate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dualcache import UsageError
from dualcache.cli.confirming import confirmed
from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.options import connected
from dualcache.cli.printing import amount
from dualcache.cli.removing import (
    look,
    remove_all,
    report,
    reported,
    stoppable,
)

if TYPE_CHECKING:
    from dualcache.cli.removing import Found
    from dualcache.cli.session import Session


@click.command()
@click.argument("keys", nargs=-1)
@click.option("--tag", "tags", multiple=True, help="All entries with this tag; may be repeated.")
@click.option("--pattern", help='All keys that match, as in "search_*".')
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    help="With --pattern: delete at most that many keys a second.",
)
@connected
def invalidate(
    session: Session,
    keys: tuple[str, ...],
    tags: tuple[str, ...],
    pattern: str | None,
    dry_run: bool,
    yes: bool,
    rate: int | None,
) -> int:
    """Delete keys, by name, tag or pattern.

    First it shows the number of keys and five of them, then it asks. Running loads of these keys
    store nothing. Ctrl-C stops it after the current page.
    """
    if not (keys or tags or pattern):
        raise UsageError(
            "no key, tag or pattern is given",
            code="DC494",
            help='write dualcache invalidate KEY, --tag TAG or --pattern "search_*"',
        )
    cache = session.answering()
    patterns = () if pattern is None else (pattern,)
    # What is refused, as a pattern of everything, is refused before anything is deleted.
    with cache.override("memory://"):
        cache.invalidate(*keys, tags=tags, patterns=patterns)
    found = look(cache, keys, pattern)
    found.show(session, dry_run=dry_run)
    if dry_run:
        return DONE
    if not confirmed(question(found, tags, cache.stats().backend), yes=yes):
        return NOT_SO
    if pattern is None:
        return report(session, cache.invalidate(*keys, tags=tags))
    return by_pattern(session, keys, tags, pattern, found.count, rate)


def question(found: Found, tags: tuple[str, ...], backend: str) -> str:
    """Ask for what is about to be deleted."""
    parts = [amount(found.count, "key")] if found.count or not tags else []
    if tags:
        parts.append("all entries with " + amount(len(tags), "tag"))
    return f"Delete {' and '.join(parts)} from {backend}?"


def by_pattern(
    session: Session,
    keys: tuple[str, ...],
    tags: tuple[str, ...],
    pattern: str,
    total: int,
    rate: int | None,
) -> int:
    """Delete matching keys page by page, then later ones and the loads under way."""
    cache = session.cache
    with stoppable() as stop:
        removed, pending = remove_all(cache, cache.keys(pattern), total, rate, stop)
        if stop.is_set:
            return reported(session, removed, pending, is_stopped=True)
    rest = cache.invalidate(*keys, tags=tags, patterns=[pattern])
    return reported(session, removed + rest.removed, rest.pending, rest.tags)
