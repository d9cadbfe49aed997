"""`dualcache dashboard`."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from dualcache import UsageError
from dualcache.cli.exits import DONE
from dualcache.cli.options import connected
from dualcache.cli.session import named_object

if TYPE_CHECKING:
    from dualcache.cli.session import Session


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8700, show_default=True, type=click.IntRange(0, 65535))
@click.option("--auth", metavar="MODULE:NAME", help="function(request): may it see the dashboard?")
@click.option("--write", is_flag=True, help="Show the buttons that invalidate.")
@click.option("--values", is_flag=True, help="Let people look at values.")
@connected
def dashboard(
    session: Session, host: str, port: int, auth: str | None, write: bool, values: bool
) -> int:
    """Serve a page that shows the server, the keys, changes by all processes, and the doctor.

    The figures of functions belong to the process that calls them: mount
    dualcache.dashboard.Dashboard in the program to see them.
    """
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UsageError(
            "the dashboard needs starlette and uvicorn",
            code="DC501",
            help='pip install "dualcache[dashboard]"',
        )
    from dualcache.cli.following import Follower
    from dualcache.cli.serving import serve
    from dualcache.dashboard import Dashboard
    from dualcache.dashboard.access import is_loopback

    if auth is None and not is_loopback(host):
        raise UsageError(
            f"on {host} anybody could see the dashboard",
            code="DC500",
            help="give --auth module:function, or leave --host out and use an SSH tunnel",
        )
    function: Any = None if auth is None else named_object("--auth", auth)
    cache = session.cache
    has_server = cache.stats().tier == "redis"
    app = Dashboard(
        cache,
        function,
        can_write=write,
        show_values=values,
        origin=session.origin,
        follows=has_server,
    )
    session.out.line(f"http://{host}:{port}/; Ctrl-C ends it", "dim")
    with Follower(cache, app) if has_server else nullcontext():
        serve(app, host, port)
    return DONE
