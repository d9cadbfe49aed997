"""The rules of HTTP mode, the same on ASGI and WSGI: each test runs on three applications."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from dualcache.testing import fail_backend
from tests.bodies import WAIT_SECONDS
from tests.integrations.http.conftest import status_of
from tests.integrations.http.doors import DOORS, Body, Door, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.endpoints.web import Site


@pytest.fixture(params=DOORS, ids=lambda kind: kind.__name__)
def door(request: pytest.FixtureRequest, backend_url: str, site_type: type[Site]) -> Iterator[Door]:
    made: Door = request.param(backend_url, max_value_bytes=1_000)
    made.site_type = site_type
    yield made
    made.close()


def counting(door: Door, **reply: Any) -> Body:
    """Return a body that tells how often it ran."""
    return lambda _: Reply(str(door.count("body")), **reply)


def told(door: Door, path: str = "/", **options: Any) -> dict[str, Any]:
    return status_of(door.send("GET", path, **options))


def test_a_hit_is_what_was_stored_with_an_age(door: Door) -> None:
    door.route("/", ttl=60)(counting(door, headers={"X-Own": "own", "Content-Type": "text/x"}))
    first = door.send("GET", "/")
    assert status_of(first) == {"fwd": "uri-miss", "stored": True}
    door.now += 7
    second = door.send("GET", "/")
    assert status_of(second) == {"hit": True, "ttl": 53}
    assert (first.text, second.text, second.status_code) == ("1", "1", 200)
    assert second.headers["age"] == "7"
    added = {"age", "cache-status", "date"}
    kept = [{k: v for k, v in each.headers.items() if k not in added} for each in (first, second)]
    assert kept[0] == kept[1]
    assert kept[0]["x-own"] == "own"
    assert kept[0]["content-length"] == "1"
    assert kept[0]["cache-control"] == "private, no-cache"


def test_a_client_that_has_the_response_gets_a_304(door: Door) -> None:
    door.route("/", ttl=60)(counting(door))
    tag = door.send("GET", "/").headers["etag"]
    answer = door.send("GET", "/", headers={"if-none-match": f'"x", W/{tag}'})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    assert "content-type" not in answer.headers


def test_a_head_is_answered_from_a_get_and_stores_nothing_itself(door: Door) -> None:
    door.route("/", ttl=60)(lambda _: Reply("hello" * door.count("body")))
    assert status_of(door.send("HEAD", "/")) == {"fwd": "uri-miss"}
    door.counts.clear()
    got, head = door.send("GET", "/"), door.send("HEAD", "/")
    assert status_of(head) == {"hit": True, "ttl": 60}
    assert head.headers["content-length"] == got.headers["content-length"] == "5"
    assert door.counts == {"body": 1}


@pytest.mark.parametrize("field", ["cookie", "authorization", "range", "if-match"])
def test_a_request_that_is_more_than_a_path_goes_to_the_endpoint(door: Door, field: str) -> None:
    door.route("/", ttl=60)(counting(door))
    door.get("/")
    answer = door.send("GET", "/", headers={field: "a=b"})
    assert (answer.text, status_of(answer)) == ("2", {"fwd": "bypass", "detail": field})
    assert told(door)["hit"]


def test_a_route_may_be_the_same_for_all_or_tell_them_apart(door: Door) -> None:
    door.route("/all", ttl=60, shared=True)(counting(door))
    door.route("/own", ttl=60, vary=["cookie"])(counting(door))
    users = [{"cookie": "u=1"}, {"cookie": "u=2"}]
    assert [door.get("/all", headers=user) for user in users * 2] == ["1"] * 4
    assert [door.get("/own", headers=user) for user in users * 2] == ["2", "3"] * 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"headers": {"Set-Cookie": "a=b"}}, "set-cookie"),
        ({"headers": {"Cache-Control": "no-store"}}, "no-store"),
        ({"headers": {"Cache-Control": "private"}}, "private"),
        ({"headers": {"Vary": "X-Tenant"}}, "vary"),
        ({"headers": {"Content-Type": "text/event-stream"}}, "event-stream"),
        ({"status": 404}, "status"),
    ],
)
def test_what_is_for_one_alone_is_not_stored(door: Door, reply: Any, reason: str) -> None:
    door.route("/", ttl=60)(counting(door, **reply))
    answers = [door.send("GET", "/") for _ in range(2)]
    assert [answer.text for answer in answers] == ["1", "2"]
    assert status_of(answers[1]) == {"fwd": "uri-miss", "detail": reason}
    for name, value in reply.get("headers", {}).items():
        assert answers[1].headers[name] == value


def test_a_body_that_is_too_large_passes_whole(door: Door) -> None:
    door.route("/", ttl=60)(lambda _: Reply("x" * 1_001))
    for _ in range(2):
        answer = door.send("GET", "/")
        assert (len(answer.text), status_of(answer)["detail"]) == (1_001, "size")


def test_statuses_that_are_listed_are_stored(door: Door) -> None:
    door.route("/", ttl=60, statuses=[404])(counting(door, status=404))
    answers = [door.send("GET", "/") for _ in range(2)]
    assert [(each.status_code, each.text) for each in answers] == [(404, "1")] * 2
    assert status_of(answers[1])["hit"]


def test_the_query_is_part_of_the_key_in_any_order(door: Door) -> None:
    door.route("/", ttl=60, query=["!utm_*"])(counting(door))
    paths = ["/?a=1&b=2", "/?b=2&utm_source=x&a=1", "/?a=2", "/"]
    assert [door.get(path) for path in paths] == ["1", "1", "2", "3"]


def test_languages_are_told_apart(door: Door) -> None:
    door.route("/", ttl=60)(counting(door))
    answers = [door.send("GET", "/", headers={"accept-language": each}) for each in ("de", "fr")]
    assert [each.text for each in answers] == ["1", "2"]
    assert {each.headers["vary"] for each in answers} == {"accept-language"}


def test_a_key_and_an_identity_may_come_from_functions_of_the_request(door: Door) -> None:
    seen: list[Any] = []

    def identity(request: Any) -> str:
        seen.append(request)
        return "same"

    door.route("/", ttl=60, vary=identity, key=lambda _: "home")(counting(door))
    assert [door.get("/", headers={"cookie": "a=b"}) for _ in range(2)] == ["1", "1"]
    assert len(seen) == 2
    assert door.cache.invalidate(tags=["home"]).tags == 1
    assert door.get("/") == "2"


def test_a_write_invalidates_its_path_and_what_it_names(door: Door) -> None:
    said = {"status": 200}
    body: Body = lambda method: Reply(  # noqa: E731
        str(door.count(method)), said["status"] if method != "GET" else 200
    )
    door.route("/post", ttl=60, invalidates=["/list", "authors"])(body)
    door.route("/list", ttl=60)(body)
    door.route("/author", ttl=60, tags=["authors"])(body)
    paths = ("/post?page=1", "/post?page=2", "/list", "/author")
    assert [door.get(path) for path in paths] == ["1", "2", "3", "4"]
    said["status"] = 409
    assert door.send("DELETE", "/post").status_code == 409
    assert [door.get(path) for path in paths] == ["1", "2", "3", "4"]
    said["status"] = 303
    assert status_of(door.send("POST", "/post")) == {"fwd": "method"}
    assert [door.get(path) for path in paths] == ["5", "6", "7", "8"]


def test_a_client_may_ask_anew_where_that_is_allowed(door: Door) -> None:
    door.route("/", ttl=60, honor_request=True)(counting(door))
    assert [door.get("/"), door.get("/")] == ["1", "1"]
    anew = door.send("GET", "/", headers={"cache-control": "no-cache"})
    assert (anew.text, status_of(anew)["fwd"]) == ("2", "request")
    assert door.get("/") == "2"
    alone = door.send("GET", "/", headers={"cache-control": "no-store"})
    assert (alone.text, status_of(alone)) == ("3", {"fwd": "bypass", "detail": "no-store"})


def test_a_stale_response_stands_in_for_a_failure(door: Door) -> None:
    said = {"status": 200}
    door.route("/", ttl=60, stale_if_error=600)(
        lambda _: Reply(str(door.count("body")), said["status"])
    )
    door.get("/")
    said["status"] = 503
    door.now += 100
    stale = door.send("GET", "/")
    assert (stale.status_code, stale.text) == (200, "1")
    assert status_of(stale) == {"hit": True, "ttl": -40}
    door.cache.invalidate(tags=["/"])
    failed = door.send("GET", "/")
    assert (failed.status_code, failed.text) == (503, "3")
    assert status_of(failed) == {"fwd": "uri-miss", "detail": "status"}


def test_a_stale_response_is_sent_at_once_and_made_anew_in_the_background(door: Door) -> None:
    door.route("/", ttl=60, stale_while_revalidate=600)(counting(door))
    door.get("/")
    door.now += 100
    assert told(door) == {"hit": True, "ttl": -40}
    assert fresh_one(door) == "2"


def fresh_one(door: Door) -> str:
    """Return what is served once the load in the background has stored it."""
    ends = monotonic() + WAIT_SECONDS
    while monotonic() < ends:
        answer = door.send("GET", "/")
        if status_of(answer)["ttl"] > 0:
            return answer.text
    raise AssertionError("nothing was stored")


def test_what_is_not_stored_any_more_is_not_served_as_stale(door: Door) -> None:
    headers: dict[str, str] = {}
    door.route("/", ttl=60, stale_while_revalidate=600)(
        lambda _: Reply(str(door.count("body")), headers=dict(headers))
    )
    door.get("/")
    headers["Set-Cookie"] = "a=b"
    door.now += 100
    assert told(door) == {"hit": True, "ttl": -40}
    ends = monotonic() + WAIT_SECONDS
    while told(door).get("hit"):
        assert monotonic() < ends
    assert told(door)["detail"] == "set-cookie"


def test_an_exception_is_the_clients_and_nothing_is_stored(door: Door) -> None:
    def failing(_: str) -> Reply:
        if door.count("body") == 1:
            raise ZeroDivisionError
        return Reply("2")

    door.route("/", ttl=60)(failing)
    with pytest.raises(ZeroDivisionError):
        door.send("GET", "/")
    assert door.get("/") == "2"


def many_at_once(door: Door, **reply: Any) -> list[httpx.Response]:
    """Send ten requests while the first one is answered; return their answers."""
    gate = door.gate()

    async def body(method: str) -> Reply:
        await gate.passed()
        return Reply(str(door.count("body")), **reply)

    door.route("/", ttl=60)(door.coloured(body))
    first = door.start("GET", "/")
    gate.wait_until_entered()
    others = [door.start("GET", "/") for _ in range(9)]
    gate.open()
    return [each.result(30) for each in (first, *others)]


def test_many_requests_at_once_run_the_endpoint_once(door: Door) -> None:
    answers = many_at_once(door)
    assert [each.text for each in answers] == ["1"] * 10
    assert status_of(answers[0]) == {"fwd": "uri-miss", "stored": True}
    assert all(status_of(each).get("collapsed") or status_of(each)["hit"] for each in answers[1:])


def test_a_response_that_is_not_stored_is_given_to_no_other_request(door: Door) -> None:
    answers = many_at_once(door, headers={"Set-Cookie": "a=b"})
    assert sorted(int(each.text) for each in answers) == list(range(1, 11))


def test_a_response_that_was_not_stored_does_not_claim_it(door: Door) -> None:
    door.route("/zero", ttl=0)(counting(door))
    door.route("/down", ttl=60)(counting(door))

    @door.route("/overtaken", ttl=60, vary=[])
    def overtaken(_: str) -> Reply:
        door.cache.invalidate("http:GET:/overtaken")
        return Reply()

    for path in ("/zero", "/overtaken"):
        assert [told(door, path) for _ in range(2)] == [{"fwd": "uri-miss"}] * 2
    with fail_backend():
        assert told(door, "/down") == {"fwd": "uri-miss"}


def test_a_reason_why_responses_are_not_stored_is_logged_once_for_a_route(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    replies = [
        Reply(headers={"Set-Cookie": "a=1"}),
        Reply(headers={"Set-Cookie": "a=2"}),
        Reply("x" * 1_001),
        Reply(headers={"Cache-Control": "no-store"}),
        Reply(status=404),
    ]
    door.route("/", ttl=60)(lambda _: replies[door.count("body") - 1])
    reasons = [told(door).get("detail") for _ in replies]
    assert reasons == ["set-cookie", "set-cookie", "size", "no-store", "status"]
    lines = [each for each in caplog.records if each.name == "dualcache.http"]
    fields = [getattr(each, "dualcache") for each in lines]  # noqa: B009  no attribute for types
    assert [each["reason"] for each in fields] == ["set-cookie", "size"]
    (label,) = {each["template"] for each in fields}
    assert lines[0].getMessage() == (
        f"dualcache: responses of {label} are not stored: they set a cookie"
    )
