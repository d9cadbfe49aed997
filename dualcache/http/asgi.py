"""HTTP mode around one ASGI application: a route's, whose responses are kept.

The whole response is the value of a load like any other, so leases, tags, stale
values, the front tier and outages are those of any entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.frameworks.request_fields import fields_read
from dualcache.frameworks.routes import template_of
from dualcache.http.answers import answer_from, hit_status
from dualcache.http.asked import Asked, request_of
from dualcache.http.cache_status import CacheStatus, Forward
from dualcache.http.decisions import is_invalidating, why_forwarded
from dualcache.http.loads import Routes
from dualcache.http.reading import Reading
from dualcache.http.recorder import Recorder, announced
from dualcache.http.requests import (
    base_name,
    changed_tags,
    response_key,
    response_tags,
)

if TYPE_CHECKING:
    from dualcache.http.loads import RouteLoads
    from dualcache.http.policy import HttpPolicy
    from dualcache.http.recorder import Application, Message, Receive, Scope, Send
    from dualcache.http.stored import StoredResponse
    from dualcache.runtime.runtime import Runtime

__all__ = ["MARK", "AsgiHttp"]

MARK: Final = "dualcache.http"
"""The place in a scope that tells an endpoint who handles its request, and with which recorder."""


class AsgiHttp:
    """The responses of one route, and the requests for them."""

    def __init__(
        self,
        cache: Any,
        runtime: Runtime,
        policy: HttpPolicy,
        name: str,
        *,
        holds_parts: bool = False,
    ) -> None:
        """See `Routes` for `name`, and `Recorder` for `holds_parts`."""
        self.holds_parts = holds_parts
        self.cache = cache
        self._policy = policy
        self._routes = Routes(runtime, policy, name)
        self.now_ms = self._routes.now_ms

    async def serve(self, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request from the cache, or run `app` for it."""
        handler, recorder = scope.get(MARK) or (self, None)
        if handler is not self and recorder is not None:
            await self._serve_within(app, scope, receive, send, recorder)
            return
        asked = Asked(request_of(scope), self._route_of(scope), app, scope, receive)
        request, policy = asked.request, asked.policy
        why = why_forwarded(request.method, request.fields, policy)
        if why is None:
            await self._read(asked, send, CacheStatus(Forward.MISS))
            return
        forward, detail = why
        status = CacheStatus(forward, detail=detail)
        if forward is Forward.REQUEST:
            # By an invalidation, and not by a store: what began to load before an invalidation
            # elsewhere must not come in this way.
            await self.forget(response_key(request, policy, base_name(request, policy)))
            await self._read(asked, send, status)
        elif forward is Forward.METHOD:
            await self._write(app, scope, receive, announced(send, status))
        else:
            await self.pass_by(asked, send, status)

    async def serve_head(
        self, app: Application, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a HEAD of a route that has only GET as its GET, without the body."""

        async def bodiless(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # No extensions: a file that the server is to send has no body to leave out here.
        await self.serve(app, {**scope, "method": "GET", "extensions": {}}, receive, bodiless)

    def changed_by(self, scope: Scope) -> list[str]:
        """Return the tags that a successful write deletes: that of its path, and `invalidates`."""
        return changed_tags(request_of(scope), self._policy)

    async def forget(self, key: str) -> None:
        """Delete one response, and not its variants."""
        await self.cache.aio.invalidate(key)

    async def pass_by(self, asked: Asked, send: Send, status: CacheStatus) -> None:
        """Run the application without the cache."""
        await asked.app(self.marked(asked.scope), asked.receive, announced(send, status))

    async def answer(
        self, stored: StoredResponse, asked: Asked, send: Send, status: CacheStatus
    ) -> None:
        """Send a stored response, or the 304 that stands for it."""
        answer = answer_from(
            stored,
            asked.request.fields,
            asked.policy,
            status,
            now_ms=self.now_ms(),
            is_head=asked.request.method == "HEAD",
        )
        start = {"type": "http.response.start", "status": answer.status, "headers": answer.fields}
        await send(start)
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    def marked(self, scope: Scope, recorder: Recorder | None = None) -> Scope:
        """Return a scope in which the endpoint finds that its request is handled here."""
        # In place: routers, middleware and frameworks look into this very mapping afterwards.
        scope[MARK] = (self, recorder)
        return scope

    async def _serve_within(
        self, app: Application, scope: Scope, receive: Receive, send: Send, recorder: Recorder
    ) -> None:
        """Run `app` within the load of an outer handler, which has the same key for this request.

        A second load of that key would wait for the first, and the first for it. The recorder is
        handed on, so the endpoint still tells of its background tasks.
        """
        await app(self.marked(scope, recorder), receive, send)

    async def _read(self, asked: Asked, send: Send, status: CacheStatus) -> None:
        request, policy = asked.request, asked.policy
        base = base_name(request, policy)
        key = response_key(request, policy, base)
        if request.method != "HEAD":
            tags = response_tags(request, policy, base)
            await Reading(self, asked, key, status).answer(tags, send)
            return
        found = await asked.route.afind(key)
        if found is None:
            await self.pass_by(asked, send, status)
        else:
            await self.answer(found, asked, send, hit_status(found, policy, self.now_ms()))

    async def _write(self, app: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Run `app`; a success invalidates before the client hears of it, and again at the end.

        At the end once more, since a change may be committed only after the response: by a
        dependency that ends with the request.
        """
        names = self.changed_by(scope)
        has_changed = False

        async def invalidating(message: Message) -> None:
            nonlocal has_changed
            if message["type"] == "http.response.start":
                has_changed = is_invalidating(scope["method"], message["status"])
                if has_changed:
                    await self.cache.aio.invalidate(tags=names)
            await send(message)

        await app(self.marked(scope), receive, invalidating)
        if has_changed:
            await self.cache.aio.invalidate(tags=names)

    def _route_of(self, scope: Scope) -> RouteLoads:
        """Return the loads of the route that a request came by: a function may have several."""
        # What FastAPI hands to the endpoint, or to what checks who asks, changes the response.
        return self._routes.loads_of(template_of(scope), lambda: fields_read(scope))
