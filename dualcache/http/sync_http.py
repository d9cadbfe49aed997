"""HTTP mode for one thread a request, as WSGI has it; the twin of `asgi.py` and `reading.py`.

It knows neither WSGI nor a framework: an `Exchange` runs the application and makes its responses.
"""

from __future__ import annotations

from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from msgspec.structs import replace

from dualcache.http.answers import answer_from, hit_status, others_status, own_status
from dualcache.http.cache_status import CacheStatus, Forward
from dualcache.http.decisions import (
    is_invalidating,
    is_server_error,
    why_forwarded,
    why_unstored,
)
from dualcache.http.loads import Routes
from dualcache.http.requests import (
    HttpRequest,
    base_name,
    changed_tags,
    response_key,
    response_tags,
)
from dualcache.http.results import Passes, ServerFailed
from dualcache.http.stored import StoredResponse, stored_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from dualcache.http.answers import Answer
    from dualcache.http.fields import Fields
    from dualcache.http.loads import RouteLoads
    from dualcache.http.policy import HttpPolicy
    from dualcache.runtime.runtime import Runtime

__all__ = ["Exchange", "Made", "SyncHttp"]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Made(Protocol[R_co]):
    """A response that an application has begun: its head is known, its body perhaps not yet.

    `reason` tells in a word why it is kept for nobody, whatever its head says; empty: nothing does.
    """

    status: int
    fields: Fields
    reason: str

    def body(self, most: int) -> bytes | str:
        """Return the whole body, or a word that tells why it is not read: more than `most`."""
        ...

    def passed(self, status: CacheStatus, at_end: Callable[[], object] | None = None) -> R_co:
        """Return the response as the application made it; `at_end` is called once it is sent."""
        ...

    def close(self) -> None:
        """Drop the response."""
        ...


class Exchange(Protocol[R_co]):
    """One request, and the application that is asked for its response."""

    request: HttpRequest

    def run(self, *, is_load: bool = False) -> Made[R_co]:
        """Run the application for this request; raise what it raises.

        Within a load, what is cached inside of the application does not load: it may have the same
        key, and would wait for this very load.
        """
        ...

    def run_again(self) -> AbstractContextManager[Made[R_co]]:
        """Run it in another thread, for a client that may have its answer by now."""
        ...

    def answered(self, answer: Answer) -> R_co:
        """Return the response that says this."""
        ...


class SyncHttp:
    """The responses of one route, and the requests for them."""

    def __init__(self, cache: Any, runtime: Runtime, policy: HttpPolicy, name: str) -> None:
        """See `Routes` for `name`."""
        self.cache = cache
        self.policy = policy
        self._routes = Routes(runtime, policy, name)
        self.now_ms = self._routes.now_ms

    def serve(self, exchange: Exchange[R]) -> R:
        """Answer one request from the cache, or run the application for it."""
        request, policy = exchange.request, self.policy
        why = why_forwarded(request.method, request.fields, policy)
        if why is None:
            return self._read(exchange, CacheStatus(Forward.MISS))
        forward, detail = why
        status = CacheStatus(forward, detail=detail)
        if forward is Forward.REQUEST:
            # By an invalidation, and not by a store: what began to load before an invalidation
            # elsewhere must not come in this way.
            self.forget(response_key(request, policy, base_name(request, policy)))
            return self._read(exchange, status)
        if forward is Forward.METHOD:
            return self._write(exchange, status)
        return exchange.run().passed(status)

    def route_of(self, request: HttpRequest) -> RouteLoads:
        """Return the loads of the route that a request came by: a function may have several."""
        return self._routes.loads_of(request.template)

    def forget(self, key: str) -> None:
        """Delete one response, and not its variants."""
        self.cache.invalidate(key)

    def answer(self, found: StoredResponse, exchange: Exchange[R], status: CacheStatus) -> R:
        """Return a stored response, or the 304 that stands for it."""
        request = exchange.request
        answer = answer_from(
            found,
            request.fields,
            self.policy,
            status,
            now_ms=self.now_ms(),
            is_head=request.method == "HEAD",
        )
        return exchange.answered(answer)

    def _read(self, exchange: Exchange[R], status: CacheStatus) -> R:
        request, policy = exchange.request, self.policy
        base = base_name(request, policy)
        key = response_key(request, policy, base)
        if request.method != "HEAD":
            return _Reading(self, key, exchange, status).answer(base)
        found = self.route_of(request).find(key)
        if found is None:
            return exchange.run().passed(status)
        return self.answer(found, exchange, hit_status(found, policy, self.now_ms()))

    def _write(self, exchange: Exchange[R], status: CacheStatus) -> R:
        """Run the application; a success invalidates before the client hears of it, and at the end.

        At the end once more, since a change may be committed only after the response: by a function
        that the framework calls when the request ends.
        """
        names = changed_tags(exchange.request, self.policy)
        made = exchange.run()
        if not is_invalidating(exchange.request.method, made.status):
            return made.passed(status)
        self.cache.invalidate(tags=names)
        return made.passed(status, partial(self.cache.invalidate, tags=names))


class _Reading(Generic[R]):
    """One GET. Its load may go on in the background after the client has its answer."""

    def __init__(
        self, http: SyncHttp, key: str, exchange: Exchange[R], status: CacheStatus
    ) -> None:
        self._http = http
        self._key = key
        self._exchange = exchange
        self._status = status
        self._thread = get_ident()
        self._made: Made[R] | None = None
        self._reason = ""
        self._own: StoredResponse | None = None
        self._is_kept = False
        self._route = http.route_of(exchange.request)
        self._unstored = 0

    def answer(self, base: str) -> R:
        """Return the response."""
        http, request = self._http, self._exchange.request
        began_ms, tags = http.now_ms(), response_tags(request, http.policy, base)
        try:
            try:
                found = self._route.load(self._key, tags, self._load)
            except ServerFailed as failure:
                found = failure.response
            if isinstance(found, StoredResponse):
                return self._answered(found, began_ms)
            made, self._made = self._made, None
            if made is None:  # another request's load found that nothing is kept
                return self._exchange.run().passed(self._status)
            return made.passed(replace(self._status, detail=self._reason))
        finally:
            if self._made is not None:  # it passes, and its client was served otherwise
                self._made.close()

    def _answered(self, found: StoredResponse, began_ms: int) -> R:
        http = self._http
        if self._own is not None and self._own == found:
            is_stored = self._route.unstored == self._unstored
            status = own_status(self._status, is_kept=self._is_kept, is_stored=is_stored)
        else:
            status = others_status(self._status, found, http.policy, began_ms, http.now_ms())
        return http.answer(found, self._exchange, status)

    def _load(self) -> StoredResponse | Passes:
        if get_ident() != self._thread:  # in the background
            with self._exchange.run_again() as made:
                response, _ = self._taken(made)
                return self._result(response)
        self._unstored = self._route.unstored
        made = self._exchange.run(is_load=True)
        response, self._reason = self._taken(made)
        if response is None:
            self._route.note_unstored(self._reason)
            self._made = made
        else:
            self._own = response
            self._is_kept = not is_server_error(response.status, self._http.policy)
        return self._result(response)

    def _result(self, response: StoredResponse | None) -> StoredResponse | Passes:
        policy = self._http.policy
        if response is None:
            if policy.stale_while_revalidate or policy.stale_if_error:
                # What is there is not the answer any more: it must not be served as stale.
                self._http.forget(self._key)
            return Passes()
        if is_server_error(response.status, policy):
            raise ServerFailed(response)
        return response

    def _taken(self, made: Made[R]) -> tuple[StoredResponse | None, str]:
        """Return the response as it is stored, or why it passes."""
        policy = self._http.policy
        reason = made.reason or why_unstored(made.status, made.fields, policy)
        # A failure like any other is shared with those who wait for it.
        if reason and not (reason == "status" and is_server_error(made.status, policy)):
            return None, reason
        body = made.body(policy.max_bytes)
        if isinstance(body, str):
            return None, body
        made.close()
        return stored_response(made.status, made.fields, body, self._http.now_ms()), ""
