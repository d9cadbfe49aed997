from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dualcache.errors import UsageError
from dualcache.keys.escaping import escape, escape_literal, escape_part
from dualcache.keys.globs import compile_glob
from dualcache.keys.names import (
    fit,
    no_pattern,
    no_patterns,
    several,
    user_key,
    user_pattern,
    user_tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable

any_text = st.text(alphabet=st.characters(categories=None)) | st.text(
    alphabet="%:{}*?[]\\ \n\u2003é~'(,=)a"
)


def unescaped(text: str) -> str:
    """Undo percent escapes with nothing of ours."""
    data, at = b"", 0
    while at < len(text):
        if text[at] == "%":
            data += bytes.fromhex(text[at + 1 : at + 3])
            at += 3
        else:
            data += text[at].encode("utf-8", "surrogatepass")
            at += 1
    return data.decode("utf-8", "surrogatepass")


@given(any_text)
def test_an_escaped_value_holds_nothing_special_and_loses_nothing(value: str) -> None:
    for write in (escape, escape_part):
        written = write(value)
        assert not set(written) & set(":{}*?[]\\")
        assert not any(char.isspace() or char < " " or "\x7f" <= char < "\xa0" for char in written)
        written.encode()
        assert unescaped(written) == value
    assert not set(escape_part(value)) & set("'(),=")


@given(any_text, any_text)
def test_a_value_never_acts_as_a_wildcard(value: str, other: str) -> None:
    matches = compile_glob(f"user_{escape(value)}")
    assert matches(f"user_{escape(other)}".encode()) is (value == other)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"), ("post_cache-1.2/x", "post_cache-1.2/x"),
        ("a%:{}*?[]\\", "a%25%3A%7B%7D%2A%3F%5B%5D%5C"),
        ("a b\n\0", "a%20b%0A%00"), ("\u2003\x85", "%E2%80%83%C2%85"), ("\ud800", "%ED%A0%80"),
        ("Zoë 😀", "Zoë%20😀"),
    ],
)  # fmt: skip
def test_values_are_escaped_percent_wise_in_upper_case(value: str, written: str) -> None:
    assert escape(value) == written


def test_a_literal_keeps_what_its_author_may_mean() -> None:
    assert escape_literal("a%20{*}?[]\\:b c\n") == "a%20{*}?[]\\:b%20c%0A"


@given(st.text(min_size=100, max_size=700))
def test_no_name_is_longer_than_512_bytes_and_short_ones_stay(name: str) -> None:
    size = len(name.encode())
    fitted = fit(name)
    assert len(fitted.encode()) <= 512
    assert (fitted == name) is (size <= 512)
    assert fit(fitted) == fitted


@pytest.mark.parametrize("char", ["a", "é", "語", "😀"])
def test_a_long_name_keeps_head_and_tail_around_a_digest(char: str) -> None:
    fitted = fit(char * 513)
    head, digest, tail = fitted.split("~")
    assert set(head) == set(tail) == {char}
    assert len(head.encode()) > 230
    assert len(tail.encode()) > 230
    assert digest == blake2b((char * 513).encode(), digest_size=20).hexdigest()
    assert fit(char * 514) != fitted


@pytest.mark.parametrize("size", [513, 700, 10_000])
def test_a_pattern_sees_head_and_tail_of_a_long_name_and_not_its_middle(size: int) -> None:
    name = fit(f"doc:{'x' * size}:middle:{'é' * size}:end")
    for pattern in ("doc:*", "*:end", "doc:*:end", "*é:end"):
        assert compile_glob(pattern)(name.encode())
    assert not compile_glob("*:middle:*")(name.encode())


def test_names_that_differ_in_the_middle_alone_stay_apart() -> None:
    names = {fit(f"doc:{'x' * 300}{middle}{'x' * 300}:end") for middle in "abc"}
    assert len(names) == 3


class Name(StrEnum):
    USER = "user:1"


def test_a_users_key_keeps_its_separators_and_loses_its_white_space() -> None:
    assert user_key("user:{1}*%20 \n\ud800") == "user:{1}*%20%20%0A%ED%A0%80"
    assert user_key(Name.USER) == "user:1"
    assert type(user_key(Name.USER)) is str
    assert len(user_key("x" * 10_000_000)) == 512


@given(any_text.filter(lambda text: text and not text.startswith("~")))
def test_a_key_that_was_checked_once_stays_as_it_is(key: str) -> None:
    assert user_key(user_key(key)) == user_key(key)


def test_a_pattern_keeps_its_wildcards_and_is_never_digested() -> None:
    assert user_pattern("a *?[b]") == "a%20*?[b]"
    assert user_pattern("a" * 600 + "*") == "a" * 600 + "*"
    assert user_pattern("a" * 600) == user_key("a" * 600)


def test_a_tag_may_begin_with_a_tilde() -> None:
    assert user_tag("~mine now") == "~mine%20now"


@pytest.mark.parametrize("check", [user_key, user_pattern, user_tag])
@pytest.mark.parametrize("name", ["", b"bytes", 1, None])
def test_a_name_that_is_empty_or_no_text_is_refused(check: type, name: object) -> None:
    with pytest.raises(UsageError) as caught:
        check(name)
    assert caught.value.code == "DC106"


@pytest.mark.parametrize("check", [user_key, user_pattern])
def test_a_key_that_begins_with_a_tilde_is_refused(check: type) -> None:
    with pytest.raises(UsageError, match="must not begin with ~"):
        check("~t:users")


@pytest.mark.parametrize("key", ["*", "user:*", "user*", "*_user", "a/*/b", "a:*:b", "user-*"])
def test_a_key_to_delete_that_is_meant_as_a_pattern_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="not a wildcard there") as caught:
        no_pattern(key)
    assert (caught.value.code, "patterns=" in caught.value.help) == ("DC128", True)


@pytest.mark.parametrize("key", ["user:1", "2*3", "/list?page=[1]", "user:%2A"])
def test_a_key_to_delete_may_hold_what_is_no_pattern(key: str) -> None:
    assert no_pattern(key) == user_key(key)


def test_a_key_to_delete_is_checked_as_any_key() -> None:
    with pytest.raises(UsageError, match="must be text"):
        no_pattern(5)


@given(st.lists(st.text("aé~*:%\n \ud800", max_size=3) | st.text("ab", min_size=126), max_size=3))
@example(["a\nb"])
@example(["a", ""])
def test_many_keys_to_delete_are_checked_and_written_as_each_alone(keys: list[str]) -> None:
    def alone(keys: list[str]) -> list[str]:
        return [no_pattern(key) for key in keys]

    assert outcome(no_patterns, keys) == outcome(alone, keys)


def outcome(write: Callable[[list[str]], list[str]], keys: list[str]) -> object:
    """Return the written keys, or the text of the error."""
    try:
        return write(keys)
    except UsageError as error:
        return str(error)


def test_of_a_key_of_another_type_the_characters_count() -> None:
    assert [type(name) for name in no_patterns([Name.USER, "user:2"])] == [str, str]
    with pytest.raises(UsageError, match="must be text"):
        no_patterns(["user:1", 5])  # type: ignore[list-item]


def test_several_names_are_no_text_and_can_be_gone_through() -> None:
    assert several(("a", "b"), "tags", "…") == ["a", "b"]
    for wrong in ("users", b"users", 5):
        with pytest.raises(UsageError, match=r"tags is .*, not several names") as caught:
            several(wrong, "tags", 'write tags=["…"]')  # type: ignore[arg-type]
        assert caught.value.code == "DC157"
