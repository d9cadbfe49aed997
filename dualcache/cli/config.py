"""`dualcache config`: each value, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.printing import shown
from dualcache.inspection.settings import values_of

if TYPE_CHECKING:
    from dualcache.cli.session import Session


@click.command()
@connected
def config(session: Session) -> int:
    """Show each setting and its origin.

    Secrets are masked.
    """
    rows = values_of(session.cache, session.origin)
    session.out.document([row._asdict() for row in rows])
    session.out.table(("name", "value", "from"), [[shown(each) for each in row] for row in rows])
    return DONE
