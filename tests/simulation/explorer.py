"""The search: every schedule of a scenario, or one that is given; the first that breaks a rule.

Flows cannot be copied, so a state is reached again by replaying its schedule. Of steps that do not
touch each other only one order is taken: a step is left out while it sleeps, that is, while all
that follows from it was seen in another order (with states remembered: Godefroid 1996, 5.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.ending import check_end
from tests.simulation.footprint import Footprint, are_independent
from tests.simulation.states import state_of
from tests.simulation.steps import apply, choices
from tests.simulation.values import Violation
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.simulation.scenario import Choice, Scenario

    Sleep = dict[Choice, Footprint]


class Found(NamedTuple):
    """What a search found: how much it saw, and how a rule was broken, if one was."""

    states: int
    steps: int
    is_complete: bool
    schedule: tuple[Choice, ...] = ()
    violation: str = ""
    story: str = ""


class Junction:
    """A state on the way here: what is still to be tried in it, and what may be left out."""

    __slots__ = ("asleep", "left")

    def __init__(self, left: list[Choice], asleep: Sleep) -> None:
        self.left = left
        self.asleep = asleep


class Search:
    """Depth first through every state; `all_orders`: nothing is left out, for comparison."""

    def __init__(self, scenario: Scenario, *, all_orders: bool = False) -> None:
        self.scenario = scenario
        self.all_orders = all_orders
        self.slept: dict[int, frozenset[Choice]] = {}
        self.steps = 0
        self.path: list[Choice] = []
        self.world = World(scenario)
        self.way = [Junction(choices(self.world), {})]

    def run(self, most_states: int) -> Found:
        is_here = True
        try:
            while self.way and len(self.slept) < most_states:
                here = self.way[-1]
                if not here.left:
                    self.way.pop()
                    del self.path[-1:]
                    is_here = False
                    continue
                if not is_here:
                    self.world.abandon()
                    self.world = replayed(self.scenario, self.path)
                is_here = self.step(here)
        except Violation as broken:
            story = tell(self.scenario, self.path)
            return Found(len(self.slept), self.steps, False, tuple(self.path), str(broken), story)
        finally:
            self.world.abandon()
        return Found(len(self.slept), self.steps, not self.way)

    def step(self, here: Junction) -> bool:
        """Take the next choice; tell whether the search goes on from where that leads."""
        world = self.world
        choice = here.left.pop()
        self.path.append(choice)
        self.steps += 1
        apply(world, choice)
        touched = world.footprint
        world.footprint = world.server.footprint = Footprint()
        asleep = {each: its for each, its in here.asleep.items() if are_independent(its, touched)}
        if not self.all_orders:
            here.asleep[choice] = touched
        state = state_of(world)
        before = self.slept.get(state)
        if before is None:
            self.slept[state] = frozenset(asleep)
            found = choices(world)
            if not found:
                check_end(world)
            left = [each for each in found if each not in asleep]
        else:
            left = [each for each in before if each not in asleep]
            if left:
                self.slept[state] = before & frozenset(asleep)
        if not left:
            del self.path[-1]
            return False
        self.way.append(Junction(left, asleep))
        return True


def explore(scenario: Scenario, most_states: int = 1_000_000, *, all_orders: bool = False) -> Found:
    """Visit every state that can be reached, depth first, until a rule is broken."""
    return Search(scenario, all_orders=all_orders).run(most_states)


def replayed(scenario: Scenario, schedule: Iterable[Choice]) -> World:
    world = World(scenario)
    for choice in schedule:
        apply(world, choice)
    world.footprint = world.server.footprint = Footprint()
    return world


def run(scenario: Scenario, numbers: Sequence[int]) -> None:
    """Follow a schedule of numbers; raise `Violation`, with the story, where a rule is broken.

    Each number picks one of the choices that there are; when none is left, the first is taken.
    """
    world = World(scenario)
    path: list[Choice] = []
    try:
        for number in endless(numbers):
            found = choices(world)
            if not found:
                check_end(world)
                return
            path.append(found[number % len(found)])
            apply(world, path[-1])
    except Violation as broken:
        raise Violation(f"{broken}\n{tell(scenario, path)}") from None
    finally:
        world.abandon()


def endless(numbers: Sequence[int]) -> Iterable[int]:
    yield from numbers
    while True:
        yield 0


def tell(scenario: Scenario, schedule: Sequence[Choice]) -> str:
    """Tell a schedule step by step: who, what, and what came back."""
    world = World(scenario)
    world.log = []
    try:
        for choice in schedule:
            apply(world, choice)
        if not choices(world):
            check_end(world)
    except Violation as broken:
        world.log.append(f"broken      {broken}")
    story = "\n".join(world.log)
    world.abandon()
    return story
