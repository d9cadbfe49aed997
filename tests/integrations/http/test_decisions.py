"""Which requests are answered from the cache, and which responses are stored."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.errors import KeyTemplateError, UsageError
from dualcache.http.cache_status import Forward
from dualcache.http.decisions import is_invalidating, is_server_error, why_forwarded, why_unstored
from dualcache.http.fields import directives, field, items
from tests.integrations.http.policies import fields, policy

HONORING = {"honor_request": True}


@pytest.mark.parametrize(
    ("method", "request_fields", "options", "expected"),
    [
        ("GET", {}, {}, None),
        ("HEAD", {}, {}, None),
        ("POST", {}, {}, (Forward.METHOD, "")),
        ("OPTIONS", {}, {}, (Forward.METHOD, "")),
        ("GET", {"range": "bytes=0-1"}, {}, (Forward.BYPASS, "range")),
        ("GET", {"if_match": '"a"'}, {}, (Forward.BYPASS, "if-match")),
        ("GET", {"if_none_match": '"a"'}, {}, None),
        ("GET", {"cookie": "a=b"}, {}, (Forward.BYPASS, "cookie")),
        ("GET", {"cookie": "a=b"}, {"vary": ["Cookie"]}, None),
        ("GET", {"cookie": "a=b"}, {"vary": ["authorization"]}, (Forward.BYPASS, "cookie")),
        ("GET", {"cookie": "a=b"}, {"vary": len}, None),
        ("GET", {"cookie": "a=b"}, {"key": "all"}, (Forward.BYPASS, "cookie")),
        ("GET", {"cookie": "a=b"}, {"shared": True}, None),
        ("GET", {"authorization": "x"}, {}, (Forward.BYPASS, "authorization")),
        ("GET", {"authorization": "x"}, {"vary": ["authorization"]}, None),
        ("GET", {"authorization": "x"}, {"key": str}, None),
        ("GET", {"cache_control": "no-cache, no-store"}, {}, None),
        ("GET", {"cache_control": "no-cache"}, HONORING, (Forward.REQUEST, "no-cache")),
        ("GET", {"cache_control": "No-Store"}, HONORING, (Forward.BYPASS, "no-store")),
        ("GET", {"cache_control": "max-age=0"}, HONORING, None),
    ],
)
def test_a_request_is_answered_from_the_cache_or_there_is_a_reason(
    method: str, request_fields: Any, options: Any, expected: Any
) -> None:
    assert why_forwarded(method, fields(**request_fields), policy(**options)) == expected


@pytest.mark.parametrize(
    ("status", "response_fields", "options", "expected"),
    [
        (200, {}, {}, ""),
        (204, {}, {}, ""),
        (301, {"location": "/"}, {}, ""),
        (206, {}, {}, "status"),
        (304, {}, {}, "status"),
        (404, {}, {}, "status"),
        (404, {}, {"statuses": [404]}, ""),
        (500, {}, {"statuses": [404]}, "status"),
        (200, {"set_cookie": "a=b"}, {}, "set-cookie"),
        (200, {"set_cookie": "a=b"}, {"shared": True, "vary": ["cookie"]}, "set-cookie"),
        (200, {"content_type": "Text/Event-Stream; charset=utf-8"}, {}, "event-stream"),
        (200, {"content_type": "text/html"}, {}, ""),
        (200, {"cache_control": "public, NO-STORE"}, {}, "no-store"),
        (200, {"cache_control": 'ext="no-store, x", max-age=5'}, {}, ""),
        (200, {"cache_control": "private, max-age=5"}, {}, "private"),
        (200, {"cache_control": "private"}, {"vary": ["cookie"]}, ""),
        (200, {"cache_control": "private"}, {"vary": len}, ""),
        (200, {"cache_control": "no-cache"}, {}, ""),
        (200, {"vary": "Accept-Language"}, {}, ""),
        (200, {"vary": "Accept-Language, Origin"}, {}, "vary"),
        (200, {"vary": "*"}, {}, "vary"),
    ],
)
def test_a_response_is_stored_or_there_is_a_reason(
    status: int, response_fields: Any, options: Any, expected: str
) -> None:
    assert why_unstored(status, fields(**response_fields), policy(**options)) == expected


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("PUT", 200, True),
        ("DELETE", 204, True),
        ("POST", 303, True),
        ("POST", 400, False),
        ("POST", 500, False),
        ("GET", 200, False),
        ("QUERY", 200, False),
    ],
)
def test_unsafe_methods_invalidate_where_they_succeed(
    method: str, status: int, expected: bool
) -> None:
    assert is_invalidating(method, status) is expected


def test_a_status_that_is_listed_is_an_answer_and_no_failure() -> None:
    assert is_server_error(503, policy())
    assert not is_server_error(503, policy(statuses=[503]))
    assert not is_server_error(404, policy())


def test_a_comma_within_quotes_separates_nothing() -> None:
    assert list(items(r'a, "b, \", c" ,, d="e,f",')) == ["a", r'"b, \", c"', 'd="e,f"']
    assert directives('Max-Age="5", no-cache, max-age=9') == {"max-age": "5", "no-cache": ""}


def test_the_lines_of_a_field_are_one_list() -> None:
    lines = [(b"vary", b"a"), (b"etag", b'"x"'), (b"vary", b" b ")]
    assert field(lines, b"vary") == "a, b"
    assert field(lines, b"age") == ""


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"vary": ["*"]}, "DC430"),
        ({"vary": ["accept language"]}, "DC430"),
        ({"vary": "accept-language"}, "DC157"),
        ({"vary": len, "public": True}, "DC434"),
        ({"key": 5}, "DC431"),
        ({"tags": [""]}, "DC431"),
        ({"invalidates": "posts"}, "DC157"),
        ({"query": ["page", 5]}, "DC432"),
        ({"query": ["!"]}, "DC432"),
        ({"statuses": [200]}, "DC433"),
        ({"statuses": ["404"]}, "DC433"),
        ({"max_age": 5}, "DC151"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: Any, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        policy(**options)
    assert caught.value.code == code


def test_a_template_is_checked_where_it_is_written() -> None:
    with pytest.raises(KeyTemplateError):
        policy(tags=["post:{post_id"])


def test_durations_are_whole_seconds_and_the_ttl_is_the_caches_unless_written() -> None:
    from dualcache import MISSING

    made = policy(client_ttl="1500ms", stale_if_error="1h", ttl=MISSING)
    assert (made.client_ttl, made.stale_if_error, made.ttl_ms) == (2, 3600, 3_600_000)
    assert policy(ttl=None).ttl_ms is None


def test_fields_that_an_endpoint_reads_are_part_of_the_key_but_no_identity() -> None:
    made = policy(vary=["x-tenant"])
    assert made.with_fields({"x-key", "cookie"}).vary == ("x-key", "x-tenant")
    assert made.with_fields({"authorization"}) is made
