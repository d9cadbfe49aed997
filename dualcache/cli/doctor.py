"""`dualcache doctor`."""

from __future__ import annotations

from shutil import get_terminal_size
from typing import TYPE_CHECKING, Final

import click
from rich.text import Text

from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.options import connected
from dualcache.cli.printing import amount, shown
from dualcache.doctor import Level, examine

if TYPE_CHECKING:
    from dualcache.cli.session import Session
    from dualcache.doctor import Finding

MARKS: Final = {
    Level.GOOD: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.FAULT: ("✗", "red"),
    Level.UNKNOWN: ("?", "dim"),
}
NAME_COLUMNS: Final = 15


@click.command()
@click.option("--quiet", "-q", is_flag=True, help="Show only warnings and faults.")
@connected
def doctor(session: Session, quiet: bool) -> int:
    """Find what is wrong.

    Checks the way to the server, its settings, the rights, and the contents of the namespace.

    The exit code is 1 if there is a fault; warnings do not count.
    """
    found: list[Finding] = []
    for one in examine(session.cache, origin=session.origin.of_url):
        found.append(one)
        if not (quiet and one.level is Level.GOOD):
            show(session, one)
    session.out.document([one._replace(level=one.level.value)._asdict() for one in found])  # type: ignore[arg-type]
    faults = sum(one.level is Level.FAULT for one in found)
    warnings = sum(one.level is Level.WARNING for one in found)
    session.out.line("")
    session.out.line(
        f"{amount(len(found), 'check')}, {amount(warnings, 'warning')}, {amount(faults, 'fault')}"
    )
    return NOT_SO if faults else DONE


def show(session: Session, one: Finding) -> None:
    """Print a finding: a line of cause, and one of fix."""
    if session.out.is_json:
        return
    mark, style = MARKS[one.level]
    name = f"{one.check} {one.node}".strip()
    cause = shown(one.cause)
    is_narrow = get_terminal_size((100_000, 24)).columns < NAME_COLUMNS * 4
    gap = "\n  " if is_narrow else " " * max(1, NAME_COLUMNS - len(name))
    line = Text.assemble((mark, style), " ", (name, "bold"), gap, cause)
    session.out.console.print(line, soft_wrap=True)
    if one.fix:
        session.out.console.print(
            Text(("  " if is_narrow else " " * (NAME_COLUMNS + 2)) + "→ " + one.fix, "dim"),
            soft_wrap=True,
        )
