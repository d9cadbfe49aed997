from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis.crc import key_slot

from dualcache.core.slots import SLOTS, slot_of


@given(st.text() | st.binary())
@example("{a}b")
@example("{}b")
@example("a{b{c}d}")
@example("{a")
@example("a}{b}")
def test_a_key_has_the_slot_that_redis_py_says(key: str | bytes) -> None:
    try:
        raw = key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        return
    assert slot_of(key) == key_slot(raw)


@pytest.mark.parametrize(("key", "slot"), [("123456789", 0x31C3 % SLOTS), ("a{foo}b", 12182)])
def test_known_slots(key: str, slot: int) -> None:
    assert slot_of(key) == slot
