"""Listing the names under which values are stored, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of
from dualcache.core.scans import Scan
from dualcache.engine.beside import without_shapes
from dualcache.engine.deletion import SCAN_COUNT, read_heads
from dualcache.engine.recovery import ask

if TYPE_CHECKING:
    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env

__all__ = ["NamePage", "list_names"]

_VALUES: Final = (Kind.VALUE, Kind.EXPIRED)


class NamePage(NamedTuple):
    """Some names, without the namespace; the next page begins at `cursor`, 0 after the last."""

    cursor: int
    names: list[str]


def list_names(cursor: int, pattern: str, env: Env) -> Flow[NamePage]:
    """Return a page of the names that match; raise `BackendError`, as the rest would be missing.

    Complete for names that are there throughout. A key that matches may be a load under way, or
    another program's: what it holds says whether a value of ours is there.
    """
    page = yield from ask(Scan(cursor, env.prefix + pattern, SCAN_COUNT), env)
    own = tuple([key for key in dict.fromkeys(page.keys) if not _is_internal(key, env)])
    heads = (yield from read_heads(own, env)) if own else ()
    pairs = zip(own, heads, strict=True)
    found = [key for key, head in pairs if kind_of(head) in _VALUES]
    return NamePage(page.cursor, [_name_of(key, env) for key in found])


def _is_internal(key: bytes, env: Env) -> bool:
    """Tell whether a key is one of the cache's own: a tag, a base, a lease, one beside another."""
    return key.startswith(b"%b~" % env.prefix.encode()) or without_shapes(key) != key


def _name_of(key: bytes, env: Env) -> str:
    """Return a key as its user names it."""
    return key.decode("utf-8", "surrogateescape").removeprefix(env.prefix)
