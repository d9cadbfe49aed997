"""What a pattern sees of a key: both ends of a long one, and bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dualcache import Cache
    from tests.colours import Colour

LONG = "x" * 700


@pytest.fixture(params=[None, 100])
def cache(request: pytest.FixtureRequest, colour: Colour, backend_url: str) -> Cache:
    return colour.cache(backend_url, namespace="shop", front=request.param)


@pytest.mark.parametrize("pattern", ["doc:*:end", "*:end", "doc:*", "doc:xx*xx:end", "*x:en?"])
def test_a_pattern_over_either_end_of_a_long_key_deletes_it(
    colour: Colour, cache: Cache, pattern: str
) -> None:
    loads: list[str] = []

    def body(text: str) -> int:
        loads.append(text)
        return len(loads)

    load = cache(key="doc:{text}:end")(colour.function(body))
    for _ in range(2):
        assert colour.run(load, LONG) == 1
    assert colour.call(cache, "invalidate", patterns=[pattern]).pending == 0
    assert colour.run(load, LONG) == 2
    assert loads == [LONG] * 2


def test_a_load_of_a_long_key_is_revoked_by_a_pattern_over_its_tail(
    colour: Colour, cache: Cache
) -> None:
    gate = colour.gate()

    async def body(text: str) -> int:
        await gate.passed()
        return len(text)

    load = cache(key="doc:{text}:end")(colour.function(body))
    loading = colour.start(lambda: load(LONG))
    gate.wait_until_entered()
    colour.call(cache, "invalidate", patterns=["doc:*:end"])
    gate.open()
    assert loading.result() == 700
    assert colour.run(load.peek, LONG) is None


@pytest.mark.parametrize(
    ("pattern", "is_seen"),
    [("caf?", False), ("caf??", True), ("caf[é]", False), ("caf*", True), ("café", True)],
)
def test_a_question_mark_and_a_class_stand_for_one_byte(
    colour: Colour, cache: Cache, pattern: str, is_seen: Any
) -> None:
    colour.call(cache, "set", "café", 1)
    colour.call(cache, "invalidate", patterns=[pattern])
    assert colour.call(cache, "contains", "café") is not is_seen
