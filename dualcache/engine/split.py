"""One op for many nodes: its parts, one for each node, and the reply that theirs make together.

A command of a cluster has one key, or keys of one slot. So an op is taken apart into ops of one key
each, its atoms; those of a node go there in one trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from msgspec.structs import replace

from dualcache.core.apart import At, Heard
from dualcache.core.front_ports import heard_together
from dualcache.core.ops import (
    Batch,
    Claim,
    Commit,
    Delete,
    LoadScript,
    Look,
    LookAndLease,
    MakeTag,
    MakeTags,
    ProlongTag,
    Publish,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.scans import ReadHeads, Unlink
from dualcache.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dualcache.core.ops import Op
    from dualcache.core.revocation import Revocation

    NodeOf: TypeAlias = Callable[[str | bytes], str]

__all__ = ["Split", "join", "joined", "raise_first", "split"]

T = TypeVar("T")


class Split(NamedTuple):
    """The parts of an op, and where the reply of each of its atoms is found.

    `places` are pairs of a part and a place in its trip; `None`: the only part is the op itself.
    `counts` are how many atoms each op of a batch has.
    """

    parts: tuple[At[Any], ...]
    places: Sequence[tuple[int, int]] | None = None
    counts: Sequence[int] = ()


def split(op: Op[Any], node_of: NodeOf) -> Split:
    """Take an op apart by node; one that has a single key is passed as it is."""
    if type(op) is At:
        return Split((op,))
    key = _only_key(op)
    if key is not None:
        return Split((At(node_of(key), op),))
    if type(op) is Look:
        return _split_look(op, node_of)
    trips: dict[str, list[Op[Any]]] = {}
    numbers: dict[str, int] = {}
    places: list[tuple[int, int]] = []
    seen: dict[tuple[object, str], tuple[int, int]] = {}
    ops = _ops_of(op)
    atoms = [_atoms_of(each) for each in ops]
    for atom in [atom for own in atoms for atom in own]:
        shared = _shared(atom)
        place = None if shared is None else seen.get(shared)
        if place is None:
            node = node_of(_key_of(atom))
            trip = trips.setdefault(node, [])
            place = numbers.setdefault(node, len(numbers)), len(trip)
            trip.append(atom)
            if shared is not None:
                seen[shared] = place
        places.append(place)
    if any(type(each) is LoadScript for each in ops):
        # To wherever something is committed, ahead of it. Its reply says nothing.
        for trip in trips.values():
            trip.insert(0, LoadScript())
        places = [(number, at + 1) for number, at in places]
    parts = [At(node, _as_one(trip)) for node, trip in trips.items()]
    return Split(tuple(parts), places, [len(own) for own in atoms])


def join(op: Op[Any], made: Split, replies: Sequence[Any]) -> list[Any]:
    """Return the reply to each op of a batch, or to the op: a `BackendError` where one failed.

    `replies` are those to the parts; a `BackendError` stands for all of its part.
    """
    plain = [reply.reply if type(reply) is Heard else reply for reply in replies]
    if made.places is None:
        return plain
    found = [_reply_at(made.parts[number].op, plain[number], at) for number, at in made.places]
    joint: list[Any] = []
    start = 0
    for each, count in zip(_ops_of(op), made.counts, strict=True):
        end = start + count
        own, places = found[start:end], made.places[start:end]
        start = end
        failed = next((reply for reply in own if isinstance(reply, BackendError)), None)
        if failed is not None:
            joint.append(failed)
        elif type(each) is Look or type(each) is LookAndLease:
            joint.append(_heard(_joined(each, own), own, [replies[number] for number, _ in places]))
        else:
            joint.append(_joined(each, own))
    return joint


def joined(op: Op[Any], made: Split, replies: Sequence[Any]) -> Any:
    """Return the reply to the op; raise the first `BackendError` among those to its parts."""
    if type(op) is Look and made.places is not None:
        return _joined_look(made, made.places, replies)
    found = join(op, made, replies)
    raise_first(found)
    return tuple(found) if type(op) is Batch else found[0]


def raise_first(replies: Sequence[Any]) -> None:
    """Raise the first error among replies, if there is one."""
    failed = [reply for reply in replies if isinstance(reply, BackendError)][:1]
    if failed:
        del replies  # an error whose traceback leads to a frame that holds it would be a cycle
        raise failed.pop()


def _split_look(op: Look, node_of: NodeOf) -> Split:
    """Take a read with tags apart: most hits of a cluster that have tags, so in few steps."""
    trips: dict[str, tuple[int, list[Op[Any]]]] = {}
    trips[node_of(op.key)] = 0, [Look(op.key, (), op.with_ttl)]
    places = [(0, 0)]
    for tag in op.tags:
        node = node_of(tag)
        found = trips.get(node)
        if found is None:
            found = trips[node] = len(trips), []
        number, trip = found
        places.append((number, len(trip)))
        trip.append(ReadTags((tag,)))
    parts = [At(node, _as_one(trip)) for node, (_, trip) in trips.items()]
    return Split(tuple(parts), places, (len(places),))


def _joined_look(made: Split, places: Sequence[tuple[int, int]], replies: Sequence[Any]) -> RawRead:
    """Return the reply to a read with tags; raise the first `BackendError` among its atoms."""
    found: list[Any] = []
    is_heard = False
    for number, at in places:
        reply = replies[number]
        if type(reply) is Heard:
            reply, is_heard = reply.reply, True
        found.append(_reply_at(made.parts[number].op, reply, at))
        if isinstance(found[-1], BackendError):
            raise_first(found)
    read, *ids = found
    tag_ids = tuple([each[0] for each in ids])
    joint = RawRead(read.raw, tag_ids, read.left_ms, read.tag_left_ms, read.refusal)
    if not is_heard and read.push_epoch is None:
        return joint
    return _heard(joint, found, [replies[number] for number, _ in places])


def _ops_of(op: Op[Any]) -> Sequence[Op[Any]]:
    return op.ops if type(op) is Batch else (op,)


def _as_one(trip: list[Op[Any]]) -> Op[Any]:
    return trip[0] if len(trip) == 1 else Batch(tuple(trip))


def _reply_at(part: Op[Any], reply: Any, at: int) -> Any:
    """Return the reply of an atom out of that of its part."""
    return reply[at] if type(part) is Batch and not isinstance(reply, BackendError) else reply


def _heard(joint: RawRead, atoms: Sequence[Any], parts: Sequence[Any]) -> RawRead:
    """Return a joint read with the streams of all nodes at which its atoms were read.

    `parts` are the replies to the parts of the atoms. An atom whose part tells no stream, beside
    others that do, leaves the read without one: a change of its tag would be told by nobody.
    """
    push_epochs = [
        part.push_epoch if type(part) is Heard else getattr(atom, "push_epoch", None)
        for atom, part in zip(atoms, parts, strict=True)
    ]
    push_epoch = heard_together(push_epochs)
    return joint if push_epoch is None else replace(joint, push_epoch=push_epoch)


def _shared(atom: Op[Any]) -> tuple[object, str] | None:
    """Return what tells two reads of one tag to be the same; `None` where each is sent."""
    # The calls of a batch have tags in common: a new id must not be sent twice.
    if type(atom) is MakeTag:
        return MakeTag, atom.tag.key
    if type(atom) is ReadTags:
        return ReadTags, atom.tags[0]
    return None


def _only_key(op: Op[Any]) -> str | bytes | None:
    """Return the key of an op that has one; `None` where it is to be taken apart."""
    kind = type(op)
    if kind in _OF_ONE_KEY:
        return op.key  # type: ignore[attr-defined,no-any-return]
    if kind in _WITH_TAGS:
        return None if op.tags else op.key  # type: ignore[attr-defined]
    return None


def _key_of(atom: Op[Any]) -> str | bytes:
    """Return the key of an atom, or whatever else belongs to a slot."""
    kind = type(atom)
    if kind is MakeTag:
        return atom.tag.key  # type: ignore[attr-defined,no-any-return]
    if kind is ReadTags:
        return atom.tags[0]  # type: ignore[attr-defined,no-any-return]
    if kind is Publish:
        # Where its name was deleted: only that node is surely heard by who keeps a copy of it.
        if atom.notice.names:  # type: ignore[attr-defined]
            return atom.notice.names[0]  # type: ignore[attr-defined,no-any-return]
        return atom.notice.channel  # type: ignore[attr-defined,no-any-return]
    if kind in _OF_MANY_KEYS:
        return atom.keys[0]  # type: ignore[attr-defined,no-any-return]
    return atom.key  # type: ignore[attr-defined,no-any-return]


def _atoms_of(op: Op[Any]) -> list[Op[Any]]:
    """Return the ops of one key each of which an op consists."""
    kind: Any = type(op)
    if kind is Look:
        return [Look(op.key, (), op.with_ttl), *_reads(op.tags)]  # type: ignore[attr-defined]
    if kind is LookAndLease or kind is Claim:
        return [replace(op, tags=()), *_makings(op.tags)]  # type: ignore[attr-defined]
    if kind is ReadTags:
        return _reads(op.tags)  # type: ignore[attr-defined]
    if kind is MakeTags:
        return _makings(op.tags)  # type: ignore[attr-defined]
    if kind is Delete:
        if len(op.keys) == 1:  # type: ignore[attr-defined]
            return [op]
        return [Delete((key,), _only(op.notice, key)) for key in op.keys]  # type: ignore[attr-defined]
    if kind is Unlink or kind is ReadHeads:
        return [replace(op, keys=(key,)) for key in op.keys]  # type: ignore[attr-defined]
    return [] if kind is LoadScript else [op]


def _reads(tags: Sequence[str]) -> list[Op[Any]]:
    return [ReadTags((tag,)) for tag in tags]


def _makings(tags: Sequence[Any]) -> list[Op[Any]]:
    return [MakeTag(tag) for tag in tags]


def _only(notice: Revocation | None, key: str) -> Revocation | None:
    """Return the notice of one of the keys: a transaction stays within a slot."""
    return None if notice is None else notice._replace(names=(key,))


def _joined(op: Op[Any], replies: Sequence[Any]) -> Any:
    """Return the reply to an op out of those to its atoms."""
    kind = type(op)
    if kind is LoadScript:
        return None
    if kind is Look:
        return replace(replies[0], tag_ids=tuple([ids[0] for ids in replies[1:]]))
    if kind is LookAndLease or kind is Claim:
        ids, left_ms = [made[0] for made in replies[1:]], [made[1] for made in replies[1:]]
        raw_read: RawRead = replies[0]
        return replace(raw_read, tag_ids=tuple(ids), tag_left_ms=tuple(left_ms))
    if kind is ReadTags or kind is MakeTags:
        return tuple([made[0] for made in replies])
    if kind is Delete or kind is Unlink:
        return sum(replies)
    return tuple([heads[0] for heads in replies]) if kind is ReadHeads else replies[0]


_OF_ONE_KEY: Final = frozenset({Commit, ProlongTag, TryLease})
_WITH_TAGS: Final = frozenset({Look, LookAndLease, Claim})
_OF_MANY_KEYS: Final = frozenset({Delete, Unlink, ReadHeads})
