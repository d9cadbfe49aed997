"""What is sent for a stored response; the fields are parsed by another party's library."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.http.answers import (
    answer_from,
    hit_status,
    others_status,
    own_status,
    passed_fields,
)
from dualcache.http.cache_control import cache_control
from dualcache.http.cache_status import CacheStatus, Forward
from dualcache.http.conditional import is_not_modified
from dualcache.http.fields import field, values_of
from dualcache.http.stored import StoredResponse, stored_response
from tests.integrations.http.policies import fields, parsed_status, policy

HIT = CacheStatus(ttl=54)


def stored(body: bytes = b"hello", status: int = 200, **named: str) -> StoredResponse:
    return stored_response(status, fields(**named), body, now_ms=1_000)


@pytest.mark.parametrize(
    ("status", "params"),
    [
        (CacheStatus(ttl=54), {"hit": True, "ttl": 54}),
        (CacheStatus(ttl=-3), {"hit": True, "ttl": -3}),
        (CacheStatus(ttl=2**53 * 100), {"hit": True, "ttl": 999_999_999_999_999}),
        (CacheStatus(), {"hit": True}),
        (CacheStatus(Forward.MISS, is_stored=True), {"fwd": "uri-miss", "stored": True}),
        (CacheStatus(Forward.MISS, is_collapsed=True), {"fwd": "uri-miss", "collapsed": True}),
        (CacheStatus(Forward.BYPASS, detail="cookie"), {"fwd": "bypass", "detail": "cookie"}),
    ],
)
def test_cache_status_is_a_structured_field(status: CacheStatus, params: dict[str, Any]) -> None:
    assert parsed_status(status.written()) == params


@pytest.mark.parametrize(
    ("options", "age", "expected"),
    [
        ({}, 5, b"private, no-cache"),
        ({"public": True}, 5, b"public, no-cache"),
        ({"stale_while_revalidate": 9}, 5, b"private, no-cache"),
        ({"client_ttl": 60}, 0, b"private, max-age=60"),
        ({"client_ttl": 60}, 5, b"private, max-age=65"),
        (
            {"client_ttl": 60, "public": True, "stale_while_revalidate": 9, "stale_if_error": 99},
            0,
            b"public, max-age=60, stale-while-revalidate=9, stale-if-error=99",
        ),
    ],
)
def test_a_client_has_a_lifetime_of_its_own(options: Any, age: int, expected: bytes) -> None:
    assert cache_control(policy(**options), age) == expected


def test_a_hit_has_age_status_and_what_the_endpoint_left_out() -> None:
    answer = answer_from(stored(content_type="text/plain"), [], policy(), HIT, now_ms=7_900)
    assert answer.status == 200
    assert answer.body == b"hello"
    assert field(answer.fields, b"age") == "6"
    assert field(answer.fields, b"cache-control") == "private, no-cache"
    assert field(answer.fields, b"vary") == "accept-language"
    assert field(answer.fields, b"cache-status") == "dualcache; hit; ttl=54"


@pytest.mark.parametrize(
    ("named", "name", "expected"),
    [
        ({"cache_control": "max-age=9"}, b"cache-control", "max-age=9"),
        ({"expires": "0"}, b"cache-control", ""),
        ({"etag": 'W/"own"'}, b"etag", 'W/"own"'),
        ({"vary": "Accept-Language"}, b"vary", "Accept-Language"),
        ({"vary": "Origin"}, b"vary", "Origin, accept-language"),
        ({"vary": "*"}, b"vary", "*"),
        ({"cache_status": "origin; hit"}, b"cache-status", "origin; hit, dualcache; hit; ttl=54"),
    ],
)
def test_what_the_endpoint_has_set_stays(named: Any, name: bytes, expected: str) -> None:
    answer = answer_from(stored(**named), [], policy(), HIT, now_ms=1_000)
    assert field(answer.fields, name) == expected


def test_a_head_has_the_fields_of_the_get_and_no_body() -> None:
    kept = stored(content_length="5")
    get, head = (
        answer_from(kept, [], policy(), HIT, now_ms=1_000, is_head=each) for each in (False, True)
    )
    assert (head.status, head.fields, head.body) == (200, get.fields, b"")


def test_an_entry_of_a_clock_ahead_of_ours_has_no_negative_age() -> None:
    kept = stored()
    assert field(answer_from(kept, [], policy(), HIT, now_ms=0).fields, b"age") == "0"
    assert hit_status(kept, policy(ttl=60), 0) == CacheStatus(ttl=60)
    assert hit_status(kept, policy(ttl=60), 63_000) == CacheStatus(ttl=-2)
    assert hit_status(kept, policy(ttl=None), 63_000) == CacheStatus()


MISSED = CacheStatus(Forward.MISS)
RELOADED = CacheStatus(Forward.REQUEST, detail="no-cache")


@pytest.mark.parametrize(
    ("asked", "is_kept", "is_stored", "expected"),
    [
        (MISSED, True, True, b"dualcache; fwd=uri-miss; stored"),
        (MISSED, True, False, b"dualcache; fwd=uri-miss"),
        (MISSED, False, False, b"dualcache; fwd=uri-miss; detail=status"),
        (MISSED, False, True, b"dualcache; fwd=uri-miss; detail=status"),
        (RELOADED, True, True, b"dualcache; fwd=request; stored; detail=no-cache"),
    ],
)
def test_a_request_tells_what_became_of_the_response_that_it_made(
    asked: CacheStatus, is_kept: bool, is_stored: bool, expected: bytes
) -> None:
    assert own_status(asked, is_kept=is_kept, is_stored=is_stored).written() == expected


def test_a_response_of_another_request_is_a_hit_unless_it_was_made_meanwhile() -> None:
    found = stored()  # at 1_000
    assert others_status(MISSED, found, policy(ttl=60), 1_000, 3_000) == CacheStatus(ttl=58)
    meanwhile = others_status(MISSED, found, policy(ttl=60), 999, 3_000)
    assert meanwhile == CacheStatus(Forward.MISS, is_collapsed=True)


def test_a_response_that_was_made_for_this_request_has_no_age() -> None:
    for is_collapsed in (False, True):
        made = CacheStatus(Forward.MISS, is_stored=True, is_collapsed=is_collapsed)
        answer = answer_from(stored(), [], policy(), made, now_ms=1_000)
        assert (b"age" in dict(answer.fields)) is is_collapsed


def test_a_304_has_the_fields_that_update_a_stored_response_and_no_other() -> None:
    kept = stored(
        content_type="text/plain", content_length="5", content_location="/here", x_request="1"
    )
    tag = field(kept.fields, b"etag")
    answer = answer_from(kept, fields(if_none_match=tag), policy(), HIT, now_ms=2_000)
    assert (answer.status, answer.body) == (304, b"")
    assert {name.decode() for name, _ in answer.fields} == {
        "cache-control", "content-location", "etag", "vary", "age", "cache-status"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "tag", "status", "expected"),
    [
        ('"a"', '"a"', 200, True),
        ('"b"', '"a"', 200, False),
        ('"b", "a"', '"a"', 200, True),
        ('"b",W/"a"', '"a"', 200, True),
        ('"a"', 'W/"a"', 200, True),
        ('"b,a", "c"', '"b,a"', 200, True),
        ('"b,a"', '"a"', 200, False),
        ("*", '"a"', 200, True),
        ('"*"', '"a"', 200, False),
        ("a", '"a"', 200, False),
        ('w/"a"', '"a"', 200, False),
        ('x"a", "b', '"a"', 200, False),
        ("", '"a"', 200, False),
        ('"a"', "", 200, False),
        ('"a"', "a", 200, False),
        ('"a"', '"a"', 404, False),
        ("*", '"a"', 301, False),
    ],
)
def test_if_none_match_compares_weakly(asked: str, tag: str, status: int, expected: bool) -> None:
    assert is_not_modified(fields(if_none_match=asked), status, fields(etag=tag)) is expected


MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("asked", "modified", "status", "expected"),
    [
        (MODIFIED, MODIFIED, 200, True),
        ("Sun, 06 Nov 1994 08:49:38 GMT", MODIFIED, 200, True),
        ("Sun, 06 Nov 1994 08:49:36 GMT", MODIFIED, 200, False),
        ("Sunday, 06-Nov-94 08:49:37 GMT", MODIFIED, 200, True),
        ("Sun Nov  6 08:49:37 1994", MODIFIED, 200, True),
        (MODIFIED, "Sun Nov  6 08:49:37 1994", 200, True),
        (MODIFIED, "", 200, False),
        (MODIFIED, "yesterday", 200, False),
        ("today", MODIFIED, 200, False),
        ("Sun, 06 Nov 99999999999 08:49:37 GMT", MODIFIED, 200, False),
        (MODIFIED, MODIFIED, 404, False),
    ],
)
def test_a_date_is_compared_where_the_endpoint_has_set_one(
    asked: str, modified: str, status: int, expected: bool
) -> None:
    request = fields(if_modified_since=asked)
    response = fields(last_modified=modified) if modified else []
    assert is_not_modified(request, status, response) is expected


def test_a_date_means_nothing_beside_an_entity_tag() -> None:
    response = fields(last_modified=MODIFIED, etag='"a"')
    for tag, expected in (('"a"', True), ('"b"', False), ("", False)):
        request = fields(if_modified_since=MODIFIED, if_none_match=tag)
        assert is_not_modified(request, 200, response) is expected


def test_an_etag_is_that_of_the_bytes_and_their_representation() -> None:
    plain = stored(content_type="text/plain", x_request="1")
    tag = field(plain.fields, b"etag")
    assert tag.startswith('"')
    assert tag == field(stored(content_type="text/plain", x_request="2").fields, b"etag")
    others = [stored(b"hallo", content_type="text/plain"), stored(content_type="text/html"),
              stored(content_type="text/plain", content_encoding="br")]  # fmt: skip
    assert tag not in {field(other.fields, b"etag") for other in others}
    assert field(stored(status=301).fields, b"etag") == ""


def test_what_concerns_one_connection_is_not_stored() -> None:
    kept = stored(connection="close", transfer_encoding="chunked", date="x", age="5", x_kept="1")
    assert [name for name, _ in kept.fields] == [b"x-kept", b"etag"]


def test_a_response_that_passes_only_says_so() -> None:
    status = CacheStatus(Forward.BYPASS, detail="cookie")
    passed = passed_fields(fields(cache_control="max-age=5"), status)
    assert values_of(passed, b"cache-status") == [b"dualcache; fwd=bypass; detail=cookie"]
    assert len(passed) == 2
