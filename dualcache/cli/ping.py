"""`dualcache ping`."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import click

from dualcache.cli.exits import DONE
from dualcache.cli.options import connected

if TYPE_CHECKING:
    from dualcache.cli.session import Session


@click.command()
@connected
def ping(session: Session) -> int:
    """Tell whether the server answers, and how fast."""
    cache = session.answering()
    began = perf_counter()
    cache.ping()
    ms = (perf_counter() - began) * 1000
    where = cache.stats().backend
    session.out.document({"backend": where, "ms": round(ms, 3)})
    session.out.line(f"{where} answers in {ms:.2f} ms")
    return DONE
