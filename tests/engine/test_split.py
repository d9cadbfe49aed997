"""An op taken apart by node, and put together again, does what it does on one server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.backends.memory import MemoryStore
from dualcache.core.apart import At, Heard
from dualcache.core.front_ports import UNTRACKED
from dualcache.core.ops import (
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
    NewTag,
    ProlongTag,
    Publish,
    RawRead,
    ReadTags,
    TryLease,
)
from dualcache.core.revocation import Revocation
from dualcache.core.scans import ReadHeads, Scan, Unlink
from dualcache.engine.split import join, joined, raise_first, split
from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.core.ops import Op


def node_of(key: str | bytes) -> str:
    """Place a key by its last letter."""
    last = key[-1] if isinstance(key, str) else chr(key[-1])
    return f"node-{ord(last) % 3}"


KEYS = [f"{letter}{digit}" for letter in "kt" for digit in range(6)]
NAMES = st.sampled_from(KEYS)
TAGS = st.lists(st.sampled_from(KEYS[6:]), max_size=4, unique=True).map(tuple)
LIVES = st.sampled_from([None, 500, 90_000])


def new_tags(names: Sequence[str]) -> tuple[NewTag, ...]:
    return tuple([NewTag(name, f"id-{name}".encode()[:8].ljust(8), 500) for name in names])


NEW_TAGS = TAGS.map(new_tags)
MARKS = st.sampled_from([b"one", b"two", b"three"])


def made(kind: type[Op[Any]], *parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Op[Any]]:
    """Build ops; Hypothesis would ask for annotations that only type checkers can read."""
    return st.tuples(*parts).map(lambda found: kind(*found))


ATOMS: st.SearchStrategy[Op[Any]] = st.one_of(
    made(Look, NAMES, TAGS, st.booleans()),
    made(LookAndLease, NAMES, MARKS, st.just(500), NEW_TAGS),
    made(Claim, NAMES, MARKS, st.just(500), NEW_TAGS),
    made(ReadTags, TAGS.filter(bool)),
    made(MakeTags, NEW_TAGS.filter(bool)),
    st.builds(lambda tags: MakeTag(tags[0]), NEW_TAGS.filter(bool)),
    made(ProlongTag, NAMES, LIVES),
    made(TryLease, NAMES, MARKS, st.just(500)),
    made(Commit, NAMES, MARKS, MARKS, LIVES, st.just(CommitWay.IFEQ)),
    made(Delete, st.lists(NAMES, min_size=1, max_size=5, unique=True).map(tuple)),
    made(Publish, st.just(Revocation("~c", ("k1",)))),
    st.builds(
        lambda names: Unlink(tuple([name.encode() for name in names])),
        st.lists(NAMES, min_size=1, max_size=5, unique=True),
    ),
    st.builds(
        lambda names: ReadHeads(tuple([name.encode() for name in names])),
        st.lists(NAMES, min_size=1, max_size=5, unique=True),
    ),
)
SCRIPTED = st.lists(
    made(Commit, NAMES, MARKS, MARKS, LIVES, st.just(CommitWay.IFEQ)), min_size=1, max_size=5
).map(lambda ops: Batch((LoadScript(), *ops)))


def is_ordered(op: Op[Any]) -> bool:
    """Tell whether a batch names each key once: between nodes, its ops have no order."""
    names: list[str] = []
    for each in getattr(op, "ops", ()):
        own = [getattr(each, "key", None), *(getattr(each, "keys", None) or ())]
        tags = [getattr(tag, "key", tag) for tag in getattr(each, "tags", ())]
        single = [each.tag.key] if isinstance(each, MakeTag) else []
        names += [
            name.decode() if isinstance(name, bytes) else name
            for name in (*own, *tags, *single)
            if name is not None
        ]
    return len(names) == len(set(names))


BATCHES = st.lists(ATOMS, min_size=1, max_size=5).map(lambda ops: Batch(tuple(ops)))
OPS = st.one_of(ATOMS, BATCHES.filter(is_ordered), SCRIPTED)


class ManyNodes:
    """A store of which each node has a part."""

    def __init__(self) -> None:
        self.stores: dict[str, Any] = {}

    def perform(self, op: Op[Any]) -> Any:
        made = split(op, node_of)
        assert len({part.node for part in made.parts}) == len(made.parts)
        return joined(op, made, [self._at(part) for part in made.parts])

    def _at(self, part: At[Any]) -> Any:
        ops = part.op.ops if isinstance(part.op, Batch) else (part.op,)
        for each in ops:
            assert len(keys_of(each)) <= 1, "a command of a cluster has one key"
        found = self.stores.setdefault(part.node, MemoryStore(lambda: 0, 1_000))
        return without_script(found, part.op)


def keys_of(op: Any) -> set[Any]:
    found = {getattr(op, "key", None), *(getattr(op, "keys", None) or ())}
    found |= {getattr(tag, "key", tag) for tag in getattr(op, "tags", ())}
    return found - {None}


def without_script(store: MemoryStore, op: Any) -> Any:
    """Perform an op in memory, where a script is no use."""
    if not isinstance(op, Batch):
        return store.perform(op)
    replies = [None if type(each) is LoadScript else store.perform(each) for each in op.ops]
    return tuple(replies)


@given(st.lists(OPS, max_size=12))
def test_many_nodes_reply_what_one_server_does(ops: Sequence[Op[Any]]) -> None:
    one, many = MemoryStore(lambda: 0, 1_000), ManyNodes()
    for op in ops:
        assert many.perform(op) == without_script(one, op)


@pytest.mark.parametrize(
    "op",
    [
        Look("k1"),
        LookAndLease("k1", b"m", 5),
        Claim("k1", b"m", 5),
        ProlongTag("k1", 5),
        TryLease("k1", b"m", 5),
        Commit("k1", b"m", b"v", 5, CommitWay.IFEQ),
    ],
    ids=lambda op: type(op).__name__,
)
def test_an_op_of_one_key_is_passed_as_it_is(op: Op[Any]) -> None:
    (part,) = split(op, node_of).parts
    assert part.op is op
    assert part.node == node_of("k1")


def test_an_op_that_names_its_node_goes_there() -> None:
    scan = At("node-9", Scan(0, "*", 10))
    made = split(scan, node_of)
    assert made.parts == (scan,)
    assert joined(scan, made, ["a page"]) == "a page"


def test_a_tag_of_several_calls_is_made_once() -> None:
    tag = NewTag("t1", b"id", 5)
    op = Batch((LookAndLease("k1", b"m", 5, (tag,)), LookAndLease("k2", b"n", 5, (tag,))))
    made = split(op, node_of)
    atoms = [each for part in made.parts for each in getattr(part.op, "ops", (part.op,))]
    assert [type(each) for each in atoms].count(MakeTag) == 1


def test_a_script_goes_to_wherever_something_is_committed() -> None:
    commits = [Commit(f"k{n}", b"m", b"v", 5, CommitWay.SCRIPT) for n in range(3)]
    op = Batch((LoadScript(), *commits))
    made = split(op, node_of)
    trips: list[Any] = [part.op for part in made.parts]
    assert [type(trip.ops[0]) for trip in trips] == [LoadScript] * 3
    stored = [(None, CommitReply.STORED)] * 3
    assert joined(op, made, stored) == (None, *[CommitReply.STORED] * 3)


def test_a_notice_stays_with_its_key() -> None:
    made = split(Delete(("k1", "k2"), Revocation("~c", ("k1", "k2"))), node_of)
    deletions: list[Any] = [part.op for part in made.parts]
    assert [each.notice.names for each in deletions] == [("k1",), ("k2",)]


def test_a_notice_by_itself_goes_where_its_name_is_and_one_of_patterns_anywhere() -> None:
    for names, key in ((("k1",), "k1"), ((), "~c")):
        told = Publish(Revocation("~c", names, ("a*",)))
        (part,) = split(told, node_of).parts
        assert part == At(node_of(key), told)


def test_what_fails_at_one_node_fails_the_ops_that_need_it_alone() -> None:
    op = Batch((Look("k1"), Look("k2", ("t1",)), Look("k2")))
    made = split(op, node_of)
    error = BackendUnavailable("down", code="DC200")
    replies = [
        error if part.node == node_of("t1") else (RawRead(b"v"), RawRead(b"v"))
        for part in made.parts
    ]
    assert join(op, made, replies) == [error, error, RawRead(b"v")]
    with pytest.raises(BackendUnavailable):
        joined(op, made, replies)
    raise_first([1, 2])


@pytest.mark.parametrize("failing", ["k0", "t1", "t2"])
def test_a_read_whose_key_or_tag_is_at_a_node_that_fails_fails(failing: str) -> None:
    op = Look("k0", ("t1", "t2", "t4"))
    made = split(op, node_of)
    error = BackendUnavailable("down", code="DC200")
    replies = [
        error if part.node == node_of(failing) else ((b"id",), (b"id",)) for part in made.parts
    ]
    with pytest.raises(BackendUnavailable):
        joined(op, made, replies)


def heard_at(op: Op[Any], push_epochs: dict[str, Any]) -> list[Any]:
    """Return the push epochs of the reads of an op, each node having heard for these."""
    made = split(op, node_of)
    replies: list[Any] = []
    for part in made.parts:
        push_epoch = push_epochs[part.node]
        if isinstance(part.op, Look | LookAndLease):
            replies.append(RawRead(b"", push_epoch=push_epoch))
            continue
        atoms = part.op.ops if isinstance(part.op, Batch) else (part.op,)
        reply: Any = [
            (b"id", 1) if isinstance(atom, MakeTag | ReadTags) else RawRead(b"") for atom in atoms
        ]
        reply = reply if isinstance(part.op, Batch) else reply[0]
        replies.append(reply if push_epoch is None else Heard(reply, push_epoch))
    found = [each.push_epoch for each in join(op, made, replies)]
    alone = joined(op, made, replies)
    together = alone if isinstance(op, Batch) else (alone,)
    assert [each.push_epoch for each in together] == found
    return found


NODES = {node_of("k0"): (1,), node_of("k1"): (2,), node_of("k2"): (3,)}


@pytest.mark.parametrize(
    ("op", "push_epochs"),
    [
        (Look("k0"), [(1,)]),
        (Look("k0", ("t0",)), [(1,)]),
        (Look("k0", ("t1",)), [(1, 2)]),
        (Look("k0", ("t1", "t2", "t4")), [(1, 2, 3)]),
        (LookAndLease("k0", b"one", 500, new_tags(("t1",))), [(1, 2)]),
        (Batch((Look("k0"), Look("k1", ("t1",)), Look("k2", ("t0",)))), [(1,), (2,), (1, 3)]),
    ],
    ids=repr,
)
def test_a_read_depends_on_the_streams_of_its_nodes_alone(
    op: Op[Any], push_epochs: list[Any]
) -> None:
    assert heard_at(op, NODES) == push_epochs


@pytest.mark.parametrize("unheard", [None, UNTRACKED])
def test_a_tag_that_is_not_heard_leaves_the_read_without_a_stream(unheard: Any) -> None:
    nodes = {**NODES, node_of("t1"): unheard}
    assert heard_at(Look("k0", ("t1",)), nodes) == [UNTRACKED]
    batch = Batch((Look("k0", ("t1",)), Look("k2", ("t0",))))
    assert heard_at(batch, nodes) == [UNTRACKED, (1, 3)]


def test_the_reply_to_one_part_alone_is_that_to_the_op() -> None:
    op = At("node-0", ReadTags(("t0",)))
    assert join(op, split(op, node_of), [Heard((b"id",), (1,))]) == [(b"id",)]
