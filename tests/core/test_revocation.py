from __future__ import annotations

import itertools

from hypothesis import example, given
from hypothesis import strategies as st

from dualcache.core.revocation import (
    Revocation,
    channel_of,
    from_message,
    life_key,
    life_keys,
    to_message,
)

NAMES = st.lists(st.text(st.characters(codec="utf-8"))).map(tuple)


@given(NAMES, NAMES)
def test_a_message_says_what_its_notice_says(
    names: tuple[str, ...], patterns: tuple[str, ...]
) -> None:
    assert from_message(to_message(Revocation("c", names, patterns))) == (names, patterns)


@given(st.binary())
@example(b"\x92\x91\xa1\x80\x90")
def test_a_message_that_is_not_ours_says_nothing_certain(message: bytes) -> None:
    told = from_message(message)
    assert told is None or from_message(to_message(Revocation("c", *told))) == told


def test_channel_and_key_lie_in_the_namespace_where_no_key_of_a_user_can_be() -> None:
    assert (channel_of("shop:"), life_key("shop:")) == ("shop:~c", "shop:~e")
    assert (channel_of(""), life_key("")) == ("~c", "~e")


def test_the_first_life_key_is_that_of_one_server() -> None:
    names = ["shop:~e", "shop:~e:0", "shop:~e:1"]
    assert list(itertools.islice(life_keys("shop:"), 3)) == names
