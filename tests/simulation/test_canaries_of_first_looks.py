"""Each rule of a hit that runs no flow taken out: the search must find what goes wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.entry import Kind
from dualcache.core.envelope import end_of_living, kind_of, open_envelope
from dualcache.engine import acquire_many, looks, plain, serve
from tests.simulation import scenarios
from tests.simulation.scenarios import cast, deletes_key, deletes_tag, gets_many, loads, loads_many
from tests.simulation.searching import STALE, TRANSPORTS, breaks, holds, two_tiers
from tests.simulation.values import BOTH, KEY, TAG

if TYPE_CHECKING:
    from dualcache.core.ops import RawRead
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult
    from dualcache.engine.looks import FirstLook

classify_look = serve.classify_look
keep = serve.keep


def test_a_hit_without_a_look_at_its_tags_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = cast({"A.r1": loads((TAG,))}, {"B.w1": deletes_tag}, is_stored=True, tags=(TAG,))
    holds(scenario)
    monkeypatch.setattr(serve, "are_alive", lambda *_: True)
    breaks(scenario, "acknowledged")


@TRANSPORTS
def test_a_first_look_whose_ticket_is_taken_with_its_reply_keeps_what_is_stale(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def late(call: Call, look: FirstLook, seen: RawRead, env: Env) -> ReadResult:
        assert call.policy.front is not None
        look.tickets = (call.policy.front.begin_read((call.key, *call.tags)),)
        return classify_look(call, look, seen, env)

    scenario = two_tiers({"A.r1": loads()}, {"B.w1": deletes_key}, transport)
    holds(scenario)
    monkeypatch.setattr(serve, "classify_look", late)
    breaks(scenario, STALE)


@TRANSPORTS
@pytest.mark.parametrize("kind", ["key", "tag"])
def test_a_batch_whose_tickets_are_taken_with_its_replies_keeps_what_is_stale(
    monkeypatch: pytest.MonkeyPatch, transport: str, kind: str
) -> None:
    """So the look of a batch, and the leases of one that seldom hits."""

    def late(call: Call, front: Any, look: FirstLook, *rest: Any) -> None:
        look.tickets = (front.begin_read((call.key, *call.tags)),)
        keep(call, front, look, *rest)

    tags, writer = ((TAG,), deletes_tag) if kind == "tag" else ((), deletes_key)
    looks = two_tiers({"A.r1": gets_many(tags)}, {"B.w1": writer}, transport, names=BOTH)
    reader = loads_many(tags, is_cold=True)
    leases = two_tiers({"A.r1": reader}, {"B.w1": writer}, transport, names=BOTH)
    holds(looks)
    holds(leases)
    monkeypatch.setattr(serve, "keep", late)
    monkeypatch.setattr(acquire_many, "keep", late)
    breaks(looks, STALE)
    breaks(leases, STALE)


@TRANSPORTS
def test_a_first_look_needs_a_ticket_for_its_tags_too(
    monkeypatch: pytest.MonkeyPatch, transport: str
) -> None:
    def of_the_key(call: Call, look: FirstLook, seen: RawRead, env: Env) -> ReadResult:
        begun, *others = look.tickets
        marks = [(name, mark) for name, mark in begun.ticket.marks if name not in call.tags]
        ticket = begun.ticket._replace(marks=tuple(marks))
        look.tickets = (begun._replace(ticket=ticket), *others)
        return classify_look(call, look, seen, env)

    scenario = two_tiers({"A.r1": loads((TAG,))}, {"B.w1": deletes_tag}, transport)
    holds(scenario)
    monkeypatch.setattr(serve, "classify_look", of_the_key)
    breaks(scenario, STALE)


def test_a_hit_while_a_deletion_of_its_process_is_pending_is_stale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scenario = cast(
        {"A.r1": loads()},
        {"A.w1": deletes_key},
        is_stored=True,
        troubles=frozenset({"timeout"}),
        faults=1,
    )
    holds(scenario)
    monkeypatch.setattr(scenarios, "first_look", looks.begin_look)
    breaks(scenario, "acknowledged")


def test_a_hit_that_is_not_parsed_whole_looks_at_its_tags_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def of_any_ids(raw: bytes, at: int, _: object) -> int:
        tags = open_envelope(KEY, raw).tags if kind_of(raw) is Kind.VALUE else ()
        return end_of_living(raw, at, [tag.id for tag in tags])

    scenario = cast({"A.r1": loads((TAG,))}, {"B.w1": deletes_tag}, is_stored=True, tags=(TAG,))
    holds(scenario)
    monkeypatch.setattr(plain, "end_of_living", of_any_ids)
    breaks(scenario, "acknowledged")
