"""SQLAlchemy: invalidation after a commit, by hand or by what a session changes.

It works with `Session` and `AsyncSession`. A rollback invalidates nothing.
"""

from __future__ import annotations

from dualcache.integrations.sqlalchemy.commits import invalidate_after_commit
from dualcache.integrations.sqlalchemy.models import table_tag, tags_of_models

__all__ = ["invalidate_after_commit", "table_tag", "tags_of_models"]
