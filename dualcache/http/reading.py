"""One GET: answered from the cache, by another request's load, or by a load for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dualcache.drivers.async_loop import running_loop
from dualcache.http.answers import others_status, own_status
from dualcache.http.recorder import Decision, Recorder
from dualcache.http.results import Passes, ServerFailed
from dualcache.http.stored import StoredResponse

if TYPE_CHECKING:
    from dualcache.http.asked import Asked
    from dualcache.http.cache_status import CacheStatus
    from dualcache.http.recorder import Message, Scope, Send

__all__ = ["Handler", "Reading"]


class Handler(Protocol):
    """What a GET needs of the route that it is for."""

    holds_parts: bool

    def now_ms(self) -> int: ...

    async def forget(self, key: str) -> None: ...

    async def answer(
        self, stored: StoredResponse, asked: Asked, send: Send, status: CacheStatus
    ) -> None: ...

    async def pass_by(self, asked: Asked, send: Send, status: CacheStatus) -> None: ...

    def marked(self, scope: Scope, recorder: Recorder | None = None) -> Scope: ...


class Reading:
    """One GET. Its load may go on in the background after the client has its answer."""

    def __init__(self, http: Handler, asked: Asked, key: str, status: CacheStatus) -> None:
        self._http = http
        self._asked = asked
        self._policy = asked.policy
        self._key = key
        self._status = status
        self._recorder: Recorder | None = None
        self._unstored = 0
        self._has_ended = False
        self._is_body_told = False

    async def answer(self, tags: list[str], send: Send) -> None:
        """Send the response."""
        began_ms = self._http.now_ms()
        try:
            try:
                found = await self._asked.route.aload(self._key, tags, self._load)
            except ServerFailed as failure:
                found = failure.response
            if isinstance(found, StoredResponse):
                await self._answer(found, send, began_ms)
            else:
                await self._pass_on(send)
        finally:
            self._has_ended = True
            recorder = self._recorder
            if recorder is not None and recorder.decision is Decision.PASSED:
                # A load that passes after its client was served otherwise waits for nobody.
                await recorder.drop()

    async def _load(self) -> StoredResponse | Passes:
        http = self._http
        recorder = self._recorder = Recorder(
            self._policy, http.now_ms, holds_parts=http.holds_parts
        )
        self._unstored = self._asked.route.unstored
        scope = http.marked(self._asked.scope, recorder)
        decision = await recorder.run(self._asked.app, scope, self._receive)
        if decision is Decision.PASSED or recorder.response is None:
            self._asked.route.note_unstored(recorder.reason)
            if self._policy.stale_while_revalidate or self._policy.stale_if_error:
                # What is there is not the answer any more: it must not be served as stale.
                await http.forget(self._key)
            if self._has_ended:
                await recorder.drop()
            return Passes()
        if self._has_ended:
            await recorder.end()
        if decision is Decision.FAILED:
            raise ServerFailed(recorder.response)
        return recorder.response

    async def _answer(self, found: StoredResponse, send: Send, began_ms: int) -> None:
        http, recorder = self._http, self._recorder
        if recorder is None or recorder.response != found:
            now_ms = http.now_ms()
            status = others_status(self._status, found, self._policy, began_ms, now_ms)
            await http.answer(found, self._asked, send, status)
            return
        is_kept = recorder.decision is Decision.KEPT
        is_stored = self._asked.route.unstored == self._unstored
        status = own_status(self._status, is_kept=is_kept, is_stored=is_stored)
        await http.answer(found, self._asked, send, status)
        # What follows the response belongs to this request, as its errors do.
        await recorder.end()

    async def _pass_on(self, send: Send) -> None:
        recorder = self._recorder
        if recorder is not None and recorder.decision is Decision.PASSED:
            await recorder.pass_on(send, self._status)
        else:
            # Another request's load found that nothing is kept.
            await self._http.pass_by(self._asked, send, self._status)

    async def _receive(self) -> Message:
        """Return the next message of the client; once it has its answer, none is left."""
        if not self._has_ended:
            return await self._asked.receive()
        if self._is_body_told:
            await running_loop().event().wait()
        self._is_body_told = True
        return {"type": "http.request", "body": b"", "more_body": False}
