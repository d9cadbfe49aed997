"""From names as users write them to the flow that deletes them, for direct calls and decorators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.engine import invalidation
from dualcache.errors import UsageError
from dualcache.keys.globs import matches_everything
from dualcache.keys.names import full_tags, several, user_pattern, user_tag
from dualcache.options.durations import to_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.core.events import Invalidated
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

__all__ = ["invalidation_of", "refused_without_namespace"]


def invalidation_of(
    keys: Iterable[str],
    tags: Iterable[str],
    patterns: Iterable[str],
    env: Env,
    label: str = "",
    hold: Any = 0,
) -> Flow[Invalidated]:
    """Delete keys that are checked already, and tags and patterns, which are checked here."""
    hold_ms = to_ms(hold, "hold", owner="invalidate()")
    names_of_keys = [env.prefix + key for key in keys]
    if hold_ms and not names_of_keys:
        raise UsageError(
            "invalidate() got hold=, and no key to hold",
            code="DC418",
            help='name keys: invalidate("user:1", hold=5); tags and patterns cannot be held',
        )
    names = several(tags, "tags of invalidate()", 'write tags=["…"]')
    globs = several(patterns, "patterns of invalidate()", 'write patterns=["…"]')
    return invalidation.invalidate(
        names_of_keys,
        full_tags(env.prefix, [user_tag(name) for name in names]),
        [_checked_pattern(glob, env.prefix) for glob in globs],
        env,
        label,
        hold_ms,
    )


def refused_without_namespace(what: str) -> UsageError:
    """Make the error of a deletion that would reach every key of a database."""
    return UsageError(
        f"{what} would delete every key of this database: the namespace is empty",
        code="DC156",
        help="give the Cache a namespace, or write clear(everything=True)",
    )


def _checked_pattern(pattern: str, prefix: str) -> str:
    checked = user_pattern(pattern)
    if not prefix and matches_everything(checked):
        raise refused_without_namespace("a pattern that matches everything")
    return checked
