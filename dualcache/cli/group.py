"""The commands as a click group: `dualcache …`, and mounted in the command line of a program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from dualcache import Cache, __version__
from dualcache.cli.bench import bench
from dualcache.cli.clear import clear
from dualcache.cli.config import config
from dualcache.cli.dashboard_command import dashboard
from dualcache.cli.demo_command import demo
from dualcache.cli.doctor import doctor
from dualcache.cli.exits import DONE, INTERRUPTED, WRONG_USAGE
from dualcache.cli.explain import explain
from dualcache.cli.get import get
from dualcache.cli.invalidate import invalidate
from dualcache.cli.keys import keys
from dualcache.cli.migrate_check import migrate_check
from dualcache.cli.options import Mounted
from dualcache.cli.ping import ping
from dualcache.cli.stats import stats
from dualcache.cli.ttl import ttl
from dualcache.cli.watch import watch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["commands", "run"]

COMMANDS: Final[tuple[click.Command, ...]] = (
    demo,
    ping,
    doctor,
    stats,
    keys,
    get,
    ttl,
    invalidate,
    clear,
    watch,
    bench,
    dashboard,
    config,
    explain,
    migrate_check,
)
EXIT_CODES: Final = (
    "Exit codes: 0 as asked; 1 not found, not healthy, or not confirmed; 2 wrong arguments or "
    "configuration; 3 no answer from the server; 130 interrupted."
)


class OutputClosedError(Exception):
    """What read the output has closed it."""


class Program(click.Group):
    """The group as a separate program: click would end with 1 where the output is closed."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise OutputClosedError from None


def commands(cache: Callable[[], Cache] | Cache | None = None) -> click.Group:
    """Return the commands as a group to add to a program's own, as `flask dualcache …`.

    They work on `cache`, or on what it returns when a command runs. Without it, where `--url` or
    the environment says.
    """
    return group_of((lambda: cache) if isinstance(cache, Cache) else cache, click.Group)


def group_of(find: Callable[[], Cache] | None, kind: type[click.Group]) -> click.Group:
    """Put the commands together."""

    @click.group(
        "dualcache", cls=kind, epilog=EXIT_CODES, context_settings={"max_content_width": 100}
    )
    @click.version_option(__version__, message="%(prog)s %(version)s")
    @click.pass_context
    def dualcache(context: click.Context) -> None:
        """Look into a cache of dualcache, and delete from it."""
        context.obj = Mounted(find)

    for each in COMMANDS:
        dualcache.add_command(each)
    return dualcache


def run(arguments: Sequence[str]) -> int:
    """Run one command of `dualcache`; return its exit code."""
    group = group_of(None, Program)
    try:
        code = group.main([*arguments], prog_name="dualcache", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return DONE
    except click.ClickException as error:
        error.show(sys.stderr)
        return WRONG_USAGE
    except click.Abort:
        return INTERRUPTED
    except OutputClosedError:
        raise BrokenPipeError from None
    return code if isinstance(code, int) else DONE
