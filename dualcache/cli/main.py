"""`python -m dualcache`: arguments in, exit code out.

0: all went well. 1: something did not behave, or the server does not answer. 2: wrong arguments.
130: interrupted. 141: whoever read the output, as `head`, has closed it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from dualcache import UsageError, __version__
from dualcache.cli.demo import demonstrate

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED = 130
OUTPUT_CLOSED = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    described = parser()
    chosen = described.parse_args(arguments)
    if chosen.command is None:
        described.print_help()
        return 0
    # The demo tells in its own words what the library would log.
    logging.getLogger("dualcache").addHandler(logging.NullHandler())
    try:
        return demonstrate(chosen.url)
    except UsageError as error:
        print(f"dualcache.{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes stdout once more when it ends; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their options."""
    made = argparse.ArgumentParser(
        prog="dualcache",
        description="One cache for def and async def, with Redis or Valkey behind it.",
    )
    made.add_argument("--version", action="version", version=f"dualcache {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    demo = commands.add_parser(
        "demo",
        help="show in a few seconds what the cache does",
        description="Caches slow functions, and prints what happens and how long it takes.",
        epilog="Exit code: 0 if all behaved, 1 if not or if the server does not answer, 2 for a "
        "URL that cannot be right.",
    )
    demo.add_argument(
        "--url",
        metavar="URL",
        help="where to run it, as in redis://localhost:6379/0; keys are named dualcache-demo:… and "
        "removed afterwards (default: DUALCACHE_URL or REDIS_CACHE_* of the environment, else "
        "memory://, which needs no server)",
    )
    return made
