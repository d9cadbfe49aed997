from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.front.store import (
    ENTRY_BYTES,
    FrontEntry,
    FunctionEntries,
    TaggedEntry,
    Tags,
    WeighedStore,
    index_key,
    make_store,
)

KEYS = st.integers(0, 11).map("k{}".format)
SIZES = st.integers(0, 3 * ENTRY_BYTES)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), KEYS, SIZES),
        st.tuples(st.just("drop"), KEYS, st.just(0)),
        st.tuples(st.just("hit"), KEYS, st.just(0)),
        st.tuples(st.just("drop all"), st.just(""), st.just(0)),
    ),
    max_size=120,
)


def made(key: str, owner: FunctionEntries | None = None, value: object = None) -> FrontEntry:
    return FrontEntry(key, value, None, 1e9, owner or FunctionEntries())


@given(STEPS, st.integers(1, 6), st.none() | st.integers(1, 6 * ENTRY_BYTES))
def test_limits_in_entries_and_bytes_hold_exactly(
    steps: list[tuple[str, str, int]], max_entries: int, max_bytes: int | None
) -> None:
    store, owner = make_store(max_entries, max_bytes), FunctionEntries()
    sizes: dict[str, int] = {}
    seen: list[FrontEntry] = []
    for what, key, size in steps:
        if what == "put":
            entry = made(key, owner)
            store.put(entry, size, entry if size % 2 else (key,))
            if max_bytes is None or size + ENTRY_BYTES <= max_bytes:
                seen.append(entry)
            sizes[key] = size + ENTRY_BYTES
        elif what == "drop":
            was_there = key in sizes
            assert store.drop(key) == was_there
            assert store.find(key) is None
        elif what == "hit":
            entry_there = store.find(key)
            if entry_there is not None:
                entry_there.hits += 1
        else:
            store.drop_all()
        sizes = {key: size for key, size in sizes.items() if key in dict(store)}
        assert len(store) <= max_entries
        if max_bytes is not None:
            assert store.used_bytes == sum(sizes.values()) <= max_bytes
        alive = set(store.values())
        assert alive == {entry for entry in seen if entry.fresh_until}
        assert set(owner.index.values()) == alive
        assert len(store._line) <= 16 + 5 * len(store) // 4 + len(alive)


@given(st.lists(st.tuples(KEYS, st.booleans()), max_size=60), st.integers(1, 5))
def test_hits_are_neither_lost_nor_counted_twice(
    steps: list[tuple[str, bool]], max_entries: int
) -> None:
    store, owner, hits = make_store(max_entries, None), FunctionEntries(), 0
    for key, is_hit in steps:
        entry = store.find(key)
        if is_hit and entry is not None:
            entry.hits += 1
            hits += 1
        else:
            store.put(entry := made(key, owner), 0, entry)
    assert owner.hits + sum(entry.hits for entry in owner.index.values()) == hits


def test_the_oldest_entry_goes_unless_it_was_hit() -> None:
    store = make_store(3, None)
    for key in "abc":
        store.put(entry := made(key), 0, entry)
    first = store.find("a")
    assert first is not None
    first.hits = 1
    store.put(entry := made("d"), 0, entry)
    assert set(store) == {"a", "c", "d"}
    store.put(entry := made("e"), 0, entry)
    store.put(entry := made("f"), 0, entry)
    assert set(store) == {"d", "e", "f"} or set(store) == {"a", "e", "f"}


def test_an_entry_that_can_never_fit_takes_the_older_one_with_it() -> None:
    store = make_store(9, 2 * ENTRY_BYTES)
    store.put(entry := made("a"), 1, entry)
    store.put(entry := made("a"), 10 * ENTRY_BYTES, entry)
    assert (len(store), store.used_bytes) == (0, 0)


def test_what_was_dropped_is_not_held_on_to() -> None:
    class Big:
        pass

    store = make_store(10, 100 * ENTRY_BYTES)
    assert isinstance(store, WeighedStore)
    values = []
    for _ in range(50):
        value = Big()
        values.append(weakref.ref(value))
        store.put(entry := made("a", value=value), 30 * ENTRY_BYTES, entry)
        del value, entry
    gc.collect()
    assert sum(value() is not None for value in values) <= 2


def test_a_dropped_entry_leaves_no_cycle() -> None:
    store = make_store(10, None)
    store.put(entry := made("a"), 0, entry)
    store.drop("a")
    assert entry.linked is None


def test_an_older_entry_of_the_same_call_does_not_take_the_newer_ones_place() -> None:
    store, owner = make_store(10, None), FunctionEntries()
    store.put(one := made("a", owner), 0, (1,))
    store.put(two := made("b", owner), 0, (1,))
    store.drop("a")
    assert not one.fresh_until
    assert owner.index == {(1,): two}


def test_a_tag_kills_what_has_it_and_its_next_life_is_another_cell() -> None:
    tags = Tags()
    (first,), (again,) = tags.cells(["t"]), tags.cells(["t"])
    (other,) = tags.cells(["u"])
    tags.kill(["t", "never seen"])
    (later,) = tags.cells(["t"])
    assert first is again
    assert (first.is_alive, other.is_alive, later.is_alive) == (False, True, True)
    entry = TaggedEntry("a", None, None, 1e9, FunctionEntries())
    entry.cells = (other, first)
    assert not entry.is_alive
    entry.cells = (other, later)
    assert entry.is_alive


def test_an_entry_is_served_no_longer_than_is_proved_and_than_it_lives() -> None:
    store, owner = make_store(10, None), FunctionEntries()
    store.put(entry := FrontEntry("a", 1, None, 50.0, owner), 0, (1,))
    entry.prove(20.0)
    assert entry.fresh_until == 20.0
    entry.prove(60.0)
    assert entry.fresh_until == 50.0
    store.drop("a")
    entry.prove(40.0)
    assert not entry.fresh_until


def test_cells_go_with_the_last_entry_that_has_them() -> None:
    tags = Tags()
    cells = tags.cells(["t", "u"])
    assert sorted(tags.names()) == ["t", "u"]
    del cells
    gc.collect()
    assert tags.names() == []


@pytest.mark.parametrize("value", [1.0, [1], (1,), object(), type("Sub", (str,), {})("x")])
def test_arguments_that_may_be_equal_without_their_keys_being_so_are_not_indexed(
    value: object,
) -> None:
    assert index_key([value], [None]) is None
    assert index_key([value], [int]) is None


def test_equal_arguments_of_different_types_have_different_indexes() -> None:
    one = {index_key([value], [None]) for value in (1, True)}
    assert len(one) == 2
    assert index_key([1], [int]) == 1
    assert index_key([True], [int]) is None
    assert index_key([1, "a"], [int, str]) == (1, "a")
    assert index_key([], []) == ()


def test_one_small_drop_does_not_make_the_line_anew() -> None:
    store = make_store(10, 100 * ENTRY_BYTES)
    store.put(entry := made("a"), 0, entry)
    line = store._line
    store.drop("a")
    assert store._line is line
