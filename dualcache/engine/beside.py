"""Entries of several shapes under one key: each but the first next to it, under another key.

Two releases of a program run side by side while one replaces the other. Where their types differ,
each would find the other's entries unreadable, load over them, and be loaded over in turn. So a
caller that finds an entry of another shape under a key goes on to `key~<shape>`.

The entry there is valid while the entry beside which it was stored exists. That is kept as a tag
is, by identity: the version of that entry, which nothing ever has again, is the id. So whatever
ends the entry (a deletion by key, tag or pattern, a set, an eviction, a foreign DEL) ends all that
lies beside it, at once and without another command. The version was read before the load began, as
the ids of tags are: a load that is overtaken by an invalidation stores a value that nobody serves.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from dualcache.core.entry import SHAPE_BYTES, Tag
from dualcache.engine.freshness import OTHER

if TYPE_CHECKING:
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["MOST_BESIDE", "call_beside", "without_shapes"]

MOST_BESIDE: Final = 4
"""How many shapes of one key live side by side; a caller of yet another stores nothing."""
_SUFFIXES: Final = re.compile(rb"(?:~[0-9a-f]{%d})+\Z" % (2 * SHAPE_BYTES))


def call_beside(call: Call, read: ReadResult, env: Env) -> Call | None:
    """Return the call that serves a caller from beside an entry of another shape.

    `None` where the entry is none of another shape, or too many lie there. Nothing of it is kept in
    the front tier: each read has to see the entry that it depends on.
    """
    stored = read.stored
    if read.state is not OTHER or stored is None or len(call.beside) >= MOST_BESIDE:
        return None
    name = f"{env.prefix}~v:{call.key.removeprefix(env.prefix)}"
    return replace(
        call,
        key=f"{call.key}~{read.shape.hex()}",
        policy=replace(call.policy, front=None),
        beside=(*call.beside, Tag(name, stored.version)),
    )


def without_shapes(key: bytes) -> bytes:
    """Return the key beside whose entry this one lies; the key itself where it lies beside none."""
    return _SUFFIXES.sub(b"", key)
