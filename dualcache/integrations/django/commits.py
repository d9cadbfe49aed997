"""Invalidation when a transaction commits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import transaction

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["invalidate_on_commit"]


def invalidate_on_commit(
    cache: Any,
    *keys: Any,
    tags: Iterable[str] = (),
    patterns: Iterable[str] = (),
    hold: Any = 0,
    using: str | None = None,
) -> None:
    """Invalidate when the current transaction commits; a rollback does nothing.

    `cache` is one of Django's caches or a `Cache`; the other arguments are those of its
    `invalidate`. `using` is the alias of the database. Outside a transaction it invalidates at
    once. With `hold`, the keys are invalidated now as well, and nothing is stored under them for
    that many seconds.
    """
    if hold:
        cache.invalidate(*keys, hold=hold)
    invalidate = partial(cache.invalidate, *keys, tags=[*tags], patterns=[*patterns])
    transaction.on_commit(invalidate, using=using)
