"""Entries that are checked in the background: none is reported that an invalidation ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.core.entry import MISSING
from dualcache.core.ops import Flow, Look
from dualcache.engine import verify
from dualcache.engine.read import classify_with_tags
from dualcache.engine.recovery import ask
from tests.simulation import flows
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, loads, sets
from tests.simulation.searching import BOTH_TRANSPORTS, breaks, holds, some_of
from tests.simulation.values import KEY, RECIPE, TAG

if TYPE_CHECKING:
    from dualcache.core.policy import Call
    from tests.simulation.actor import Actor
    from tests.simulation.scenario import Scenario
    from tests.simulation.world import World

WRITERS: dict[str, Any] = {"key": deletes_key, "tag": deletes_tag, "set": sets()}
KINDS = pytest.mark.parametrize("kind", list(WRITERS))
REPORTED = "was reported to differ"
CHECKED: dict[str, Any] = {
    "verify": 1.0,
    "value_codec": RECIPE._replace(is_same=lambda one, other: one.version == other.version),
}
"""Whether a version was set or loaded makes no difference to a caller."""


def checked(kind: str, writers: tuple[str, ...] = ("B.w1",), **options: Any) -> Scenario:
    """Make a scenario in which each hit of a reader is checked afterwards."""
    tags = (TAG,) if kind == "tag" else ()
    readers = {"A.r1": loads(tags, **CHECKED)}
    made = dict.fromkeys(writers, WRITERS[kind])
    return cast(readers, made, is_stored=True, tags=tags, **options)


@KINDS
def test_nothing_is_reported_that_an_invalidation_ends(kind: str) -> None:
    holds(checked(kind))
    holds(checked(kind, ("A.w1",)))


@pytest.mark.parametrize("transport", some_of(BOTH_TRANSPORTS, "tracking"))
def test_copies_are_checked_against_what_is_stored(transport: str) -> None:
    for writer in ("A.w1", "B.w1"):
        holds(checked("key", (writer,), transport=transport, is_kept=True))


def test_an_entry_that_another_reader_has_loaded_meanwhile_is_not_reported() -> None:
    scenario = checked("key")
    reader = scenario.roles[0]._replace(name="C.r2", process="C", flow=loads())
    holds(scenario._replace(roles=(*scenario.roles, reader)))


def changes_unseen(world: World, actor: Actor) -> Flow[Any]:
    """Change the source, and forget to invalidate."""
    world.version += 1
    world.footprint.writes.add("version")
    yield from ask(Look(KEY), actor.process.env)
    return MISSING


def test_a_write_that_forgets_to_invalidate_is_reported() -> None:
    readers = {"A.r1": loads(**CHECKED), "B.r2": changes_unseen}
    breaks(cast(readers, {}, is_stored=True), REPORTED)


@KINDS
def test_without_the_pause_an_invalidation_under_way_is_reported(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def hurry(_: World, actor: Actor, __: Any) -> None:
        actor.state, actor.awaited = "pausing", frozenset()

    monkeypatch.setattr(flows, "pause", hurry)
    breaks(checked(kind), REPORTED)


def test_without_the_compare_an_entry_that_was_replaced_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[int, bytes] = {}
    differs = verify._differs

    def noting(call: Call, raw: bytes, value: Any) -> bool:
        seen[id(call)] = raw
        return differs(call, raw, value)

    def as_before(call: Call, *rest: Any) -> Flow[Any]:
        read = yield from classify_with_tags(call, *rest)
        return replace(read, raw=seen[id(call)])

    monkeypatch.setattr(verify, "_differs", noting)
    monkeypatch.setattr(verify, "classify_with_tags", as_before)
    breaks(checked("set"), REPORTED)
