"""`dualcache migrate-check`: where a code base uses another cache, and what to write instead."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.migration.finding import check
from dualcache.cli.printing import Output, amount, complain


@click.command("migrate-check")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "is_json", is_flag=True, help="Print JSON, one document for each use.")
@click.pass_context
def migrate_check(context: click.Context, path: Path, is_json: bool) -> None:
    """Find uses of other caches below PATH, and print what to write instead.

    It imports, runs and changes nothing. The exit code is 0 if there are none, 1 if there are some.
    """
    findings, unreadable = check(path)
    out = Output(is_json=is_json)
    for each in findings:
        out.document(each._asdict())
        out.line(f"{each.path}:{each.line}: {each.found}")
        out.line(f"    write {each.write}")
        if each.note:
            out.line(f"    note  {each.note}")
    for file in unreadable:
        complain(f"{file.path}: not read: {file.reason}")
    for title, number in Counter(each.library for each in findings).items():
        page = next(each.page for each in findings if each.library == title)
        out.line(f"{amount(number, 'use')} of {title}: {page}")
    if not findings:
        out.line("No other cache is used here.")
    context.exit(NOT_SO if findings else DONE)
