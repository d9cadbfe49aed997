"""Asking before something is deleted."""

from __future__ import annotations

import sys

import click

from dualcache import UsageError
from dualcache.cli.printing import complain


def is_terminal() -> bool:
    """Tell whether a person can be asked, and reads the question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirmed(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; elsewhere only `--yes` confirms, and `UsageError` says so."""
    if yes:
        return True
    if not is_terminal():
        raise UsageError(
            "nobody can confirm the deletion: this is not a terminal",
            code="DC493",
            help="look at --dry-run first, then add -y",
        )
    if click.confirm(question, err=True):
        return True
    complain("nothing was deleted")
    return False
