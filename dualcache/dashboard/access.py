"""Who may see the dashboard, and who may change what is stored."""

from __future__ import annotations

import secrets
from hmac import compare_digest
from inspect import isawaitable
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, PlainTextResponse, Response

from dualcache import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    Auth: TypeAlias = Callable[[Request], Any | Awaitable[Any]]

COOKIE: Final = "dualcache_csrf"
HEADER: Final = "x-csrf-token"
FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""Fields of proxies: behind one, everybody seems to sit at this machine."""
HOW_TO_OPEN: Final = (
    "The dashboard is open to this machine alone: it was made without auth=.\n"
    "To reach it from elsewhere: Dashboard(cache, auth=function), where function(request) "
    "returns whether the request may see it.\n"
)


class Access:
    """Decides about requests, by `auth` and `can_write` of the `Dashboard`."""

    def __init__(self, auth: Auth | None, can_write: bool | Auth) -> None:
        if auth is not None and not callable(auth):
            raise UsageError(
                "auth= of Dashboard() is not callable",
                code="DC502",
                help="give a function of one request that returns whether it may see the dashboard",
            )
        self._auth = auth
        self._can_write = can_write

    async def refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that may see nothing, `None` for others.

        A response of `auth` is that answer, as a redirect to a login.
        """
        if self._auth is None:
            return None if is_local(request) else PlainTextResponse(HOW_TO_OPEN, 403)
        allowed = await answer_of(self._auth, request)
        if isinstance(allowed, Response):
            return allowed
        return None if allowed else PlainTextResponse("You may not see this dashboard.\n", 403)

    async def may_write(self, request: Request) -> bool:
        """Tell whether buttons that delete are shown to this request."""
        if callable(self._can_write):
            return bool(await answer_of(self._can_write, request))
        return self._can_write

    async def write_refusal(self, request: Request) -> Response | None:
        """Return the answer to a request that may change nothing, `None` for others."""
        if not await self.may_write(request):
            return refused("this dashboard shows, and changes nothing")
        if not is_same_origin(request):
            return refused("the request comes from another site")
        sent, known = request.headers.get(HEADER, ""), request.cookies.get(COOKIE, "")
        if not known or not compare_digest(sent.encode(), known.encode()):
            return refused("the token is missing or old: load the page again")
        return None


async def answer_of(function: Auth, request: Request) -> Any:
    """Call a function of the user, in either colour."""
    answer = function(request)
    return await answer if isawaitable(answer) else answer


def is_local(request: Request) -> bool:
    """Tell whether a request comes from this machine, and was meant for it.

    The name in Host counts too: another site may give its own name the address of this machine
    (DNS rebinding), and a proxy on this machine passes requests of anybody.
    """
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        named = urlsplit(f"//{request.headers.get('host', '')}").hostname
    except ValueError:  # a bracket without its other half
        return False
    return is_loopback(request.client.host) and is_loopback(named or "")


def is_loopback(host: str) -> bool:
    """Tell whether an address, or a name, is that of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_same_origin(request: Request) -> bool:
    """Tell whether a page of this server sent a request; browsers say so, and sites cannot lie.

    Only the host is compared: behind a proxy the scheme is not what the browser sees.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    if origin is not None:
        return origin.partition("://")[2] == request.headers.get("host")
    return site is not None


def token_for(request: Request) -> str:
    """Return the token of this browser, or a new one.

    It lives in a cookie and in no process: any worker can check it.
    """
    known = request.cookies.get(COOKIE, "")
    return known if len(known) >= 32 else secrets.token_urlsafe(32)


def with_token(response: Response, request: Request, token: str) -> Response:
    """Give the token to the browser, in a cookie that no script reads and no other site sends."""
    path = request.scope.get("root_path", "") or "/"
    is_secure = request.url.scheme == "https"
    response.set_cookie(
        COOKIE, token, path=path, httponly=True, samesite="strict", secure=is_secure
    )
    return response


def refused(why: str) -> Response:
    return JSONResponse({"error": why}, 403)
