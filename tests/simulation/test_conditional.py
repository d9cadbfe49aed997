"""A load that returns the old value: its commit and its tags are those of any other load."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.backends import memory
from dualcache.core.entry import NOT_MODIFIED
from dualcache.core.ops import Commit, CommitReply, Flow, ReadTags
from dualcache.engine import lead
from dualcache.engine.recovery import ask
from tests.simulation.scenario import TROUBLES, Scenario
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, loads, refreshes, sets
from tests.simulation.searching import STALE, TRANSPORTS, breaks, holds
from tests.simulation.values import TAG

WRITERS: dict[str, Any] = {"key": deletes_key, "tag": deletes_tag, "set": sets()}
KINDS = pytest.mark.parametrize("kind", list(WRITERS))


def if_changed(*_: Any) -> Any:
    """Stand for the loader that is given the old entry; `flows.load` answers in its place."""
    return NOT_MODIFIED


OPTIONS: dict[str, Any] = {"refresh_from": if_changed, "stale_while_revalidate_ms": 60_000}


def over_the_old_entry(kind: str, flow_of: Any = loads, **options: Any) -> Scenario:
    """Make a scenario in which a load starts from the entry that is there."""
    tags = (TAG,) if kind == "tag" else ()
    readers = {"A.r1": flow_of(tags, **OPTIONS)}
    options = {"is_stored": True, "is_stale": flow_of is loads, "tags": tags} | options
    return cast(readers, {"B.w1": WRITERS[kind]}, **options)


@KINDS
@pytest.mark.parametrize("flow_of", [loads, refreshes])
def test_an_old_value_that_is_found_right_is_stored_as_any_other(kind: str, flow_of: Any) -> None:
    holds(over_the_old_entry(kind, flow_of))


@pytest.mark.parametrize("kind", ["key", "tag"])
def test_an_old_value_that_is_found_right_with_any_one_trouble(kind: str) -> None:
    holds(over_the_old_entry(kind, refreshes, troubles=TROUBLES, faults=1))


@TRANSPORTS
def test_copies_of_an_old_value_that_is_found_right(transport: str) -> None:
    holds(over_the_old_entry("key", refreshes, transport=transport, is_kept=True))


@pytest.mark.parametrize("flow_of", [loads, refreshes])
def test_without_the_compare_an_old_value_overwrites_an_invalidation(
    monkeypatch: pytest.MonkeyPatch, flow_of: Any
) -> None:
    def unfenced(store: memory.MemoryStore, op: Commit) -> CommitReply:
        store._put(op.key, op.blob, op.ttl_ms)
        return CommitReply.STORED

    performers: dict[Any, Any] = {**memory.PERFORMERS, Commit: unfenced}
    monkeypatch.setattr(memory, "PERFORMERS", performers)
    breaks(over_the_old_entry("key", flow_of), "had been revoked")


def test_ids_of_tags_that_are_read_after_the_load_hide_an_invalidation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = lead._store

    def with_ids_of_now(
        call: Any, start: Any, result: Any, ids: Any, sequence: int, env: Any, lease: Any
    ) -> Flow[Any]:
        (found,) = yield from ask(ReadTags((TAG,)), env)
        return (yield from store(call, start, result, {**ids, TAG: found}, sequence, env, lease))

    monkeypatch.setattr(lead, "_store", with_ids_of_now)
    scenario = over_the_old_entry("tag", refreshes)
    reader = scenario.roles[0]._replace(name="C.r2", process="C", flow=loads((TAG,)))
    breaks(scenario._replace(roles=(*scenario.roles, reader)), STALE)
