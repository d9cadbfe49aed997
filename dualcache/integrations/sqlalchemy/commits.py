"""`invalidate_after_commit`, and the events of sessions by which it hears of commits."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from dualcache import Cache, UsageError
from dualcache.integrations.sqlalchemy.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from sqlalchemy.orm import SessionTransaction

    AnySession: TypeAlias = Session | AsyncSession | scoped_session[Any] | async_scoped_session[Any]

__all__ = ["gather", "invalidate_after_commit"]

CACHE: Final = "dualcache"
"""Where `Session.info` has the cache of a session."""
_PENDING: Final = "dualcache.pending"


def invalidate_after_commit(
    session: AnySession,
    cache: Cache | None = None,
    *,
    keys: Iterable[str] = (),
    tags: Iterable[str] = (),
    patterns: Iterable[str] = (),
    hold: Any = 0,
) -> None:
    """Invalidate after the session's transaction has committed.

    A rollback invalidates nothing. All requests of a transaction become one invalidation, after the
    outermost commit. A savepoint that is rolled back takes its part away. Outside a transaction, it
    waits for the next one. You can leave `cache` out if the session has one, as all sessions have
    of `sessionmaker(engine, info={"dualcache": cache})`. `hold` invalidates the keys before the
    commit as well, and keeps loads from storing under them for that many seconds. Raises
    `UsageError` at once for names that `Cache.invalidate` refuses.
    """
    target = _plain(session)
    cache = target.info.get(CACHE) if cache is None else cache
    if cache is None:
        raise UsageError(
            "invalidate_after_commit() has no cache",
            code="DC471",
            help='pass one, or write sessionmaker(engine, info={"dualcache": cache})',
        )
    parts = [*_several(keys)], [*_several(tags)], [*_several(patterns)]
    # After the commit it would be too late to refuse a name: a cache that stores nothing looks now.
    _checking().invalidate(*parts[0], tags=parts[1], patterns=parts[2], hold=hold)
    gather(target, cache, *parts, hold)


def gather(
    session: Session,
    cache: Cache,
    keys: Iterable[str],
    tags: Iterable[str],
    patterns: Iterable[str] = (),
    hold: Any = 0,
) -> None:
    """Keep an invalidation for the innermost transaction, or for the one that will begin."""
    pending: Pending = session.info.setdefault(_PENDING, Pending())
    pending.of(_innermost(session), cache).add(keys, tags, patterns, hold)


def _plain(session: AnySession) -> Session:
    found: Any = session
    if isinstance(found, scoped_session | async_scoped_session):
        found = found()
    plain: Session = found.sync_session if isinstance(found, AsyncSession) else found
    return plain


def _several(names: Iterable[str]) -> Iterable[str]:
    return [names] if isinstance(names, str) else names


@lru_cache(maxsize=1)
def _checking() -> Cache:
    return Cache("null://", namespace="checked")


def _innermost(session: Session) -> SessionTransaction | None:
    return session.get_nested_transaction() or session.get_transaction()


def _pending(session: Session) -> Pending | None:
    pending: Pending | None = session.info.get(_PENDING)
    return pending


@event.listens_for(Session, "after_transaction_create")
def _begun(session: Session, transaction: SessionTransaction) -> None:
    pending = _pending(session)
    if pending is not None and transaction.parent is None:
        pending.begin(transaction)


@event.listens_for(Session, "before_commit")
def _committing(session: Session) -> None:
    pending, transaction = _pending(session), _innermost(session)
    # Releasing a savepoint is no commit: nothing can be read of it elsewhere.
    if pending is not None and transaction is not None and transaction.parent is None:
        pending.hold(transaction)


@event.listens_for(Session, "after_commit")
def _committed(session: Session) -> None:
    pending, transaction = _pending(session), _innermost(session)
    if pending is not None and transaction is not None:
        pending.commit(transaction)


@event.listens_for(Session, "after_transaction_end")
def _ended(session: Session, transaction: SessionTransaction) -> None:
    pending = _pending(session)
    if pending is not None:
        pending.end(transaction)
