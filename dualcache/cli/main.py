"""`dualcache` and `python -m dualcache`: arguments in, exit code out (`exits.py`)."""

from __future__ import annotations

import logging
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from dualcache.cli.exits import INTERRUPTED, OUTPUT_CLOSED

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else [*arguments]
    # Commands say in their own words what the library would log.
    logging.getLogger("dualcache").addHandler(logging.NullHandler())
    try:
        if find_spec("click") is None or find_spec("rich") is None:
            from dualcache.cli.without_extra import run_without_extra

            return run_without_extra(given)
        from dualcache.cli.group import run

        return run(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return output_closed()


def output_closed() -> int:
    """End quietly where what read the output, as `head`, has closed it."""
    # The interpreter flushes stdout once more when it ends; that must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OUTPUT_CLOSED
