"""Responses: JSON, files of the page, and the fields that keep other sites and scripts out."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Message, Send

FILES: Final = {
    "": ("index.html", "text/html"),
    "dashboard.css": ("dashboard.css", "text/css"),
    "dashboard.js": ("dashboard.js", "text/javascript"),
    "charts.js": ("charts.js", "text/javascript"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}
"""Files of the page by their path, and their type."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere; and no text becomes markup (Trusted Types)."""
FIELDS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def page_file(path: str) -> Response:
    """Return a file of the page."""
    name, kind = FILES[path]
    content = (files("dualcache.dashboard") / "page" / name).read_bytes()
    return Response(content, media_type=kind)


def document(value: Any, status: int = 200) -> Response:
    """Return a value as JSON; keys that are no UTF-8 stay whole in escapes."""
    return Response(text_of(value), status, media_type="application/json")


def text_of(value: Any) -> str:
    """Write JSON in ASCII, on one line."""
    return json.dumps(value, default=repr, allow_nan=False, separators=(",", ":"))


def guarded(send: Send) -> Send:
    """Add the fields to every response that passes."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(FIELDS)
        await send(message)

    return sending
