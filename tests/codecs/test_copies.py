from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.codecs.compare import is_same
from dualcache.front.copies import MOST, copier_of

LEAVES = st.none() | st.integers() | st.text() | st.booleans() | st.tuples(st.integers())
VALUES = st.recursive(
    LEAVES | st.sets(st.integers(), max_size=3) | st.binary(max_size=3).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2) | st.integers() | st.booleans(), inner, max_size=3)
    ),
    max_leaves=12,
)


def containers(value: Any) -> list[Any]:
    """Return every container that can be changed in a value."""
    found = [value] if isinstance(value, list | dict | set | bytearray) else []
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [each for item in items for each in containers(item)]


@given(VALUES)
def test_a_copy_is_the_same_and_shares_nothing_that_can_be_changed(value: Any) -> None:
    inside = containers(value)
    copy = copier_of(value)
    assert (copy is not None) == (0 < len(inside) <= MOST)
    if copy is not None:
        made = copy(value)
        assert is_same(value, made)
        assert {id(each) for each in containers(made)}.isdisjoint(map(id, inside))


def test_values_of_one_shape_share_what_copies_them() -> None:
    assert copier_of({"a": [1], "b": 2}) is copier_of({"a": [], "b": "x"})
    assert copier_of({"a": [1], "b": 2}) is not copier_of({"a": {1}, "b": 2})


class Basket:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Basket)

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "Basket()"


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    "value",
    [1, "x", [Basket()], {"a": Basket()}, {Basket(): 1}, {Basket()}, ([],), [([],)], nested(500)],
    ids=lambda value: repr(value)[:30],
)
def test_what_else_can_be_changed_is_not_copied(value: Any) -> None:
    assert copier_of(value) is None
