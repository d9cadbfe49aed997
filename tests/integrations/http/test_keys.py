"""What requests have the same key, and by which name their responses are deleted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache import KeyTemplateError
from dualcache.http.keys import key_of, path_name, rendered, sorted_query, vary_digest
from dualcache.http.requests import (
    HttpRequest,
    base_name,
    changed_tags,
    response_key,
    response_tags,
)
from tests.integrations.http.policies import fields, policy


@pytest.mark.parametrize(
    ("raw", "query", "expected"),
    [
        (b"", True, ""),
        (b"b=2&a=1", True, "a=1&b=2"),
        (b"a=2&a=1", True, "a=2&a=1"),
        (b"a", True, "a="),
        (b"a=%C3%A9&b=\xc3\xa9", True, "a=%C3%A9&b=%C3%A9"),
        (b"a=%FF", True, "a=%FF"),
        (b"a=x+y&b=x%20y", True, "a=x+y&b=x+y"),
        (b"a=%26b%3D2", True, "a=%26b%3D2"),
        (b"page=2&q=x", False, ""),
        (b"page=2&q=x", ("page",), "page=2"),
        (b"page=2&utm_source=x&utm_id=y", ("!utm_*",), "page=2"),
        (b"page=2&utm_source=x&utm_id=y", ("!utm_*", "utm_id"), "page=2&utm_id=y"),
        (b"filter.a=1&filter.b=2&q=x", ("filter.*", "!filter.b"), "filter.a=1"),
    ],
)
def test_a_query_counts_sorted_and_in_one_spelling(
    raw: bytes, query: object, expected: str
) -> None:
    assert sorted_query(raw, query) == expected  # type: ignore[arg-type]  # as checked by the policy


PLAIN = st.text("ab1._-~", max_size=3)


@given(st.lists(st.tuples(PLAIN.filter(bool), PLAIN), min_size=1, max_size=4))
def test_a_plain_query_is_sorted_as_one_that_is_read(pairs: list[tuple[str, str]]) -> None:
    raw = urlencode(pairs).encode()
    assert sorted_query(raw, True) == sorted_query(raw, ("*",))


def test_one_name_and_no_names_are_written_as_such() -> None:
    assert policy(query="page").query == ("page",)
    assert policy(query=[]).query is False


def test_a_key_has_path_query_and_a_digest_of_what_varies() -> None:
    digest = vary_digest(fields(accept_language="de"), ["accept-language"])
    assert key_of("/posts/1", "page=2", digest) == f"http:GET:/posts/1?page=2#{digest}"
    assert key_of("/posts/1", "", "") == "http:GET:/posts/1"


def test_a_secret_that_varies_is_not_in_the_key() -> None:
    assert "hush" not in vary_digest(fields(cookie="hush"), ["cookie"])


@given(st.lists(st.text(max_size=3), min_size=2, max_size=2), st.text(max_size=3))
def test_two_requests_that_vary_have_two_digests(values: list[str], more: str) -> None:
    def digest(first: str, second: str, told: str) -> str:
        sent = [(b"a", first.encode()), (b"b", second.encode())]
        return vary_digest(sent, ["a", "b"], told)

    first, second = (value.encode().decode("latin-1").strip() for value in values)
    swapped = digest(values[1], values[0], more)
    assert (digest(values[0], values[1], more) == swapped) is (first == second)


def test_a_field_that_is_missing_is_one_that_is_empty() -> None:
    assert vary_digest([], ["a"]) == vary_digest([(b"a", b"")], ["a"])
    assert vary_digest([], []) == ""
    assert vary_digest([], [], "user-1") != vary_digest([], [], "user-2")


@pytest.mark.parametrize(
    ("template", "path_params", "path"),
    [
        ("/posts/{post_id}", {"post_id": 5}, "/posts/5"),
        ("/files/{path}", {"path": "a/b c"}, "/files/a/b c"),
        ("/at/{place}", {"place": "x:y#z?*"}, "/at/x:y#z?*"),
        ("/at:all", {}, "/at:all"),
    ],
)
def test_a_template_of_a_path_names_the_responses_of_that_path(
    template: str, path_params: dict[str, object], path: str
) -> None:
    assert rendered(template, path_params) == path_name(path)


def test_a_template_without_a_slash_is_a_name_like_any_other() -> None:
    assert rendered("post:{post_id}", {"post_id": "a:b"}) == "post:a%3Ab"


def test_a_placeholder_that_the_path_has_not_is_told() -> None:
    with pytest.raises(KeyTemplateError) as caught:
        rendered("post:{post}", {"post_id": 1})
    told = str(caught.value)
    assert "a template of cache.http() names an unknown parameter" in told
    assert "not a parameter of the path of this request" in told
    assert "did you mean {post_id}?" in told


def test_a_path_forges_neither_a_query_nor_a_digest() -> None:
    assert path_name("/a?b#c") == "/a%3Fb%23c"


def asked(query: bytes = b"", **named: str) -> HttpRequest:
    values = {"number": "7", "name": "a/b"}
    return HttpRequest("GET", "/posts/7", query, fields(**named), values, lambda: "given")


@pytest.mark.parametrize(
    ("options", "base", "tags", "changed"),
    [
        ({}, "/posts/7", ["/posts/7"], ["/posts/7"]),
        ({"key": "post:{number}"}, "post:7", ["post:7"], ["post:7"]),
        ({"key": str.upper}, "GIVEN", ["GIVEN"], ["GIVEN"]),
        ({"tags": ["n:{number}", "/posts/7"]}, "/posts/7", ["/posts/7", "n:7"], ["/posts/7"]),
        ({"invalidates": ["/all"]}, "/posts/7", ["/posts/7"], ["/posts/7", "/all"]),
    ],
)
def test_a_request_names_its_response_and_what_deletes_it(
    options: Any, base: str, tags: list[str], changed: list[str]
) -> None:
    made = policy(**options)
    assert base_name(asked(), made) == base
    assert response_tags(asked(), made, base) == tags
    assert changed_tags(asked(), made) == changed


def test_a_key_holds_what_a_function_tells_of_the_request() -> None:
    plain, told = policy(vary=[]), policy(vary=str.upper)
    assert response_key(asked(b"b=1&a=2"), plain, "/") == "http:GET:/?a=2&b=1"
    digest = vary_digest([], [], "GIVEN")
    assert response_key(asked(), told, "/") == f"http:GET:/#{digest}"
