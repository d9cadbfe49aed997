from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dualcache.keys.globs import (
    compile_glob,
    has_wildcard,
    literal_head,
    matches_everything,
    open_ended,
)

if TYPE_CHECKING:
    from tests.servers import Server

patterns = st.text(alphabet=r"ab-^]*?[\é", max_size=8)
keys = st.text(alphabet="ab-^]*?[\\é\n", min_size=1, max_size=6)


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def class_matches(pattern: bytes, at: int, byte: int) -> tuple[bool, int]:
    """Read a class as the server does; `at` stands on the `[`."""
    at += 1
    is_negated = pattern[at : at + 1] == b"^"
    at += is_negated
    is_match = False
    while True:
        left = len(pattern) - at
        if left >= 2 and pattern[at] == ord("\\"):
            at += 1
            is_match |= pattern[at] == byte
        elif left > 0 and pattern[at] == ord("]"):
            break
        elif left == 0:
            at -= 1
            break
        elif left >= 3 and pattern[at + 1] == ord("-"):
            low, high = sorted((signed(pattern[at]), signed(pattern[at + 2])))
            at += 2
            is_match |= low <= signed(byte) <= high
        else:
            is_match |= pattern[at] == byte
        at += 1
    return is_match != is_negated, at


def server_matches(pattern: bytes, key: bytes) -> bool:
    """`stringmatchlen`, line by line and without its shortcuts."""
    while pattern and key:
        if pattern[:1] == b"*":
            pattern = pattern.lstrip(b"*")
            return not pattern or any(server_matches(pattern, key[at:]) for at in range(len(key)))
        if pattern[:1] == b"[":
            is_match, end = class_matches(pattern, 0, key[0])
            if not is_match:
                return False
            pattern = pattern[end:]
        elif pattern[:1] != b"?":
            if pattern[:1] == b"\\" and len(pattern) >= 2:
                pattern = pattern[1:]
            if pattern[0] != key[0]:
                return False
        pattern, key = pattern[1:], key[1:]
        if not key:
            pattern = pattern.lstrip(b"*")
            break
    return not pattern and not key


@settings(max_examples=1000)
@given(patterns, keys)
@example("[a-]b", "b")
@example("[^", "x")
@example("[é-a]", "a")
@example("*a*b*", "aab")
def test_a_pattern_matches_what_the_servers_matcher_matches(pattern: str, key: str) -> None:
    expected = server_matches(pattern.encode(), key.encode())
    assert compile_glob(pattern)(key.encode()) is expected


@settings(
    max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(patterns.filter(len), min_size=1, max_size=20), st.lists(keys, max_size=20))
def test_a_pattern_matches_what_a_real_server_matches(
    redis_server: Server, patterns: list[str], keys: list[str]
) -> None:
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        for key in keys:
            client.set(key, "")
        for pattern in patterns:
            matches = compile_glob(pattern)
            expected = {key.encode() for key in keys if matches(key.encode())}
            assert set(client.keys(pattern)) == expected


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("user_5_*", "user_5_page_1", True),
        ("user_5_*", "user_50", False),
        ("*_user_5_*", "a_user_5_", True),
        ("h?llo", "hello", True),
        ("h[ae]llo", "hallo", True),
        ("h[^e]llo", "hello", False),
        ("h[c-a]llo", "hbllo", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("a*", "a\nb", True),
        ("[]", "a", False),
        ("[abc", "b", True),
        ("\\", "\\", True),
        ("\ud800*", "x", False),
    ],
)
def test_examples(pattern: str, key: str, expected: bool) -> None:
    assert compile_glob(pattern)(key.encode()) is expected


def test_many_stars_do_not_make_matching_slow() -> None:
    assert not compile_glob("*a" * 40 + "b")(b"a" * 5000)


@pytest.mark.parametrize("pattern", ["*", "**", "?*", "*?*", "*[^]", "[^*"])
def test_these_match_every_key(pattern: str) -> None:
    expected = pattern != "[^*"
    assert matches_everything(pattern) is expected


@pytest.mark.parametrize("pattern", ["", "a*", "?", "??*", "*[a]", r"\*"])
def test_these_spare_some_key(pattern: str) -> None:
    assert not matches_everything(pattern)


@pytest.mark.parametrize("pattern", ["a*", "?", "[a]", r"\\*"])
def test_wildcards_are_seen(pattern: str) -> None:
    assert has_wildcard(pattern)


@pytest.mark.parametrize("pattern", ["", "a", r"\*", r"a\?b\[", r"\\\*"])
def test_escaped_wildcards_are_none(pattern: str) -> None:
    assert not has_wildcard(pattern)


@pytest.mark.parametrize(
    ("pattern", "head"),
    [
        ("user:*", "user:"),
        ("user:?", "user:"),
        ("user:[ab]", "user:"),
        ("user:1", "user:1"),
        ("*", ""),
        ("", ""),
        ("a\\*b*", "a\\*b"),
        ("a\n*", "a\n"),
        ("12345678901*", "1234567890"),
        ("123456789\\*0*", "123456789\\*"),
        ("a\\", "a"),
    ],
)
def test_the_literal_head_of_a_pattern_ends_before_its_first_wildcard(
    pattern: str, head: str
) -> None:
    assert literal_head(pattern, 10) == head


@pytest.mark.parametrize(
    ("pattern", "opened"),
    [
        ("feed", "feed*"),
        ("5_feed:", "5_feed:*"),
        ("feed*", "feed*"),
        ("feed?", "feed?"),
        ("feed[ab]", "feed[ab]"),
        ("feed[a\\]", "feed[a\\]"),
        ("feed]", "feed]*"),
        ("feed[", "feed["),
        ("feed[?-]-", "feed[?-]-"),
        ("feed[\\", "feed[\\"),
        ("[ab]feed", "[ab]feed*"),
        ("feed\\*", "feed\\**"),
        ("feed\\\\*", "feed\\\\*"),
        ("feed\\", "feed\\\\*"),
        ("feed\\\\", "feed\\\\*"),
        ("", "*"),
    ],
)
def test_a_pattern_is_opened_at_its_end(pattern: str, opened: str) -> None:
    assert open_ended(pattern) == opened


@given(
    st.text("ab*?[]\\-^", max_size=6), st.text("ab*?[]\\", max_size=4), st.text("ab", max_size=2)
)
def test_an_opened_pattern_matches_whatever_begins_with_a_match(
    pattern: str, key: str, more: str
) -> None:
    opened = open_ended(pattern)
    assert open_ended(opened) == opened
    if compile_glob(pattern)(key.encode()):
        assert compile_glob(opened)(key.encode())
        assert opened == pattern or compile_glob(opened)((key + more).encode())
