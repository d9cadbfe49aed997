"""The search: every schedule of a scenario, or one that is given; the first that breaks a rule.

Flows cannot be copied, so a state is reached again by replaying its schedule. A state that was met
before is not left again, whatever way led there: all that follows from it has been seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.world import Violation, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.simulation.world import Choice, Scenario


class Found(NamedTuple):
    """What a search found: how much it saw, and how a rule was broken, if one was."""

    states: int
    steps: int
    is_complete: bool
    schedule: tuple[Choice, ...] = ()
    violation: str = ""
    story: str = ""


def explore(scenario: Scenario, most_states: int = 1_000_000) -> Found:  # noqa: PLR0915
    """Visit every state that can be reached, depth first, until a rule is broken."""
    seen: set[int] = set()
    steps = 0
    path: list[Choice] = []
    world = World(scenario)
    is_here = True
    ahead = [world.choices()]
    try:
        while ahead and len(seen) < most_states:
            if not ahead[-1]:
                ahead.pop()
                del path[-1:]
                is_here = False
                continue
            if not is_here:
                world.abandon()
                world = replayed(scenario, path)
                is_here = True
            path.append(ahead[-1].pop())
            steps += 1
            world.apply(path[-1])
            state = world.state()
            if state in seen:
                del path[-1]
                is_here = False
                continue
            seen.add(state)
            ahead.append(world.choices())
            if not ahead[-1]:
                world.check_end()
    except Violation as broken:
        story = tell(scenario, path)
        return Found(len(seen), steps, False, tuple(path), str(broken), story)
    finally:
        world.abandon()
    return Found(len(seen), steps, not ahead)


def replayed(scenario: Scenario, schedule: Iterable[Choice]) -> World:
    world = World(scenario)
    for choice in schedule:
        world.apply(choice)
    return world


def run(scenario: Scenario, numbers: Sequence[int]) -> None:
    """Follow a schedule of numbers; raise `Violation`, with the story, where a rule is broken.

    Each number picks one of the choices that there are; when none is left, the first is taken.
    """
    world = World(scenario)
    path: list[Choice] = []
    try:
        for number in endless(numbers):
            choices = world.choices()
            if not choices:
                world.check_end()
                return
            path.append(choices[number % len(choices)])
            world.apply(path[-1])
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
            world.apply(choice)
        if not world.choices():
            world.check_end()
    except Violation as broken:
        world.log.append(f"broken      {broken}")
    story = "\n".join(world.log)
    world.abandon()
    return story
