"""The blog's SQLite database: one library for `async def`, another for `def` and threads."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiosqlite
from fastapi import Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TABLES = """
create table if not exists users (
    id integer primary key, name text not null unique, bio text not null default ''
);
create table if not exists posts (
    id integer primary key, author text not null, title text not null, text text not null,
    is_draft integer not null default 0
);
insert or ignore into users (id, name, bio) values (1, 'ada', 'writes programs'), (2, 'bob', '');
"""


class Database:
    """Where the data lives; every query counts, so that a hit of the cache can be seen."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.queries = 0
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(TABLES)

    async def fetch(self, connection: aiosqlite.Connection, sql: str, *values: Any) -> list[Any]:
        self.queries += 1
        return list(await connection.execute_fetchall(sql, values))

    async def change(self, connection: aiosqlite.Connection, sql: str, *values: Any) -> int:
        """Run one change to its commit; return the id of a new row."""
        cursor = await connection.execute(sql, values)
        await connection.commit()
        return cursor.lastrowid or 0

    def fetch_now(self, connection: sqlite3.Connection, sql: str, *values: Any) -> list[Any]:
        self.queries += 1
        return connection.execute(sql, values).fetchall()


def database(request: Request) -> Database:
    """Return the application's database."""
    found: Database = request.app.state.database
    return found


async def connected(request: Request) -> AsyncIterator[aiosqlite.Connection]:
    """Open a connection for one request of an `async def` endpoint."""
    async with aiosqlite.connect(database(request).path) as connection:
        yield connection


def connected_now(request: Request) -> Iterator[sqlite3.Connection]:
    """Open a connection for one request of a `def` endpoint, whose steps may run in two threads."""
    path = database(request).path
    with closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        yield connection
