"""Deleting: names in one trip, patterns and whole functions page by page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.apart import At
from dualcache.core.envelope import owner_of
from dualcache.core.ops import Batch, Delete, GiveWay, Look, Publish, ReadTags
from dualcache.core.revocation import Revocation, life_key
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.engine.attempts import attempt, attempt_each
from dualcache.engine.beside import without_shapes
from dualcache.engine.health import PendingDeletion
from dualcache.engine.holds import held_key, hold, hold_keys, holdable, is_internal_hold
from dualcache.engine.pipelines import one_trip, slices
from dualcache.errors import BackendRefused
from dualcache.keys.globs import compile_glob, literal_head
from dualcache.keys.names import SURELY_SHORT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.ops import Flow
    from dualcache.engine.env import Env
    from dualcache.engine.health import Owned

__all__ = [
    "FEW_AT_ONCE",
    "SCAN_COUNT",
    "ScanRefused",
    "delete_matching",
    "delete_names",
    "delete_owned",
    "notice_of",
    "read_heads",
    "revoked_by",
]

SCAN_COUNT: Final = 1_000
FEW_AT_ONCE: Final = 50
"""How many whole entries are read in one trip."""
_SURE_HEAD: Final = SURELY_SHORT // 4
"""So many characters at the beginning of a name stay, however much it is shortened."""


class ScanRefused(BackendRefused):
    """The server does not list its keys: it lacks the command, or this user the right to it."""


def delete_names(names: tuple[str, ...], holds: dict[str, int], env: Env) -> Flow[int]:
    """Delete keys and tags, in few trips; return how many there were.

    Keys that are held stay so, and those of `holds` are from now on, for so many ms.
    """
    removed, held = 0, set[str]()
    for part in slices(names):
        if removed:
            yield GiveWay()
        removed += yield from _delete_together(tuple(part), held, env)
    if held or holds:
        yield from hold(holds, held, env)
    return removed


def _delete_together(names: tuple[str, ...], held: set[str], env: Env) -> Flow[int]:
    """Delete keys and tags in one trip, and publish their names with it where others listen.

    `held` gets the keys under which a hold was put before.
    """
    # In one transaction: between the two a writer that dies would leave the copies of others for
    # ever, and a notice that came first would be forgotten by whoever reads in between.
    notice, keys = notice_of(names, env), holdable(names, env)
    # Holds are read after the deletion: one that is put in between has its copy there by then, and
    # one that is put later comes after the deletion as well.
    holds = (ReadTags(hold_keys(keys, env)),) if keys else ()
    reply: Any
    try:
        reply = yield from attempt(one_trip((Delete(names, notice), *holds)), env)
    except BackendRefused as error:
        if notice is None or error.prefix != "OOM":
            raise
        # A full server queues nothing for a transaction, but deletes and tells all the same.
        trip = Batch((Delete(names), *holds, Publish(notice)))
        reply = (yield from attempt(trip, env))[: 1 + len(holds)]
        reply = reply if holds else reply[0]
    if not holds:
        return int(reply)
    removed, found = reply
    if found.count(None) != len(keys):
        held.update([key for key, each in zip(keys, found, strict=True) if each is not None])
    return int(removed)


def delete_matching(pattern: str, env: Env, held: set[str] | None = None) -> Flow[int]:
    """Delete every key that matches, page by page: complete for keys that were there throughout.

    In a cluster that is for one node: the one whose surroundings these are. `held` then gets the
    keys that are held: the caller holds them again when all nodes have been searched.

    A key's variants die with it, so its base tag `~b:key` goes too. One pass over the key space
    finds both; what the wider pattern finds beside them is left alone.
    """
    # The keys that tell one life of the data from another stay: their end would look like a flush.
    spared = life_key(env.prefix) if env.channel else None
    is_revoked = revoked_by(pattern, env.prefix, spared)
    is_hold = compile_glob(f"{env.prefix}~h:{pattern}")
    own_held: set[str] = set()
    cursor = removed = 0
    while True:
        wider = f"{env.prefix}*{pattern.lstrip('*')}"
        page = yield from _scan(cursor, wider, env)
        for at, part in enumerate(slices(page.keys)):  # memory has one page of all keys
            if at:
                yield GiveWay()
            revoked = [key for key in part if is_revoked(key)]
            if pattern != "*":  # of a whole namespace the holds go, too
                own_held.update([held_key(key.decode(), env) for key in part if is_hold(key)])
                revoked = [key for key in revoked if not is_internal_hold(key, env)]
            removed += yield from _unlink(revoked, env)
        cursor = page.cursor
        if not cursor:
            break
    if held is not None:
        held |= own_held
    elif own_held:
        yield from hold({}, own_held, env)
    # Published when all is deleted. Published first, another process would forget its copies, read
    # a page that is not deleted yet, and keep that for ever.
    yield from _tell_pattern(pattern, env)
    return removed


def delete_owned(function: Owned, env: Env) -> Flow[int]:
    """Delete every entry and marker of one function, page by page, and no key of anybody else.

    The pattern only narrows the search; what a key holds says whose it is. A load under way is
    revoked as by any deletion: what it started from carries the owner, so it is deleted.
    """
    owner, pattern = function
    is_key = compile_glob(env.prefix + pattern)
    cursor = removed = 0
    while True:
        wider = f"{env.prefix}{literal_head(pattern, _SURE_HEAD)}*"
        page = yield from _scan(cursor, wider, env)
        for at, part in enumerate(slices(page.keys)):
            if at:
                yield GiveWay()
            own = yield from _owned_of(part, owner, is_key, env)
            removed += yield from _unlink(own, env)
            yield from _unlink_bases([_base_of(key, env) for key in own], env)
            # Others get the pattern, since a copy outlives an entry that was evicted. A name that
            # was shortened where the pattern has a literal does not match it, and goes by itself.
            hidden = tuple([key.decode() for key in own if not is_key(key)])
            if hidden and env.channel:
                yield from _tell(Revocation(env.channel, hidden), env)
        cursor = page.cursor
        if not cursor:
            break
    yield from _tell_pattern(pattern, env)
    return removed


def _owned_of(
    keys: Sequence[bytes], owner: bytes, is_key: Callable[[bytes], bool], env: Env
) -> Flow[Sequence[bytes]]:
    """Return those of the scanned keys whose entry or marker carries the owner."""
    likely = [key for key in keys if is_key(without_shapes(key)) or len(key) > SURELY_SHORT]
    if not likely:
        return ()
    heads = yield from read_heads(likely, env)
    pairs = zip(likely, heads, strict=True)
    return [key for key, head in pairs if owner_of(head) == owner]


def read_heads(keys: Sequence[bytes], env: Env) -> Flow[Sequence[bytes]]:
    """Read the first bytes of scanned keys; whole entries where a part may not be read."""
    # That right may be left out of a user's list. A deletion that could never be delivered would
    # stop every read behind its replay.
    try:
        return (yield from attempt(ReadHeads(tuple(keys)), env))
    except BackendRefused as error:
        if not error.is_lacking:
            raise
    heads: list[bytes] = []
    for at in range(0, len(keys), FEW_AT_ONCE):
        looks = tuple([Look(key.decode(errors="replace")) for key in keys[at : at + FEW_AT_ONCE]])
        heads += [raw_read.raw or b"" for raw_read in (yield from attempt(Batch(looks), env))]
    return heads


def _scan(cursor: int, pattern: str, env: Env) -> Flow[ScanPage]:
    """Read one page of the key space; raise `ScanRefused` where that can never be had."""
    scan = Scan(cursor, pattern, SCAN_COUNT)
    try:
        return (yield from attempt(At(env.node, scan) if env.node else scan, env))
    except BackendRefused as error:
        if not error.is_lacking:
            raise
        refused = ScanRefused(
            "the server does not let its keys be listed",
            code="DC183",
            help="allow +scan, or invalidate by keys and tags",
        )
        refused.prefix = error.prefix
        raise refused from error


def _unlink(keys: Sequence[bytes], env: Env) -> Flow[int]:
    """Delete keys that a scan has found; return how many there were."""
    if not keys:
        return 0
    try:
        removed = yield from attempt(Unlink(tuple(keys)), env)
    except BackendRefused as error:
        if not error.is_lacking:
            raise
        removed = yield from attempt(Unlink(tuple(keys), is_blocking=True), env)
    env.front.drop(key.decode(errors="replace") for key in keys)
    return removed


def _unlink_bases(names: Sequence[bytes], env: Env) -> Flow[None]:
    """Delete the implicit tags of scanned keys; a node of a cluster that fails gets them later."""
    if env.nodes is None:
        yield from _unlink(names, env)
        return
    # Told at their own nodes, not with the pattern: a copy depends on the node of its base tag too.
    bases = [name.decode() for name in names]
    replies = yield from attempt_each(
        [Delete((each,), notice_of((each,), env)) for each in bases], env
    )
    lost = [name for name, reply in zip(bases, replies, strict=True) if reply is None]
    if lost:
        env.nodes.keep(PendingDeletion(tuple(lost)))


def _tell_pattern(pattern: str, env: Env) -> Flow[None]:
    """Publish that what matches was deleted, where other processes listen."""
    if env.channel:
        yield from _tell(Revocation(env.channel, (), (pattern,)), env)


def _tell(notice: Revocation, env: Env) -> Flow[None]:
    """Publish a notice; in a cluster at the node where its names were deleted.

    A copy is kept as long as the nodes are heard at which it was read. What another node tells may
    be missed: the link to that one may be down.
    """
    told = Publish(notice)
    yield from attempt(At(env.node, told) if env.node else told, env)


def _base_of(key: bytes, env: Env) -> bytes:
    """Return the implicit tag of a scanned key's variants."""
    prefix = env.prefix.encode()
    return b"%b~b:%b" % (prefix, key.removeprefix(prefix))


def revoked_by(
    pattern: str, prefix: str, spared: str | None = None
) -> Callable[[str | bytes], bool]:
    """Compile a pattern into a predicate over full names, of keys and of base tags.

    A name that is `spared`, or begins with that and a colon, never matches.
    """
    is_key = compile_glob(prefix + pattern)
    is_base = compile_glob(f"{prefix}~b:{pattern}")
    left_alone = None if spared is None else re.compile(re.escape(spared.encode()) + rb"(?::|\Z)")

    def is_revoked(name: str | bytes) -> bool:
        raw = name.encode() if isinstance(name, str) else name
        if left_alone is not None and left_alone.match(raw):
            return False
        return bool(is_key(raw) or is_base(raw))

    return is_revoked


def notice_of(names: tuple[str, ...], env: Env) -> Revocation | None:
    """Return the notice for other processes that names were revoked; `None` where none listens."""
    # Whether or not the names were there: a copy outlives an entry that was evicted.
    return Revocation(env.channel, names) if env.channel else None
