"""Strategies for the values that the tagged form keeps."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

if TYPE_CHECKING:
    from datetime import tzinfo

ZONES = [ZoneInfo("Europe/Paris"), ZoneInfo("UTC"), ZoneInfo("America/St_Johns")]


def zones() -> st.SearchStrategy[tzinfo | None]:
    offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
    fixed = st.builds(timezone, offsets) | st.builds(timezone, offsets, st.text(max_size=5))
    return st.none() | st.just(UTC) | fixed | st.sampled_from(ZONES)


def scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**200), 2**200),
        st.floats(),
        st.text(st.characters()),
        st.binary(),
        st.complex_numbers(),
        st.datetimes(timezones=zones(), allow_imaginary=True),
        st.dates(),
        st.times(timezones=zones()),
        st.timedeltas(),
        st.decimals().filter(lambda number: not number.is_snan()),
        st.uuids(),
        st.fractions(),
        st.builds(range, st.integers(), st.integers(), st.integers(1, 2**70)),
    )


def plain_values() -> st.SearchStrategy[Any]:
    hashable = st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
        max_leaves=5,
    )
    return st.recursive(
        hashable | st.binary().map(bytearray) | st.sets(hashable, max_size=3),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hashable, inner, max_size=4),
        max_leaves=10,
    )
