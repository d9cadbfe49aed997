"""The command line without click and rich: the demo runs, the rest says what to install."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from dualcache import UsageError, __version__
from dualcache.cli.demo import demonstrate
from dualcache.cli.exits import WRONG_USAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

HOW_TO_GET_IT: Final = 'pip install "dualcache[cli]"'


def run_without_extra(arguments: Sequence[str]) -> int:
    """Run the demo, or name the extra that everything else needs."""
    first = next((each for each in arguments if not each.startswith("-")), "demo")
    if first != "demo":
        print(f"dualcache {first} needs click and rich: {HOW_TO_GET_IT}", file=sys.stderr)
        return WRONG_USAGE
    described = parser()
    try:
        chosen = described.parse_args(arguments)
    except SystemExit as ended:  # argparse has printed the help, or what is wrong
        return int(ended.code or 0)
    if chosen.command is None:
        described.print_help()
        return 0
    try:
        return demonstrate(chosen.url)
    except UsageError as error:
        print(f"dualcache.{type(error).__name__}: {error}", file=sys.stderr)
        return WRONG_USAGE


def parser() -> argparse.ArgumentParser:
    """Describe the demo."""
    made = argparse.ArgumentParser(
        prog="dualcache",
        description="One cache for def and async def, with Redis or Valkey behind it.",
        epilog=f"All other commands need click and rich: {HOW_TO_GET_IT}",
    )
    made.add_argument("--version", action="version", version=f"dualcache {__version__}")
    commands = made.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    demo = commands.add_parser("demo", help="show in a few seconds what the cache does")
    demo.add_argument("--url", metavar="URL", help="where to run it (default: the environment)")
    return made
