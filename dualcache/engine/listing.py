"""Listing the names under which values are stored, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.apart import At, ReadTopology
from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of
from dualcache.core.ops import do
from dualcache.core.scans import Scan, ScanPage
from dualcache.engine.beside import without_shapes
from dualcache.engine.deletion import SCAN_COUNT, read_heads
from dualcache.engine.recovery import ask

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

__all__ = ["NamePage", "list_names"]

_VALUES: Final = (Kind.VALUE, Kind.EXPIRED)
_MOST_NODES: Final = 65_536


class NamePage(NamedTuple):
    """Some names, without the namespace; the next page begins at `cursor`, 0 after the last."""

    cursor: int
    names: list[str]


def list_names(cursor: int, pattern: str, env: Env) -> Flow[NamePage]:
    """Return a page of the names that match; raise `BackendError`, as the rest would be missing.

    Complete for names that are there throughout. A key that matches may be a load under way, or
    another program's: what it holds says whether a value of ours is there.
    """
    page = yield from _scan(cursor, env.prefix + pattern, env)
    own = tuple([key for key in dict.fromkeys(page.keys) if not _is_internal(key, env)])
    heads = (yield from read_heads(own, env)) if own else ()
    pairs = zip(own, heads, strict=True)
    found = [key for key, head in pairs if kind_of(head) in _VALUES]
    return NamePage(page.cursor, [_name_of(key, env) for key in found])


def _scan(cursor: int, pattern: str, env: Env) -> Flow[ScanPage]:
    """Read a page of the key space: in a cluster of one node, and then of the next.

    The number of the node is part of the cursor.
    """
    nodes = env.nodes
    if nodes is None:
        return (yield from ask(Scan(cursor, pattern, SCAN_COUNT), env))
    if not cursor:
        yield from do(ReadTopology())
    cursor, number = divmod(cursor, _MOST_NODES)
    names = nodes.names
    if number >= len(names):
        return ScanPage(0, ())
    scan = At(names[number], Scan(cursor, pattern, SCAN_COUNT))
    page: ScanPage = yield from ask(scan, env)
    if page.cursor:
        return page._replace(cursor=page.cursor * _MOST_NODES + number)
    return page._replace(cursor=(number + 1) % len(names))


def _is_internal(key: bytes, env: Env) -> bool:
    """Tell whether a key is one of the cache's own: a tag, a base, a lease, one beside another."""
    return key.startswith(b"%b~" % env.prefix.encode()) or without_shapes(key) != key


def _name_of(key: bytes, env: Env) -> str:
    """Return a key as its user names it."""
    return key.decode("utf-8", "surrogateescape").removeprefix(env.prefix)
