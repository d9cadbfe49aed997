"""`flask dualcache …`: the commands of dualcache, on the cache of the application."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import click
from flask.cli import ScriptInfo

from dualcache.integrations.flask.extension import cache_in

if TYPE_CHECKING:
    from dualcache import Cache

__all__ = ["group"]


def _cache() -> Cache:
    info = click.get_current_context().ensure_object(ScriptInfo)
    return cache_in(info.load_app())


def _group() -> click.Command:
    if find_spec("rich") is None:  # Flask loads all commands before it runs one: nothing may raise

        @click.command("dualcache")
        def missing() -> None:
            """Look into the cache; needs the extra `cli`."""
            raise click.ClickException('pip install "dualcache[cli]"')

        return missing
    from dualcache.cli.group import commands

    return commands(_cache)


group = _group()
