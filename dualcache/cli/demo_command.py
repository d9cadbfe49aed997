"""`dualcache demo`."""

from __future__ import annotations

import sys

import click

from dualcache import UsageError
from dualcache.cli.demo import demonstrate
from dualcache.cli.exits import WRONG_USAGE

EXIT_CODES = (
    "Exit code: 0 if all behaved, 1 if not or if the server does not answer, 2 for a URL that "
    "cannot be right."
)


@click.command(epilog=EXIT_CODES)
@click.option(
    "--url",
    metavar="URL",
    help="Where to run it, as in redis://localhost:6379/0. Keys are named dualcache-demo:… and "
    "removed afterwards (default: the environment, else memory://, which needs no server).",
)
@click.pass_context
def demo(context: click.Context, url: str | None) -> None:
    """Show what the cache does.

    It takes a few seconds.
    """
    try:
        code = demonstrate(url)
    except UsageError as error:
        print(f"dualcache.{type(error).__name__}: {error}", file=sys.stderr)
        code = WRONG_USAGE
    context.exit(code)
