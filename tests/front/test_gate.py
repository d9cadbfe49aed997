"""The gate: by which clock compiled wrappers serve hits, and the loads that change that."""

from __future__ import annotations

import contextvars
from math import inf
from typing import TYPE_CHECKING

import pytest

from dualcache.core.scope import current_load, next_moment
from dualcache.drivers.loads import RUNNING, RunningLoad
from dualcache.engine.coherence import Coherence
from dualcache.front.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Iterator


def now() -> float:
    return 7.0


@pytest.fixture
def load() -> Iterator[RunningLoad]:
    made = RunningLoad()
    yield made
    made.end()


def opened(coherence: Coherence | None = None) -> Gate:
    gate = Gate(now, coherence or Coherence(5.0))
    gate.set(is_open=True)
    return gate


def elsewhere(gate: Gate) -> float:
    """Return the time for a call in no load."""
    seen: float = contextvars.Context().run(gate.clock.cell_contents)
    return seen


def test_without_loads_the_clock_is_the_plain_one(load: RunningLoad) -> None:
    gate = opened()
    assert gate.clock.cell_contents is now
    load.begin()
    assert gate.clock.cell_contents is not now
    load.end()
    assert gate.clock.cell_contents is now


def test_a_closed_gate_is_closed_beside_loads_too(load: RunningLoad) -> None:
    gate = opened()
    load.begin()
    gate.set(is_open=False)
    assert elsewhere(gate) == inf
    load.end()
    assert gate.clock.cell_contents() == inf


def test_beside_a_load_hits_are_served_and_within_it_only_after_a_proof(load: RunningLoad) -> None:
    coherence = Coherence(5.0)
    gate = opened(coherence)
    load.begin()
    assert (gate.clock.cell_contents(), elsewhere(gate)) == (inf, 7.0)
    coherence.heard_until(next_moment())
    assert (gate.clock.cell_contents(), elsewhere(gate)) == (7.0, 7.0)


def test_a_gate_that_opens_while_a_load_runs_knows_of_it(load: RunningLoad) -> None:
    kept = opened()
    load.begin()
    assert opened().clock.cell_contents() == kept.clock.cell_contents() == inf


def test_a_tier_that_only_this_process_writes_to_needs_no_proof(load: RunningLoad) -> None:
    coherence = Coherence(5.0)
    coherence.heard_until(inf)
    gate = opened(coherence)
    load.begin()
    assert gate.clock.cell_contents is now


def test_the_end_of_an_inner_load_leaves_the_outer_one_as_it_is(load: RunningLoad) -> None:
    gate = opened()
    load.begin()
    inner = RunningLoad()
    inner.begin()
    assert current_load.get() is inner
    inner.end()
    inner.end()
    assert current_load.get() is load
    assert gate.clock.cell_contents() == inf


def test_a_context_that_outlives_its_load_is_free(load: RunningLoad) -> None:
    gate, other = opened(), RunningLoad()
    load.begin()
    copied = contextvars.copy_context()
    load.end()
    contextvars.Context().run(other.begin)
    assert copied.run(gate.clock.cell_contents) == 7.0
    other.end()


def test_a_forked_child_begins_without_the_loads_of_its_parent(load: RunningLoad) -> None:
    gate = opened()
    load.begin()
    RUNNING.after_fork()
    gate.after_fork()
    gate.set(is_open=True)
    assert gate.clock.cell_contents is now
    load.end()
    assert current_load.get() is None
