"""What a topic is given: a server of its own, how long to measure, and where to leave notes."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Final

import redis

from benchmarks.measure import Plan
from tests.ports import HOST
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.servers import Binary

    Function = Callable[..., Any]
    Maker = Callable[[Function, "Bench"], Function]
    """Decorates `f(user_id: int, page: int = 1)` with one subject's cache."""

TRIED: Final = 7
"""The user that subjects are tried with."""


class Skip(Exception):
    """This topic cannot be measured here; says why."""


class Endpoint:
    """Where a server is, and a plain client of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"redis://{HOST}:{port}/0"
        self.client = redis.Redis(host=HOST, port=port, socket_timeout=60)

    def cli(self, *arguments: Any) -> Any:
        """Send one command."""
        return self.client.execute_command(*arguments)

    def close(self) -> None:
        self.client.close()


class Bench:
    """One topic's surroundings; use as a context manager, which closes what the topic opened."""

    def __init__(self, binary: Binary, *, is_quick: bool, port: int | None = None) -> None:
        self.is_quick = is_quick
        self.plan = Plan(2, 0.004) if is_quick else Plan(15, 0.1)
        self.binary = binary
        self.notes: list[str] = []
        self.closing = ExitStack()
        self._endpoint = None if port is None else Endpoint(port)
        self._runner: asyncio.Runner | None = None

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.close()

    @property
    def server(self) -> Endpoint:
        """The server of this topic, empty at first."""
        if self._endpoint is None:
            self._endpoint = Endpoint(self.own_server().port)
            self.closing.callback(self._endpoint.close)
        return self._endpoint

    @property
    def address(self) -> tuple[Binary, int]:
        """What another process needs to use the same server: `Bench.visit(*address)`."""
        return self.binary, self.server.port

    @classmethod
    def visit(cls, binary: Binary, port: int) -> Bench:
        """Return the surroundings of a process that uses another one's server."""
        return cls(binary, is_quick=True, port=port)

    @property
    def runner(self) -> asyncio.Runner:
        """The event loop of this topic."""
        if self._runner is None:
            self._runner = self.closing.enter_context(asyncio.Runner())
        return self._runner

    def own_server(self) -> Server:
        """Start one more server, to kill or to pause."""
        return self.closing.enter_context(Server(self.binary, "--maxclients", "4000"))

    def run(self, work: Awaitable[Any]) -> Any:
        """Await on the event loop of this topic."""

        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def on_close(self, close: Callable[[], Any]) -> None:
        """Call this when the topic ends; a coroutine is awaited on the loop of this topic.

        A peer that cannot be closed troubles nobody.
        """

        def closed() -> None:
            with suppress(Exception):
                result = close()
                if hasattr(result, "__await__"):
                    self.run(result)

        _ = self.runner  # the loop must be there until everything is closed
        self.closing.callback(closed)

    def some(self, quick: Any, full: Any) -> Any:
        """Choose by mode."""
        return quick if self.is_quick else full

    def note(self, text: str) -> None:
        """Say what was left out; once."""
        if text not in self.notes:
            self.notes.append(text)

    def ready(
        self, makers: Mapping[str, Maker], make_function: Callable[[], Function]
    ) -> dict[str, Function]:
        """Decorate a function of its own with each subject, and call it once.

        A peer that is not there, or does not work here, is noted.
        """
        made: dict[str, Function] = {}
        for name, maker in makers.items():
            try:
                function = maker(make_function(), self)
                self._try(function)
                made[name] = function
            except ImportError as error:
                self.note(f"{name}: not installed ({error})")
            except Exception as error:
                if name.startswith("dualcache"):
                    raise
                self.note(f"{name}: could not be set up ({type(error).__name__}: {error})")
        return made

    def _try(self, function: Function) -> None:
        result = function(TRIED)
        if hasattr(result, "__await__"):
            self.run(result)
