"""`python -m dualcache`: arguments in, exit code out.

0: all went well. 1: something did not behave, or the server does not answer. 2: wrong arguments.
"""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from dualcache import UsageError, __version__
from dualcache.cli.demo import demonstrate

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    chosen = parser().parse_args(arguments)
    # The demo tells in its own words what the library would log.
    logging.getLogger("dualcache").addHandler(logging.NullHandler())
    try:
        return demonstrate(chosen.url)
    except UsageError as error:
        print(f"dualcache.{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    made = argparse.ArgumentParser(
        prog="python -m dualcache",
        description="One cache for def and async def, with Redis or Valkey behind it.",
    )
    made.add_argument("--version", action="version", version=f"dualcache {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="show in a few seconds what the cache does",
        description="Caches slow functions, and prints what happens and how long it takes.",
        epilog="Exit code: 0 if all behaved, 1 if not or if the server does not answer, 2 for a "
        "URL that cannot be right.",
    )
    demo.add_argument(
        "--url",
        default="memory://",
        metavar="URL",
        help="where to run it, as in redis://localhost:6379/0; keys are named dualcache-demo:… and "
        "removed afterwards (default: memory://, which needs no server)",
    )
    return made
