"""`dualcache bench`: this server, from here."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import click

from dualcache.cli.exits import DONE
from dualcache.cli.measuring import rows_of
from dualcache.cli.options import connected

if TYPE_CHECKING:
    from dualcache.cli.measuring import Measured
    from dualcache.cli.session import Session

LIMIT_BYTES: Final = 10_000_000


@click.command()
@click.option("--seconds", default=0.5, show_default=True, help="How long each row is measured.")
@click.option(
    "--bytes",
    "size",
    default=1_000,
    show_default=True,
    type=click.IntRange(1, LIMIT_BYTES),
    help="Size of a value.",
)
@connected
def bench(session: Session, seconds: float, size: int) -> int:
    """Measure this server from here.

    Measures hits, misses and deletions, and a bare GET for comparison.

    It stores under dualcache-bench:… and deletes these keys afterwards. There is one caller at a
    time, unless a row says otherwise.
    """
    session.with_server()
    rows = list(rows_of(session, secrets.token_bytes(size), seconds))
    session.out.document([row._asdict() for row in rows])
    session.out.table(
        (">p50 µs", ">p99 µs", "what", ">ratio", "to"), [written(row) for row in rows]
    )
    return DONE


def written(row: Measured) -> tuple[str, ...]:
    """Write one row for people."""
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    return f"{row.p50_us:.1f}", f"{row.p99_us:.1f}", row.what, ratio, row.against
