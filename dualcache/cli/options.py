"""What all commands have in common: where the cache is, `--json`, and how errors end them."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from dualcache import BackendError, Cache, DualCacheError, UsageError
from dualcache.cli.exits import DONE, INTERRUPTED, NO_ANSWER, WRONG_USAGE
from dualcache.cli.printing import complain
from dualcache.cli.session import NoAnswerError, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    Command: TypeAlias = Callable[..., int]


class Mounted:
    """The object of a group that a program has mounted: how to get its cache."""

    def __init__(self, cache: Callable[[], Cache] | None) -> None:
        self.cache = cache


def connected(function: Command) -> Callable[..., None]:
    """Give a command its options of connection; call it with a `Session`, end with its code."""

    @wraps(function)
    def command(
        url: str | None, namespace: str | None, app: str | None, is_json: bool, **rest: Any
    ) -> None:
        context = click.get_current_context()
        mounted = context.find_object(Mounted)
        given = None if mounted is None or url or app else mounted.cache
        session = Session(given=given, app=app, url=url, namespace=namespace, is_json=is_json)
        try:
            context.exit(ended(function, session, rest))
        finally:
            session.close()

    for option in reversed(OPTIONS):
        command = option(command)
    return command


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--url",
        metavar="URL",
        help="Where the cache is, as in redis://localhost:6379/0 (default: DUALCACHE_URL or "
        "REDIS_CACHE_* of the environment).",
    ),
    click.option(
        "--namespace",
        metavar="NAME",
        help="The namespace of the cache (default: DUALCACHE_NAMESPACE).",
    ),
    click.option(
        "--app",
        metavar="MODULE:NAME",
        help="Use the Cache of a program, with its namespace, secret and types.",
    ),
    click.option("--json", "is_json", is_flag=True, help="Print JSON."),
)


def ended(function: Command, session: Session, arguments: dict[str, Any]) -> int:
    """Run a command and return its exit code, whatever it raises."""
    try:
        code = function(session, **arguments)
    except NoAnswerError as error:
        complain(str(error))
        return NO_ANSWER
    except BackendError as error:
        complain(told(error))
        return NO_ANSWER
    except (UsageError, DualCacheError) as error:
        complain(told(error))
        return WRONG_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code or DONE


def told(error: DualCacheError) -> str:
    """Write an error as Python shows it."""
    return f"dualcache.{type(error).__name__}: {error}"
