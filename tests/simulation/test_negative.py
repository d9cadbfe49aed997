"""Every schedule of small casts whose loads raise an answer, and each of its rules taken out."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from dualcache.backends import memory
from dualcache.core.background import Spawn
from dualcache.core.codec_ids import CodecId, negative
from dualcache.core.flight import Load, Outcome
from dualcache.core.ops import Commit, CommitReply, Loaded, Raised
from dualcache.engine import lead, storing
from tests.simulation import searching
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import (
    cast,
    deletes_key,
    deletes_pattern,
    deletes_tag,
    expires,
    gets,
    loads,
    sets,
)
from tests.simulation.searching import TRANSPORTS, breaks, holds, two_tiers
from tests.simulation.values import RECIPE, TAG, Cancelled, Value, pack, unpack

if TYPE_CHECKING:
    import pytest

    from dualcache.core.entry import Packed
    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.scenarios import FlowOf
    from tests.simulation.world import World


class Gone(Exception):
    """The answer that there is no value, by the version of the source that says so."""

    def __init__(self, value: Value) -> None:
        super().__init__()
        self.value = value


def pack_error(error: Exception) -> Packed | None:
    return replace(pack(error.value), codec=CodecId.NEGATIVE) if type(error) is Gone else None


def unpack_either(key: str, stored: Any) -> Value:
    value = unpack(key, stored)
    if stored.is_negative:
        raise negative(lambda: Gone(value))
    return value


CODEC: Final = RECIPE._replace(
    unpack=unpack_either, lists=lambda error: type(error) is Gone, pack_error=pack_error
)


def raises(tags: tuple[str, ...] = (), **options: Any) -> FlowOf:
    """Read through the cache, from a source that answers by an exception."""
    loading = loads(tags, value_codec=CODEC, negative_ttl_ms=60_000, **options)

    def flow(world: World, actor: Actor) -> Flow[Any]:
        return answered(loading(world, actor))

    return flow


def answered(flow: Flow[Any]) -> Flow[Any]:
    """Let the loads of a flow raise, and return what it raises as the value it tells of."""
    reply: Any = None
    while True:
        try:
            is_error = isinstance(reply, BaseException)
            op: Any = flow.throw(reply) if is_error else flow.send(reply)
        except StopIteration as end:
            error = end.value.error if isinstance(end.value, Outcome) else None
            return Outcome(error.value) if isinstance(error, Gone) else end.value
        if isinstance(op, Spawn):
            op = replace(op, flow=answered(op.flow))
        try:
            reply = yield op
        except GeneratorExit:  # of a world that is abandoned
            with suppress(Cancelled):
                while True:
                    flow.throw(Cancelled())
            raise
        except BaseException as error:  # noqa: BLE001  raised in the flow that asked
            reply = error
        if isinstance(op, Load) and isinstance(reply, Loaded):
            reply = Raised(Gone(reply.value), reply.load_ms)


WRITERS: Final[dict[str, Any]] = {
    "key": deletes_key,
    "tag": deletes_tag,
    "pattern": deletes_pattern,
    "expire": expires,
    "set": sets(),
}


def beside(kind: str, **options: Any) -> Scenario:
    """Make a scenario of two readers whose source raises, and of one writer."""
    tags = (TAG,) if kind == "tag" else ()
    readers = {"A.r1": raises(tags), "B.r2": raises(tags)}
    return cast(readers, {"B.w1": WRITERS[kind]}, tags=tags, **options)


def test_an_answer_that_an_invalidation_overtakes_is_not_served() -> None:
    holds(beside("key"))
    for kind, writer in WRITERS.items():
        tags = (TAG,) if kind == "tag" else ()
        holds(cast({"A.r1": raises(tags)}, {"B.w1": writer}, tags=tags))


def test_an_answer_replaces_an_entry_that_is_stored() -> None:
    stale: dict[str, Any] = {"stale_while_revalidate_ms": 60_000}
    readers = {"A.r1": raises(**stale), "B.r2": raises(**stale)}
    holds(cast(readers, {"B.w1": deletes_key}, is_stored=True))
    holds(cast({"A.r1": raises(), "B.r2": loads()}, {"B.w1": deletes_key}))


def test_any_one_trouble_of_who_raises() -> None:
    holds(cast({"A.r1": raises()}, {"B.w1": deletes_key}, troubles=TROUBLES, faults=1))


@TRANSPORTS
def test_an_answer_beside_copies(transport: str) -> None:
    readers = {"A.r1": raises(), "B.r2": gets()}
    holds(two_tiers(readers, {"B.w1": deletes_key}, transport))


def test_without_the_compare_an_answer_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
        store._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED

    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(beside("key"), "had been revoked")


def test_an_answer_without_its_tags_outlives_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = storing.answer

    def untagged(call: Any, *rest: Any) -> Any:
        return whole(replace(call, tags=()), *rest)

    monkeypatch.setattr(lead, "answer", untagged)
    breaks(beside("tag"), searching.STALE)
