"""What makes room in a full store: the share of hits, and the order in which entries go."""

from __future__ import annotations

import random
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.front.store import FrontEntry, FunctionEntries, make_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dualcache.front.store import FrontStore

SLOTS: Final = 1_000
KEYS: Final = 100_000
REQUESTS: Final = 150_000
SCAN_EVERY: Final = 10_000
SCAN_LENGTH: Final = 2_000


def zipf() -> list[str]:
    """Draw keys with a probability that falls with their rank, always the same ones."""
    drawn = random.Random(1)
    weights = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
    names = [f"k{number}" for number in range(KEYS)]
    drawn.shuffle(names)
    return drawn.choices(names, cum_weights=weights, k=REQUESTS)


def with_scans(trace: list[str]) -> list[str]:
    """Run over keys in their order now and then, as a crawler does."""
    mixed: list[str] = []
    for number, start in enumerate(range(0, len(trace), SCAN_EVERY)):
        first = number * SCAN_LENGTH
        mixed += trace[start : start + SCAN_EVERY]
        mixed += [f"k{key % KEYS}" for key in range(first, first + SCAN_LENGTH)]
    return mixed


def share_of_hits(store: FrontStore, trace: list[str]) -> float:
    owner, hits = FunctionEntries(), 0
    for key in trace:
        entry = store.find(key)
        if entry is None:
            entry = FrontEntry(key, None, None, 1e9, owner)
            store.put(entry, 0, entry)
        else:
            entry.hits += 1
            hits += 1
    return 100 * hits / len(trace)


@pytest.mark.parametrize(
    ("is_scanned", "least"), [(False, 58), (True, 48)], ids=["without scans", "with scans"]
)
def test_sieve_keeps_what_is_asked_for_often(is_scanned: bool, least: float) -> None:
    trace = with_scans(zipf()) if is_scanned else zipf()
    found = share_of_hits(make_store(SLOTS, None, is_sieve=True), trace)
    assert found >= least
    assert found > share_of_hits(make_store(SLOTS, None), trace) + 5


def filled(store: FrontStore, keys: Iterable[str]) -> list[str]:
    """Put entries; return the keys of those that had to go, in their order."""
    gone: list[str] = []
    owner = FunctionEntries()
    for key in keys:
        before = set(store)
        entry = FrontEntry(key, None, None, 1e9, owner)
        store.put(entry, 0, entry)
        gone += before - set(store)
    return gone


def hit(store: FrontStore, *keys: str) -> None:
    for key in keys:
        entry = store.find(key)
        assert entry is not None
        entry.hits += 1


def test_a_spared_entry_keeps_its_place_and_the_look_goes_on_behind_it() -> None:
    """The hand of the paper passes what was hit, and soon comes to what is new."""
    store = make_store(4, None, is_sieve=True)
    assert filled(store, "abcd") == []
    hit(store, "a", "b")
    # a and b are spared, and stay older than all; the look stands behind c.
    assert filled(store, "efg") == ["c", "d", "e"]
    hit(store, "g")
    # g is spared, f and h are not; then the look has come to the newest, and begins at a.
    assert filled(store, "hijk") == ["f", "h", "a", "b"]


def test_new_favourites_take_the_place_of_old_ones() -> None:
    store, drawn = make_store(100, None, is_sieve=True), random.Random(2)
    old, new = ([f"{name}{number}" for number in range(80)] for name in ("old", "new"))
    share_of_hits(store, drawn.choices(old, k=5_000))
    share_of_hits(store, drawn.choices(new, k=1_000))
    assert share_of_hits(store, drawn.choices(new, k=1_000)) == 100


def test_what_was_dropped_is_found_neither_before_the_look_nor_behind_it() -> None:
    store = make_store(3, None, is_sieve=True)
    filled(store, "abc")
    hit(store, "a")
    assert filled(store, "d") == ["b"]  # a is behind the look now
    store.drop("a")
    store.drop("c")
    assert filled(store, "ef") == []
    assert filled(store, "g") == ["d"]


@given(
    st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["put", "hit", "drop"])), max_size=150),
    st.integers(1, 6),
)
def test_an_evicted_entry_is_one_that_was_not_hit_if_there_is_any(
    steps: list[tuple[int, str]], slots: int
) -> None:
    store, owner = make_store(slots, None, is_sieve=True), FunctionEntries()
    for number, what in steps:
        key = f"k{number}"
        entry = store.find(key)
        if what == "drop":
            store.drop(key)
        elif what == "hit" and entry is not None:
            entry.hits += 1
        elif entry is None:
            before = {each.key: each.hits for each in store.values()}
            new = FrontEntry(key, None, None, 1e9, owner)
            store.put(new, 0, new)
            gone = [name for name in before if store.find(name) is None]
            assert len(gone) == (len(before) == slots)
            if gone and 0 in before.values():
                assert before[gone[0]] == 0
        waiting = [each for each in (*store._line, *store._passed) if each.fresh_until]
        assert sorted(each.key for each in waiting) == sorted(store)
