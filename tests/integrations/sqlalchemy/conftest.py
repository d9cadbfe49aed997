"""A small database in one file, and a cache beside it, for both kinds of sessions."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache
from tests.colours import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.orm import Session

collect_ignore_glob = ["test_*.py"] if find_spec("sqlalchemy") is None else []


class Shop:
    """Runs a body with a `Session`, or with that of an `AsyncSession`."""

    def __init__(self, url: str, path: Path, *, is_async: bool) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.ext.asyncio import create_async_engine

        from tests.integrations.sqlalchemy.tables import Base

        options: dict[str, Any] = dict(PATIENT) if url.startswith("redis") else {}
        self.cache = Cache(url, namespace="shop", front=100, **options)
        self.is_async = is_async
        self.runner = asyncio.Runner()
        self.engine = create_engine(f"sqlite:///{path}")
        self.async_engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        Base.metadata.create_all(self.engine)

    def session(self, body: Callable[[Session], Any], **options: Any) -> Any:
        """Call a body with a session of its own, and close that."""
        if not self.is_async:
            from sqlalchemy.orm import Session

            with Session(self.engine, **options) as session:
                return body(session)
        from sqlalchemy.ext.asyncio import AsyncSession

        async def called() -> Any:
            async with AsyncSession(self.async_engine, **options) as session:
                return await session.run_sync(body)

        return self.runner.run(called())

    def put(self, *keys: str, tags: tuple[str, ...] = ()) -> None:
        for key in keys:
            self.cache.set(key, 1, tags=tags)

    def left(self, *keys: str) -> set[str]:
        return set(self.cache.get_many(keys))

    def close(self) -> None:
        async def closed() -> None:
            await self.async_engine.dispose()
            await self.cache.aclose()

        self.engine.dispose()
        self.runner.run(closed())
        self.runner.close()


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def shop(request: pytest.FixtureRequest, backend_url: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(backend_url, tmp_path / "shop.db", is_async=request.param)
    yield made
    made.close()
