from __future__ import annotations

import pytest

from dualcache.core.entry import UNKNOWN_TAG_ID, Tag
from dualcache.core.ops import NewTag, ProlongTag, RawRead
from dualcache.engine.tags import (
    are_alive,
    entry_life_ms,
    entry_tags,
    new_tags,
    prolonged,
    tag_life_ms,
)
from tests.engine.conversation import DAY_MS, policy, surroundings, token

HOUR_MS = DAY_MS // 24


def test_an_entry_is_alive_while_each_of_its_tags_has_the_id_it_was_stored_with() -> None:
    tags = [Tag("a", token(1)), Tag("b", token(2))]
    assert are_alive(tags, {"a": token(1), "b": token(2)})
    assert not are_alive(tags, {"a": token(1), "b": token(3)})
    assert not are_alive(tags, {"a": token(1), "b": None})
    assert not are_alive(tags, {"a": token(1)})
    assert are_alive([], {})


def test_a_tag_whose_id_was_not_known_is_never_alive() -> None:
    assert entry_tags(["a", "b", "a"], {"a": token(1), "b": None}) == (
        Tag("a", token(1)),
        Tag("b", UNKNOWN_TAG_ID),
    )
    assert not are_alive([Tag("b", UNKNOWN_TAG_ID)], {"b": UNKNOWN_TAG_ID})


def test_each_tag_that_may_be_made_gets_an_id_of_its_own() -> None:
    env, _ = surroundings()
    assert new_tags(["a", "b"], 5, env) == (NewTag("a", token(1), 5), NewTag("b", token(2), 5))


@pytest.mark.parametrize(("entry_ms", "life_ms"), [(None, None), (1, DAY_MS), (DAY_MS, 2 * DAY_MS)])
def test_a_tag_outlives_its_entries(entry_ms: int | None, life_ms: int | None) -> None:
    assert tag_life_ms(entry_ms) == life_ms


def test_an_entry_lives_as_long_as_it_is_fresh_and_may_stand_in() -> None:
    assert entry_life_ms(policy(ttl_ms=100, stale_if_error_ms=50)) == 150
    assert entry_life_ms(policy(ttl_ms=None, stale_if_error_ms=50)) is None


@pytest.mark.parametrize(
    ("left_ms", "entry_ms", "is_prolonged"),
    [
        (100 + HOUR_MS, 100, False),
        (99 + HOUR_MS, 100, True),
        (DAY_MS, None, True),
        (-1, 100, False),
        (-1, None, False),
    ],
)
def test_only_a_tag_with_little_left_is_prolonged(
    left_ms: int, entry_ms: int | None, is_prolonged: bool
) -> None:
    seen = RawRead(None, (b"id",), None, (left_ms,))
    expected = (ProlongTag("a", DAY_MS),) if is_prolonged else ()
    assert prolonged(["a"], seen, DAY_MS, entry_ms) == expected
