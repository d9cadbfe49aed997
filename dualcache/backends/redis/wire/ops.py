"""The wire: an op becomes commands, replies become the op's reply. Here alone Redis is spelled.

Error replies come in as `BackendRefused` values, since only some of them fail an op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.scripts import COMMIT_SHA, commit_source
from dualcache.backends.redis.wire.cluster import CLUSTER_SPELLINGS
from dualcache.backends.redis.wire.leases import (
    lifetime,
    new_tag_commands,
    new_tag_replies,
    try_lease_commands,
    try_lease_reply,
    write_lease,
)
from dualcache.backends.redis.wire.publish import publish, telling
from dualcache.backends.redis.wire.resp import (
    Command,
    Spelling,
    bulk,
    checked,
    content,
    nonsense,
    number,
    pack,
    pack_names,
    refused_write,
    strings,
    written,
)
from dualcache.backends.redis.wire.scans import SCAN_SPELLINGS
from dualcache.core.entry import HEADER_BYTES
from dualcache.core.ops import (
    FOR_EVER,
    Batch,
    Claim,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    LoadScript,
    Look,
    LookAndLease,
    MakeTag,
    MakeTags,
    Ping,
    ProlongTag,
    Publish,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Op


__all__ = ["decode", "encode"]

# Looking up a member costs more than the rest of a comparison on CPython 3.11.
_IFEQ: Final = CommitWay.IFEQ
_EVAL: Final = CommitWay.EVAL
_STORED: Final = CommitReply.STORED
_EVALSHA: Final = b"$7\r\nEVALSHA\r\n" + bulk(COMMIT_SHA)


def encode(op: Op[Any]) -> tuple[bytes, int]:
    """Write the commands of an op; return them and the number of replies."""
    if type(op) is Look:
        # Every hit is one of these: one text, without the calls that other ops take.
        key, tags = op.key, op.tags
        if tags:
            text = f"*{2 + len(tags)}\r\n$4\r\nMGET\r\n${len(key)}\r\n{key}\r\n"
            for tag in tags:
                text += f"${len(tag)}\r\n{tag}\r\n"
        else:
            text = f"*2\r\n$3\r\nGET\r\n${len(key)}\r\n{key}\r\n"
        if op.with_ttl:
            text += f"*2\r\n$4\r\nPTTL\r\n${len(key)}\r\n{key}\r\n"
        # A name of ASCII has as many bytes as it has letters.
        return text.encode() if text.isascii() else _write_look(op), 2 if op.with_ttl else 1
    if type(op) is Batch:
        written = [encode(each) for each in op.ops]
        return b"".join([data for data, _ in written]), sum([count for _, count in written])
    spelling = SPELLINGS[type(op)]
    return spelling.write(op), spelling.awaits(op)


def decode(op: Op[Any], replies: Sequence[Any]) -> Any:
    """Return the op's reply; raise `BackendError` where a reply is one, or makes no sense."""
    if type(op) is Look:
        raw = replies[0]
        if not op.with_ttl:
            if op.tags:
                found = strings(raw, 1 + len(op.tags))
                return RawRead(found[0], found[1:])
            if type(raw) is bytes:
                return RawRead(raw)
        return _look_reply(op, replies)
    return SPELLINGS[type(op)].reply(op, replies)


# Reads


def _write_look(op: Look) -> bytes:
    """Write a read whatever its names: those of `encode` are of ASCII."""
    data = pack(("MGET", op.key, *op.tags) if op.tags else ("GET", op.key))
    return data + pack(("PTTL", op.key)) if op.with_ttl else data


def _look_reply(op: Look, replies: Sequence[Any]) -> RawRead:
    raw: Any = replies[0]
    tag_ids: tuple[bytes | None, ...] = ()
    if op.tags:
        found = strings(raw, 1 + len(op.tags))
        raw, tag_ids = found[0], found[1:]
    elif type(raw) is not bytes:
        raw = content(raw)
    if not op.with_ttl:
        return RawRead(raw, tag_ids)
    left = lifetime(replies[1])
    if left is None:
        return RawRead(raw, tag_ids, refusal="NOPERM")
    # It may have ended since it was read: no time is then left, which is not for ever.
    return RawRead(raw, tag_ids, None if left == FOR_EVER else max(0, left))


def _read_tags_reply(op: ReadTags, replies: Sequence[Any]) -> tuple[bytes | None, ...]:
    return strings(replies[0], len(op.tags))


# Leases and tags


def _lease_reply(op: LookAndLease, replies: Sequence[Any]) -> RawRead:
    refusal = refused_write(replies[0])
    ids, left_ms = new_tag_replies(op.tags, replies[3:])
    return RawRead(content(replies[1]), ids, lifetime(replies[2]), left_ms, refusal)


def _claim_commands(op: Claim) -> Sequence[Command]:
    claim: Command = ("SET", op.key, op.filling, "PX", op.lease_ms)
    return (claim, *new_tag_commands(op.tags))


def _claim_reply(op: Claim, replies: Sequence[Any]) -> RawRead:
    refusal = refused_write(replies[0])
    ids, left_ms = new_tag_replies(op.tags, replies[1:])
    return RawRead(None if refusal else op.filling, ids, None, left_ms, refusal)


def _make_tags_commands(op: MakeTags) -> Sequence[Command]:
    return new_tag_commands(op.tags)


def _make_tags_reply(op: MakeTags, replies: Sequence[Any]) -> tuple[bytes | None, ...]:
    return new_tag_replies(op.tags, replies)[0]


def _make_tag_commands(op: MakeTag) -> Sequence[Command]:
    return new_tag_commands((op.tag,))


def _make_tag_reply(op: MakeTag, replies: Sequence[Any]) -> tuple[bytes | None, int]:
    ids, left_ms = new_tag_replies((op.tag,), replies)
    return ids[0], left_ms[0]


def _prolong_commands(op: ProlongTag) -> Sequence[Command]:
    if op.life_ms is None:
        return (("PERSIST", op.key),)
    return (("PEXPIRE", op.key, op.life_ms),)


# Writes


def _write_commit(op: Commit) -> bytes:
    """Write a commit as one text: every miss ends with one."""
    key, blob, ttl_ms = bulk(op.key.encode()), bulk(op.blob), op.ttl_ms
    if op.way is _IFEQ:
        head = b"*5\r\n$3\r\nSET\r\n" if ttl_ms is None else b"*7\r\n$3\r\nSET\r\n"
        life = b"" if ttl_ms is None else b"$2\r\nPX\r\n" + bulk(b"%d" % ttl_ms)
        return b"".join((head, key, blob, b"$4\r\nIFEQ\r\n", bulk(op.expected), life))
    script = _EVALSHA if op.way is not _EVAL else b"$4\r\nEVAL\r\n" + bulk(commit_source())
    expected, life = bulk(op.expected[:HEADER_BYTES]), bulk(b"%d" % (ttl_ms or 0))
    return b"".join((b"*7\r\n", script, b"$1\r\n1\r\n", key, expected, blob, life))


def _commit_reply(_: Commit, replies: Sequence[Any]) -> CommitReply:
    reply = replies[0]
    if isinstance(reply, BackendRefused):
        if reply.prefix == "NOSCRIPT":
            return CommitReply.NO_SCRIPT
        if reply.prefix == "WRONGTYPE":
            return CommitReply.REFUSED
        if reply.is_lacking:
            return CommitReply.UNSUPPORTED
        raise reply
    if reply in (1, b"OK"):
        return _STORED
    if reply in (0, None):
        return CommitReply.REFUSED
    raise nonsense()


def _script_commands(_: LoadScript) -> Sequence[Command]:
    return (("SCRIPT", "LOAD", commit_source()),)


def _script_reply(_: LoadScript, __: Sequence[Any]) -> None:
    """A server that takes no script shows it at the next commit."""


def _ping_commands(_: Ping) -> Sequence[Command]:
    return (("PING",),)


def _prolong_reply(_: ProlongTag, replies: Sequence[Any]) -> None:
    """Without the right to prolong it, a tag ends earlier: that costs misses, and is safe."""
    refused_write(replies[0])


def _number_reply(_: Op[Any], replies: Sequence[Any]) -> int:
    return number(replies[0])


def _no_reply(_: Op[Any], replies: Sequence[Any]) -> None:
    checked(replies[0])


def _batch_reply(op: Batch, replies: Sequence[Any]) -> tuple[Any, ...]:
    found = []
    start = 0
    for each in op.ops:
        spelling = SPELLINGS[type(each)]
        end = start + spelling.awaits(each)
        found.append(spelling.reply(each, replies[start:end]))
        start = end
    return tuple(found)


SPELLINGS: Final[dict[type[Op[Any]], Spelling]] = {
    Look: Spelling(_write_look, lambda op: 2 if op.with_ttl else 1, _look_reply),
    LookAndLease: Spelling(write_lease, lambda op: 3 + 3 * len(op.tags), _lease_reply),
    Claim: telling(written(_claim_commands, _claim_reply, lambda op: 1 + 3 * len(op.tags))),
    ReadTags: Spelling(lambda op: pack_names("MGET", op.tags), lambda _: 1, _read_tags_reply),
    MakeTags: written(_make_tags_commands, _make_tags_reply, lambda op: 3 * len(op.tags)),
    MakeTag: written(_make_tag_commands, _make_tag_reply, lambda _: 3),
    ProlongTag: written(_prolong_commands, _prolong_reply),
    TryLease: written(try_lease_commands, try_lease_reply, lambda _: 3),
    Commit: telling(Spelling(_write_commit, lambda _: 1, _commit_reply)),
    LoadScript: written(_script_commands, _script_reply),
    Delete: telling(Spelling(lambda op: pack_names("DEL", op.keys), lambda _: 1, _number_reply)),
    Publish: Spelling(lambda op: publish(op.notice), lambda _: 1, _no_reply),
    Ping: written(_ping_commands, _no_reply),
    Batch: Spelling(lambda op: encode(op)[0], lambda op: encode(op)[1], _batch_reply),
    **SCAN_SPELLINGS,
    **CLUSTER_SPELLINGS,
}
