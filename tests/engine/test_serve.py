"""The hit without a flow: what `serve` says of a look is what the flow says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from dualcache.codecs.plain import PlainReaders
from dualcache.core.entry import MISSING, UNKNOWN_TAG_ID, Packed, Tag
from dualcache.core.envelope import seal_filling, seal_tombstone
from dualcache.core.events import Hit, Miss
from dualcache.core.flight import EndFlight, Join, JoinReply, Load, Outcome
from dualcache.core.ops import WRONG_TYPE, DropConnections, Loaded, Look, RawRead, ReadTags
from dualcache.engine.load import get_or_load
from dualcache.engine.serve import (
    NOT_SERVED,
    find_in_front,
    first_look,
    look_failed,
    serve,
)
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import (
    KEY,
    NOW_MS,
    RECIPE,
    Shelf,
    call,
    cold,
    copy,
    cut,
    filling,
    refused,
    script,
    slow,
    stored,
    surroundings,
    token,
    unread_by,
)

if TYPE_CHECKING:
    from dualcache.core.entry import ValueCodec
    from dualcache.core.events import Event
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env

TAG = Tag("~t:a", token(50))
LIVE, DEAD = (token(50),), (token(51),)


def read_text(payload: bytes) -> str:
    return str(copy(Packed(6, 0, payload)))


PLAIN = RECIPE._replace(plain_reader=PlainReaders({6: read_text}, b"", 1_000).__getitem__)
"""Reads most entries without parsing the whole of them."""


class State(NamedTuple):
    """What a key may hold, and how the call asks."""

    raw: bytes | None
    tag_ids: tuple[bytes | None, ...] = ()
    left_ms: int | None = None
    options: dict[str, Any] | None = None


HITS = {
    "fresh": State(stored("v")),
    "fresh within its window": State(
        stored("v", fresh_ms=100), (), 5_000, {"stale_if_error_ms": 1}
    ),
    "of a living tag": State(stored("v", tags=[TAG]), LIVE),
    "of living tags in another order": State(
        stored("v", tags=[Tag("~t:b", token(51)), TAG]), (token(50), token(51))
    ),
}
OTHERS = {
    "absent": State(None),
    "stale by the clock": State(stored("v", fresh_ms=100, created_ms=NOW_MS - 500)),
    "stale by what it has left": State(
        stored("v", fresh_ms=9_000), (), 100, {"stale_if_error_ms": 1_000}
    ),
    "from the future": State(stored("v", fresh_ms=100, created_ms=NOW_MS + 5_000)),
    "a load": State(filling(60)),
    "a tombstone": State(seal_tombstone(KEY, token=token(60), created_ms=NOW_MS)),
    "foreign": State(b"somebody else's, and long enough to have a header"),
    "truncated": State(stored("v")[:-1]),
    "within the header": State(stored("v")[:20]),
    "empty": State(b""),
    "of another type of Redis": State(WRONG_TYPE),
    "of another key": State(stored("v", key="another")),
    "undecodable": State(stored("broken")),
    "of a dead tag": State(stored("v", tags=[TAG]), DEAD),
    "stale, of a living tag": State(
        stored("v", tags=[TAG], fresh_ms=100, created_ms=NOW_MS - 500), LIVE
    ),
    "undecodable, of a living tag": State(stored("broken", tags=[TAG]), LIVE),
    "of a living tag, for who knows its type": State(
        stored("v", tags=[TAG]), LIVE, None, {"value_codec": unread_by("untyped")}
    ),
    "of a living tag and one that was not asked for": State(
        stored("v", tags=[TAG, Tag("~t:z", token(52))]), LIVE
    ),
    "a load of a living tag": State(
        seal_filling(KEY, token=token(60), created_ms=NOW_MS, load_ms=1, tags=[TAG]), LIVE
    ),
    "of a tag that is gone": State(stored("v", tags=[TAG]), (None,)),
    "of a tag that was unknown": State(
        stored("v", tags=[Tag("~t:a", UNKNOWN_TAG_ID)]), (UNKNOWN_TAG_ID,)
    ),
    "of a forged tag": State(stored("v", tags=[Tag("bank:balance", token(50))])),
    "for who knows its type": State(stored("v"), (), None, {"value_codec": unread_by("untyped")}),
    "of a type to be learned": State(
        stored("v"), (), None, {"value_codec": unread_by("unknown_type")}
    ),
}


def asked(state: State, **options: Any) -> Call:
    names = [f"~t:{chr(ord('a') + at)}" for at in range(len(state.tag_ids))]
    return call(*names, **(options | (state.options or {})))


def reply(state: State) -> RawRead:
    return RawRead(state.raw, state.tag_ids, state.left_ms)


def counts(of: Call) -> tuple[Any, ...]:
    counters = of.policy.counters
    return tuple(getattr(counters, name) for name in counters.__slots__)


class Told(NamedTuple):
    """What came of a call, as far as anybody can see it."""

    outcome: Any
    events: list[Event]
    counts: tuple[Any, ...]
    installed: list[Any]


def run_on(flow: Any, op: Any) -> Any:
    """Answer what a flow asks for after its look: it never follows, and loads by itself."""
    try:
        while True:
            if isinstance(op, Load):
                op = flow.send(Loaded("loaded", 1.0))
            elif isinstance(op, ReadTags):
                op = flow.send(tuple(None for _ in op.tags))
            elif isinstance(op, Look):
                op = flow.send(RawRead(None, tuple(None for _ in op.tags)))
            elif isinstance(op, DropConnections | EndFlight):
                op = flow.send(None)
            else:
                op = flow.send(JoinReply.ALONE)
    except StopIteration as end:
        return end.value


def by_flow(state: State, shelf: Shelf | None) -> Told:
    env, events = surroundings(hits_are_heard=True)
    of = asked(state, front=shelf)
    flow = get_or_load(of, env)
    op = next(flow)
    assert isinstance(op, Look)
    try:
        op = flow.send(reply(state))
    except StopIteration as end:
        outcome = end.value
    else:
        outcome = run_on(flow, op)
    return Told(outcome.value, events, counts(of), [] if shelf is None else shelf.installed)


def by_first_look(state: State, shelf: Shelf | None, value_codec: ValueCodec) -> Told:
    env, events = surroundings(hits_are_heard=True)
    of = asked(state, front=shelf, value_codec=value_codec)
    first = first_look(of, env)
    assert first is not None
    value = serve(of, first, reply(state), env)
    if value is NOT_SERVED:
        value = run_on(flow := get_or_load(of, env, first), next(flow)).value
    return Told(value, events, counts(of), [] if shelf is None else shelf.installed)


CODECS = pytest.mark.parametrize("value_codec", [RECIPE, PLAIN], ids=["whole", "plain"])


@pytest.mark.parametrize("has_front", [False, True])
@CODECS
@pytest.mark.parametrize("name", [*HITS, *OTHERS])
def test_a_first_look_and_a_flow_end_alike(
    name: str, value_codec: ValueCodec, *, has_front: bool
) -> None:
    state = {**HITS, **OTHERS}[name]
    shelves = [Shelf(), Shelf()] if has_front else [None, None]
    assert by_first_look(state, shelves[0], value_codec) == by_flow(state, shelves[1])


@CODECS
@pytest.mark.parametrize("name", HITS)
def test_a_hit_is_served_counted_and_told_without_a_flow(
    name: str, value_codec: ValueCodec
) -> None:
    env, events = surroundings(hits_are_heard=True)
    of = asked(HITS[name], value_codec=value_codec)
    first = first_look(of, env)
    assert first is not None
    assert serve(of, first, reply(HITS[name]), env) == "v"
    assert events == [Hit("k", "redis")]
    assert of.policy.counters.hits == 1


@CODECS
@pytest.mark.parametrize("name", OTHERS)
def test_whatever_is_no_hit_goes_on_in_a_flow_that_does_not_read_it_again(
    name: str, value_codec: ValueCodec
) -> None:
    env, _ = surroundings()
    of = asked(OTHERS[name], value_codec=value_codec)
    first = first_look(of, env)
    assert first is not None
    assert serve(of, first, reply(OTHERS[name]), env) is NOT_SERVED
    assert of.policy.counters.hits == 0
    op = next(get_or_load(of, env, first))
    assert not isinstance(op, Look)


def test_a_first_look_asks_for_what_the_call_needs() -> None:
    env, _ = surroundings()
    looks = [
        first_look(of, env)
        for of in (call(), call("~t:a"), call(stale_if_error_ms=1), call("~t:a", front=Shelf()))
    ]
    assert [look and look.op for look in looks] == [
        Look(KEY),
        Look(KEY, ("~t:a",)),
        Look(KEY, (), with_ttl=True),
        Look(KEY, ("~t:a",), with_ttl=True),
    ]
    assert looks[3] is not None
    assert looks[3].tickets == ((KEY, "~t:a"),)


def unclear(env: Env) -> Env:
    env.health.is_clear = False
    return env


def test_a_flow_begins_where_something_comes_before_a_read_or_none_is_wanted() -> None:
    env, _ = surroundings()
    assert first_look(cold(), env) is None
    assert first_look(call(ttl_ms=0), env) is None
    assert first_look(call(), unclear(env)) is None


def test_a_copy_without_a_known_end_is_not_kept() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    of = call(front=shelf)
    first = first_look(of, env)
    assert first is not None
    assert serve(of, first, RawRead(stored("v"), refusal="NOPERM"), env) == "v"
    assert shelf.installed == []


def test_tags_that_only_the_entry_names_are_read_by_the_flow() -> None:
    env, _ = surroundings()
    of = call()
    first = first_look(of, env)
    assert first is not None
    assert serve(of, first, RawRead(stored("v", tags=[TAG])), env) is NOT_SERVED
    script(get_or_load(of, env, first), (ReadTags(("~t:a",)), LIVE)).returns(Outcome("v", None, 1))
    assert of.policy.counters.hits == 1


def test_an_entry_whose_tags_turn_out_dead_is_not_kept() -> None:
    env, _ = surroundings()
    shelf = Shelf()
    of = call(front=shelf)
    first = first_look(of, env)
    assert first is not None
    assert serve(of, first, RawRead(stored("v", tags=[TAG])), env) is NOT_SERVED
    script(get_or_load(of, env, first), (Look("~t:a"), RawRead(token(51))), (Join, cut())).raises(
        BackendUnavailable
    )
    assert shelf.installed == []


def test_what_the_front_tier_keeps_is_found_before_any_look() -> None:
    env, events = surroundings(hits_are_heard=True)
    assert find_in_front(call(), env) is MISSING
    assert find_in_front(call(front=Shelf("kept")), env) == "kept"
    assert events == [Hit("k", "front")]


# The backend fails


def test_a_look_that_is_refused_counts_once_and_the_flow_loads() -> None:
    env, events = surroundings()
    of = call()
    first = first_look(of, env)
    assert first is not None
    look_failed(first, refused(), env)
    assert not env.health.breaker.is_closed
    script(
        get_or_load(of, env, first),
        (Join, JoinReply.ALONE),
        (Load, Loaded("v", 1.0)),
    ).ends()
    assert Miss("k", "backend_down") in events


def test_a_look_whose_connection_was_cut_is_sent_once_more_by_the_flow() -> None:
    env, _ = surroundings()
    of = call()
    first = first_look(of, env)
    assert first is not None
    look_failed(first, cut(), env)
    assert env.health.breaker.failures == 1
    script(get_or_load(of, env, first), (Look(KEY), RawRead(stored("v")))).returns(
        Outcome("v", None, 1)
    )
    assert env.health.breaker.failures == 0


def test_an_answer_to_a_first_look_ends_a_row_of_failures() -> None:
    env, _ = surroundings()
    of = call()
    first, second = first_look(of, env), first_look(of, env)
    assert first is not None
    assert second is not None
    look_failed(first, slow(), env)
    assert env.health.breaker.failures == 1
    serve(of, second, RawRead(stored("v")), env)
    assert env.health.breaker.failures == 0


def test_a_failure_that_two_first_looks_meet_is_one() -> None:
    env, _ = surroundings()
    of = call()
    looks = [first_look(of, env) for _ in range(3)]
    for look in looks:
        assert look is not None
        look_failed(look, slow(), env)
    assert env.health.breaker.failures == 1


def test_a_look_that_the_server_refuses_is_lost() -> None:
    env, _ = surroundings()
    first = first_look(call(), env)
    assert first is not None
    look_failed(first, BackendRefused("no", code="DC203"), env)
    assert first.is_lost
