"""`dualcache ttl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.options import connected
from dualcache.cli.printing import complain, shown

if TYPE_CHECKING:
    from dualcache.cli.session import Session


@click.command()
@click.argument("key")
@connected
def ttl(session: Session, key: str) -> int:
    """Print the seconds that an entry has left.

    Prints "for ever" if it never expires.
    """
    entry = session.answering().peek(key)
    if entry is None:
        complain(f"nothing is stored under {shown(key)}")
        return NOT_SO
    session.out.document({"key": key, "ttl": entry.ttl})
    session.out.line("for ever" if entry.ttl is None else f"{entry.ttl:.3f}")
    return DONE
