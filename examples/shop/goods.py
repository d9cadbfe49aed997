"""The goods of the shop: a table in SQLite, and a price service that takes its time.

Nothing here knows of a cache. Each sale makes an item one cent dearer, so prices only rise.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PRICE_SECONDS: Final = 0.02
START: Final = [("pen", 200), ("ink", 900), ("lamp", 4_900), ("globe", 12_500)]

Item = dict[str, Any]


class UnknownItem(LookupError):
    """There is no item with this id."""


class Goods:
    """The table, made with four items where the file is new. Safe in any thread and process."""

    def __init__(self, path: str | None = None) -> None:
        self.path = path or os.environ.get("SHOP_DATABASE") or temporary_database()
        with closing(sqlite3.connect(self.path, timeout=30)) as database, database:
            database.execute("pragma journal_mode=wal")  # readers do not wait for writers
            database.execute(
                "create table if not exists goods (id integer primary key, name text, cents int)"
            )
            database.executemany(
                "insert or ignore into goods values (?, ?, ?)",
                [(number, *item) for number, item in enumerate(START, 1)],
            )

    def names(self) -> dict[int, str]:
        return dict(self._rows("select id, name from goods order by id"))

    def name(self, item_id: int) -> str:
        return str(self._one("select name from goods where id = ?", item_id))

    def buy(self, item_id: int) -> int:
        """Sell one; return the new price."""
        sold = "update goods set cents = cents + 1 where id = ? returning cents"
        return int(self._one(sold, item_id))

    def rename(self, item_id: int, name: str) -> None:
        self._one("update goods set name = ? where id = ? returning id", name, item_id)

    def price(self, item_id: int) -> int:
        """Ask the price service. Its answer travels for a while, and may be old when it comes."""
        cents = self._cents(item_id)
        time.sleep(PRICE_SECONDS)
        return cents

    async def price_async(self, item_id: int) -> int:
        """Do the same in an event loop."""
        cents = await asyncio.to_thread(self._cents, item_id)
        await asyncio.sleep(PRICE_SECONDS)
        return cents

    def _cents(self, item_id: int) -> int:
        return int(self._one("select cents from goods where id = ?", item_id))

    def _one(self, query: str, *values: Any) -> Any:
        for row in self._rows(query, *values):
            return row[0]
        raise UnknownItem(values[-1])

    def _rows(self, query: str, *values: Any) -> Iterator[Any]:
        # The rows are complete, and the change is committed, before the caller sees the first one.
        with closing(sqlite3.connect(self.path, timeout=30)) as database, database:
            database.execute("pragma synchronous=normal")
            rows = database.execute(query, values).fetchall()
        return iter(rows)


def temporary_database() -> str:
    """Return the path of a database that goes with this process."""
    folder = tempfile.mkdtemp(prefix="shop-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"{folder}/shop.sqlite3"


def port() -> int:
    return int(os.environ.get("SHOP_PORT", "8000"))
