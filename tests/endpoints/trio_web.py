"""A `Site` under trio: for tests of ASGI applications with `--on-trio`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.endpoints.web import Site
from tests.trio_colour import TrioColour

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from concurrent.futures import Future


class TrioSite(Site):
    """An ASGI application in a run of trio, and its client."""

    def _begin(self) -> None:
        self._trio = TrioColour()
        for cache in self._caches:
            self._trio.close_too(cache)

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return self._trio.submit(lambda: work)

    def close(self) -> None:
        self._trio.run(self._client.aclose)
        self._trio.close()
