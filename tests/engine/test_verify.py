"""The check of a hit, as a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.background import Spawn, SpawnReply
from dualcache.core.entry import MISSING, Tag
from dualcache.core.events import Differed
from dualcache.core.flight import Load
from dualcache.core.ops import Loaded, Look, Pause, Raised, RawRead
from dualcache.engine.load import get_or_load
from dualcache.engine.looks import begin_look
from dualcache.engine.serve import find_in_front, serve
from dualcache.engine.verify import start_verifying
from dualcache.errors import UnencodableValue
from tests.engine.conversation import (
    KEY,
    NOW_MS,
    RECIPE,
    Shelf,
    call,
    script,
    slow,
    stored,
    surroundings,
    token,
)
from tests.soft_limit import SoftLimit, soft_limit

HIT = RawRead(stored("old", created_ms=NOW_MS - 2_500))
AGAIN = Look(KEY, (), with_ttl=True)


def checked(reply: RawRead = HIT, **options: Any) -> tuple[Any, Any, list[Any]]:
    """Serve a hit that is checked; return the flow in the background, its env and its events."""
    env, events = surroundings(timeout_ms=250)
    spawned: list[Any] = []

    def start(op: Spawn) -> SpawnReply:
        spawned.append(op.flow)
        assert op.key == "~verify:k"
        return SpawnReply.STARTED

    flow = get_or_load(call(verify=1.0, **options), env)
    outcome = script(flow, (Look, reply), (Spawn, start)).ends()
    assert outcome.value == "old"
    return spawned.pop(), env, events


def test_a_value_that_differs_and_stays_is_told() -> None:
    flow, _, events = checked()
    script(flow, (Load, Loaded("new", 1.0)), (Pause(2_000), None), (AGAIN, HIT)).returns(None)
    assert events == [Differed("k", 2.5, "redis")]


@pytest.mark.parametrize(
    "now",
    [RawRead(None), RawRead(stored("new", 5)), RawRead(stored("old", 5)), slow()],
    ids=["gone", "new", "stored again", "unknown"],
)
def test_an_entry_that_is_another_by_then_is_not_told(now: Any) -> None:
    flow, _, events = checked()
    exchanges = [(Load, Loaded("new", 1.0)), (Pause, None), (AGAIN, now)]
    script(flow, *exchanges).returns(None)
    assert not [event for event in events if isinstance(event, Differed)]


def test_the_entry_of_a_tag_that_died_meanwhile_is_not_told() -> None:
    env, events = surroundings()
    tagged = call("~t:a", verify=1.0)
    raw = stored("old", tags=[Tag("~t:a", token(50))])
    spawned: list[Any] = []

    def start(op: Spawn) -> SpawnReply:
        spawned.append(op.flow)
        return SpawnReply.STARTED

    script(get_or_load(tagged, env), (Look, RawRead(raw, (token(50),))), (Spawn, start)).ends()
    flow = spawned.pop()
    again = RawRead(raw, (token(51),))
    script(flow, (Load, Loaded("new", 1.0)), (Pause, None), (Look, again)).returns(None)
    assert not [event for event in events if isinstance(event, Differed)]


def test_a_value_that_is_the_same_or_cannot_be_compared_is_not_looked_at_again() -> None:
    def unpackable(_: object) -> Any:
        raise UnencodableValue("no", code="DC301")

    flow, _, _ = checked()
    script(flow, (Load, Loaded("old", 1.0))).returns(None)
    flow, _, _ = checked()
    script(flow, (Load, Raised(ValueError(), 1.0))).returns(None)
    flow, _, _ = checked(value_codec=RECIPE._replace(is_same=lambda *_: True))
    script(flow, (Load, Loaded("new", 1.0))).returns(None)
    flow, _, _ = checked(value_codec=RECIPE._replace(pack=unpackable))
    script(flow, (Load, Loaded("new", 1.0))).returns(None)


def test_what_is_no_hit_is_not_checked() -> None:
    env, _ = surroundings()
    read = begin_look(call(), env)
    serve(call(), read, RawRead(None), env)
    assert read.read is not None
    spawned: list[Any] = []
    script(
        start_verifying(call(), read.read, env),
        (Spawn, lambda op: spawned.append(op.flow)),
    ).returns(None)
    script(spawned.pop()).returns(None)


@pytest.mark.parametrize("draw", [0.05, 0.5])
def test_a_share_of_the_hits_is_elected_also_of_those_that_the_front_tier_keeps(
    draw: float,
) -> None:
    env, _ = surroundings(draw=lambda: draw)
    plain, kept = call(verify=0.1), call(verify=0.1, front=Shelf("kept"))
    look = begin_look(plain, env)
    serve(plain, look, HIT, env)
    assert look.is_elected is (draw < 0.1)
    assert (find_in_front(kept, env) is MISSING) is (draw < 0.1)
    passed = begin_look(kept, env)
    serve(kept, passed, HIT, env)
    assert passed.is_elected


def test_an_interrupt_during_the_comparison_is_raised() -> None:
    def interrupted(*_: object) -> bool:
        reach()
        return True

    flow, _, _ = checked(value_codec=RECIPE._replace(is_same=interrupted))
    with soft_limit() as reach:
        script(flow, (Load, Loaded("new", 1.0))).raises(SoftLimit)
