"""`dualcache clear`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dualcache.cli.confirming import confirmed
from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.options import connected
from dualcache.cli.removing import look, remove_all, reported, stoppable

if TYPE_CHECKING:
    from dualcache.cli.session import Session


@click.command()
@click.option("--everything", is_flag=True, help="Without a namespace: the whole database.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@connected
def clear(session: Session, everything: bool, yes: bool, dry_run: bool) -> int:
    """Delete the whole namespace.

    Loads that are running store nothing. Ctrl-C stops it after the current page.
    """
    cache = session.answering()
    # What is refused is refused before the question.
    with cache.override("memory://"):
        cache.clear(everything=everything)
    found = look(cache, (), "*")
    found.show(session, dry_run=dry_run)
    where = f"namespace {cache.namespace}" if cache.namespace else "the whole database"
    if dry_run:
        return DONE
    if not confirmed(f"Delete {where} of {cache.stats().backend}?", yes=yes):
        return NOT_SO
    with stoppable() as stop:
        removed, pending = remove_all(cache, cache.keys("*"), found.count, None, stop)
        if stop.is_set:
            return reported(session, removed, pending, is_stopped=True)
    rest = cache.clear(everything=everything)
    return reported(session, removed + rest.removed, rest.pending)
