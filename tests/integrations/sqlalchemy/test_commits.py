"""Invalidation after a commit: gathered, of savepoints, with a hold, in both kinds of sessions."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker
from sqlalchemy.orm import Session, SessionTransaction, scoped_session, sessionmaker

from dualcache import BackendUnavailable, Cache, Invalidated, UsageError
from dualcache.integrations.sqlalchemy import invalidate_after_commit
from tests.integrations.sqlalchemy.tables import Base, Team

if TYPE_CHECKING:
    from tests.integrations.sqlalchemy.conftest import Shop


both_in_one = pytest.mark.parametrize("shop", [True], ids=["async"], indirect=True)
"""For a test that has sessions of its own."""


class RolledBack(Exception):
    pass


def recorded(cache: Cache) -> list[Invalidated]:
    """Return the list of the invalidations from now on."""
    seen: list[Invalidated] = []
    cache.on_event(lambda each: seen.append(each) if isinstance(each, Invalidated) else None)
    return seen


def test_it_waits_for_the_commit(shop: Shop) -> None:
    shop.put("key", "page:1", "other")
    shop.put("tagged", tags=("users",))

    def body(session: Session) -> None:
        session.add(Team(name="red"))
        invalidate_after_commit(
            session, shop.cache, keys=iter(["key"]), tags=iter(["users"]), patterns=["page:*"]
        )
        assert shop.left("key", "tagged", "page:1") == {"key", "tagged", "page:1"}
        session.commit()
        assert shop.left("key", "tagged", "page:1", "other") == {"other"}
        shop.put("key")
        session.add(Team(name="blue"))
        session.commit()
        assert shop.left("key") == {"key"}

    shop.session(body)


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_a_rollback_invalidates_nothing(shop: Shop, end: str) -> None:
    shop.put("key")

    def body(session: Session) -> None:
        session.add(Team(name="red"))
        invalidate_after_commit(session, shop.cache, keys="key")
        getattr(session, end)()
        session.add(Team(name="blue"))
        session.commit()

    shop.session(body)
    assert shop.left("key") == {"key"}


def test_a_commit_that_fails_invalidates_nothing(shop: Shop) -> None:
    shop.put("key")

    def body(session: Session) -> None:
        invalidate_after_commit(session, shop.cache, keys="key")
        session.add(Team(name=None))  # the database refuses it
        with pytest.raises(Exception, match="NOT NULL"):
            session.commit()
        session.rollback()
        session.add(Team(name="blue"))
        session.commit()

    shop.session(body)
    assert shop.left("key") == {"key"}


def test_what_is_asked_for_before_the_first_statement_waits_too(shop: Shop) -> None:
    shop.put("key")

    def body(session: Session) -> None:
        invalidate_after_commit(session, shop.cache, keys="key")
        with session.begin():
            session.add(Team(name="red"))
            assert shop.left("key") == {"key"}

    shop.session(body)
    assert shop.left("key") == set()


def test_a_savepoint_that_is_rolled_back_takes_its_part_away(shop: Shop) -> None:
    keys = ("outer", "kept", "deep", "lost", "deep and lost")
    shop.put(*keys)

    def ask(session: Session, key: str) -> None:
        session.add(Team(name=key))
        invalidate_after_commit(session, shop.cache, keys=[key])

    def body(session: Session) -> None:
        ask(session, "outer")
        with session.begin_nested():
            ask(session, "kept")
            with session.begin_nested():
                ask(session, "deep")
        with suppress(RolledBack), session.begin_nested():
            ask(session, "lost")
            with session.begin_nested():
                ask(session, "deep and lost")
            raise RolledBack
        assert shop.left(*keys) == set(keys)
        session.commit()

    shop.session(body)
    assert shop.left(*keys) == {"lost", "deep and lost"}


STEPS = st.lists(st.sampled_from(["ask", "flush", "open", "release", "undo"]), max_size=20)


@settings(max_examples=60)
@given(STEPS, st.sampled_from(["commit", "rollback", "close"]))
def test_exactly_what_is_committed_is_invalidated(steps: list[str], end: str) -> None:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    kept: list[set[str]] = [set()]  # what each open savepoint asked for, the transaction's first
    names = {f"key{number}" for number in range(len(steps))}
    with Cache("memory://") as cache, Session(engine) as session:
        cache.set_many(dict.fromkeys(names, 1))
        session.begin()
        savepoints: list[SessionTransaction] = []
        for number, step in enumerate(steps):
            if step == "ask":
                invalidate_after_commit(session, cache, keys=f"key{number}")
                kept[-1].add(f"key{number}")
            elif step == "flush":
                session.add(Team(name="red"))
                session.flush()
            elif step == "open":
                savepoints.append(session.begin_nested())
                kept.append(set())
            elif savepoints:
                inner = kept.pop()
                kept[-1] |= inner if step == "release" else set()
                (savepoints.pop().commit if step == "release" else savepoints.pop().rollback)()
        assert set(cache.get_many(names)) == names
        getattr(session, end)()
        gone = set[str]().union(*kept) if end == "commit" else set[str]()
        assert set(cache.get_many(names)) == names - gone
        session.add(Team(name="blue"))
        session.commit()
        assert set(cache.get_many(names)) == names - gone
    engine.dispose()


def test_a_commit_with_open_savepoints_takes_them_along(shop: Shop) -> None:
    shop.put("outer", "inner")

    def body(session: Session) -> None:
        invalidate_after_commit(session, shop.cache, keys="outer")
        session.add(Team(name="red"))
        session.begin_nested()
        session.add(Team(name="blue"))
        invalidate_after_commit(session, shop.cache, keys="inner")
        session.commit()

    shop.session(body)
    assert shop.left("outer", "inner") == set()


def test_a_transaction_asks_each_cache_once(shop: Shop) -> None:
    seen = recorded(shop.cache)
    with Cache("memory://") as other:
        others = recorded(other)

        def body(session: Session) -> None:
            for number in range(3):
                invalidate_after_commit(session, shop.cache, keys=["a", f"{number}"], tags=["t"])
                with session.begin_nested():
                    invalidate_after_commit(session, shop.cache, keys=["a"])
                invalidate_after_commit(session, other, keys=["b"])
            session.commit()

        shop.session(body)
    assert [(each.keys, each.tags) for each in seen] == [(4, 1)]
    assert [(each.keys, each.tags) for each in others] == [(1, 0)]


def test_nothing_is_stored_around_the_commit_under_a_hold(shop: Shop) -> None:
    row = {"value": "old"}
    read = shop.cache(key="row", ttl="5m")(lambda: row["value"])
    between: list[object] = []

    def body(session: Session) -> None:
        @event.listens_for(session, "before_commit")
        def _(_: Session) -> None:
            # A reader meanwhile gets the row as it is before the commit, which is not stored.
            between.append((read(), read.peek()))

        invalidate_after_commit(session, shop.cache, keys="row", hold="1m")
        assert read() == "old"
        assert read.peek() is not None, "the hold begins at the commit, not before"
        session.execute(text("SELECT 1"))
        session.commit()

    assert read() == "old"
    shop.session(body)
    row["value"] = "new"
    assert between == [("old", None)]
    assert read() == "new"
    assert read.peek() is None, "the hold ends by its time"


def test_the_session_may_have_its_cache(shop: Shop) -> None:
    shop.put("key")

    def body(session: Session) -> None:
        invalidate_after_commit(session, keys="key")
        session.execute(text("SELECT 1"))
        session.commit()

    shop.session(body, info={"dualcache": shop.cache})
    assert shop.left("key") == set()
    with pytest.raises(UsageError, match="DC471"):
        shop.session(body)


@pytest.mark.parametrize(
    "asked",
    [
        {"keys": [""]},
        {"keys": ["user:*"]},
        {"keys": [1]},
        {"tags": [""]},
        {"keys": "a", "hold": -1},
    ],
    ids=str,
)
def test_what_cannot_be_invalidated_is_refused_before_the_commit(asked: dict[str, Any]) -> None:
    with Cache("memory://") as cache, Session() as session, pytest.raises(UsageError):
        invalidate_after_commit(session, cache, **asked)


def test_a_server_that_fails_does_not_fail_the_commit(shop: Shop) -> None:
    seen = recorded(shop.cache)
    shop.put("key")

    def body(session: Session) -> None:
        session.add(Team(name="red"))
        invalidate_after_commit(session, shop.cache, keys="key")
        with shop.cache.inject_fault(BackendUnavailable):
            session.commit()

    shop.session(body)
    assert [each.pending for each in seen] == [1]


def test_a_strict_cache_raises_after_the_commit_and_the_others_are_invalidated(shop: Shop) -> None:
    shop.put("key")

    def body(session: Session) -> list[str]:
        with Cache("memory://", strict=True) as strict:
            invalidate_after_commit(session, strict, keys="key")
            invalidate_after_commit(session, shop.cache, keys="key")
            session.add(Team(name="red"))
            with strict.inject_fault(BackendUnavailable), pytest.raises(BackendUnavailable):
                session.commit()
        return [*session.scalars(text("SELECT name FROM teams"))]

    assert shop.session(body) == ["red"]
    assert shop.left("key") == set()


@both_in_one
def test_sessions_of_a_registry_are_sessions(shop: Shop) -> None:
    shop.put("sync", "async")
    plain = scoped_session(sessionmaker(shop.engine))
    plain.execute(text("SELECT 1"))
    invalidate_after_commit(plain, shop.cache, keys="sync")
    plain.commit()
    plain.remove()
    assert shop.left("sync", "async") == {"async"}

    async def scoped() -> None:
        made = async_scoped_session(async_sessionmaker(shop.async_engine), asyncio.current_task)
        await made.execute(text("SELECT 1"))
        invalidate_after_commit(made, shop.cache, keys="async")
        await made.commit()
        await made.remove()

    shop.runner.run(scoped())
    assert shop.left("async") == set()


@both_in_one
def test_an_async_session_does_not_hold_up_the_loop(shop: Shop) -> None:
    shop.put("key")

    async def changed() -> int:
        turns = 0

        async def turning() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with AsyncSession(shop.async_engine) as session:
            await session.execute(text("SELECT 1"))
            invalidate_after_commit(session, shop.cache, keys="key", hold=1)
            with shop.cache.inject_fault(delay=0.05):
                task = asyncio.create_task(turning())
                await session.commit()
        task.cancel()
        return turns

    assert shop.runner.run(changed()) > 10
    assert shop.left("key") == set()


@both_in_one
def test_a_task_that_is_cancelled_after_the_commit_invalidates(shop: Shop) -> None:
    shop.put("key")

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def change() -> None:
            async with AsyncSession(shop.async_engine) as session:
                session.add(Team(name="red"))
                invalidate_after_commit(session, shop.cache, keys="key")
                sync = session.sync_session
                event.listen(sync, "after_commit", lambda _: begun.set())
                await session.commit()

        with shop.cache.inject_fault(delay=0.1):
            task = asyncio.create_task(change())
            await begun.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    shop.runner.run(cancelled())
    assert shop.left("key") == set()
