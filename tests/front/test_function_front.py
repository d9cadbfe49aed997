"""One function's part of the front tier, under a clock of the test's."""

from __future__ import annotations

from dualcache.core.entry import MISSING
from dualcache.core.envelope import open_envelope
from dualcache.core.front_ports import Read
from dualcache.core.policy import Call
from dualcache.front.of_function import FunctionFront
from dualcache.functions.compile import FrontIndex, compile_wrapper
from dualcache.keys.signature import FunctionSignature
from dualcache.options.front_tier import FrontTier
from tests.engine.conversation import KEY, policy, stored
from tests.fronts import front_by_hand

STALENESS = 5.0


class Clock:
    def __init__(self) -> None:
        self.now = 100.0


def test_a_hit_is_served_without_a_flow_until_the_last_proof_ends_and_again_after_the_next() -> (
    None
):
    clock, performed = Clock(), []
    front = front_by_hand(FrontTier(max_age=60), now=lambda: clock.now, max_staleness=STALENESS)
    part = FunctionFront(front, (0,), (int,))
    call = Call(KEY, policy(), args=(7,))

    def load(user_id: int) -> str:
        raise AssertionError(user_id)

    def perform(values: tuple[int]) -> object:
        performed.append(values)
        return part.find(call)

    wrapper = compile_wrapper(
        FunctionSignature(load),
        perform,
        FrontIndex(part.owner.index, front.gate.clock, (0,), (int,), False),
    )
    stream = front.connected(clock.now, is_tracked=True)
    read = Read([part.begin_read([KEY])], open_envelope(KEY, stored("x")), 600_000, stream)
    part.install(call, "x", read)
    assert (wrapper(7), performed) == ("x", [])
    clock.now += STALENESS
    assert wrapper(7) is MISSING
    front.proved(clock.now)
    assert (wrapper(7), len(performed)) == ("x", 2)
    assert (wrapper(7), len(performed)) == ("x", 2)
    front.bypass(on=True)
    assert (wrapper(7), len(performed)) == ("x", 3)
    front.bypass(on=False)
    front.proved(clock.now + 55)
    clock.now += 54.9
    assert wrapper(7) == "x"
    clock.now += 0.2
    assert wrapper(7) is MISSING
    front.lost()
    assert wrapper(7) is MISSING
    assert part.hits == 5
