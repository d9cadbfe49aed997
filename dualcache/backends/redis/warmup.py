"""Importing the modules of the async colour without blocking the first event loop."""

from __future__ import annotations

from importlib import import_module
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from dualcache.backends.redis.redis_py import import_redis
from dualcache.drivers.threads import start

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["IMPORTS", "WarmUp"]

IMPORTS: Final = (
    "dualcache.drivers.async_driver",
    "dualcache.backends.redis.async_per_loop",
    "dualcache.backends.redis.async_connections",
)
"""Modules of the async colour: importing redis-py's asyncio half takes 0.1 to 0.3 s."""


class WarmUp:
    """Imports some modules once: at once, or in a thread that all callers wait for."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules
        self._lock = Lock()
        self._imported: Future[None] | None = None
        self.is_done = False

    def now(self) -> None:
        """Import in this thread."""
        import_redis()
        for name in self._modules:
            import_module(name)
        self.is_done = True

    async def wait(self) -> None:
        """Import in a daemon thread, and wait for it."""
        from dualcache.drivers.async_loop import running_loop

        loop = running_loop()
        with self._lock:
            imported = self._imported or self._begin()
        await loop.result_of(imported)

    def _begin(self) -> Future[None]:
        from concurrent.futures import Future

        imported = self._imported = Future[None]()
        imported.set_running_or_notify_cancel()  # a caller that is cancelled cancels nothing
        start(Thread(target=self._run, args=[imported], name="dualcache-warm-up", daemon=True))
        return imported

    def _run(self, imported: Future[None]) -> None:
        try:
            self.now()
        except BaseException as error:  # noqa: BLE001  it is raised where it is awaited
            self._imported = None
            imported.set_exception(error)
        else:
            imported.set_result(None)
