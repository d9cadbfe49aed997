from __future__ import annotations

import contextlib
import subprocess
import sys
import traceback
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.errors import UsageError
from dualcache.options.target import (
    Target,
    parse_url,
    scheme_of,
    with_provider,
    with_sentinel_provider,
)
from dualcache.options.target_options import refuse_tls_option

SECRET = "s3cr3t"


def refusal(url: Any, **options: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_url(url, **options)
    error = caught.value
    assert error.help
    shown = f"{error}{error.args}{error.details}{''.join(traceback.format_exception_only(error))}"
    assert SECRET not in shown
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


def where(target: Target) -> tuple[object, ...]:
    return (target.host, target.port, target.db, target.username, target.password)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://", ("localhost", 6379, 0, None, None)),
        ("redis://cache", ("cache", 6379, 0, None, None)),
        ("REDIS://cache:6390/3", ("cache", 6390, 3, None, None)),
        ("redis://cache/", ("cache", 6379, 0, None, None)),
        ("redis://cache:/", ("cache", 6379, 0, None, None)),
        ("redis://cache?db=3", ("cache", 6379, 3, None, None)),
        ("redis://:pw@cache/3", ("cache", 6379, 3, None, "pw")),
        ("redis://me:pw@cache", ("cache", 6379, 0, "me", "pw")),
        ("redis://me@cache", ("cache", 6379, 0, "me", None)),
        ("redis://:a%40b%3A%2F%25@cache", ("cache", 6379, 0, None, "a@b:/%")),
        ("redis://:a@b:c@cache", ("cache", 6379, 0, None, "a@b:c")),
        ("redis://:a+b@cache", ("cache", 6379, 0, None, "a+b")),
        ("redis://[::1]", ("::1", 6379, 0, None, None)),
        ("redis://:pw@[fe80::1]:6390/2", ("fe80::1", 6390, 2, None, "pw")),
        (" redis://cache ", ("cache", 6379, 0, None, None)),
        ("redis://cache?&db=2&", ("cache", 6379, 2, None, None)),
    ],
)
def test_a_url_says_where_and_as_whom(url: str, expected: tuple[object, ...]) -> None:
    target = parse_url(url)
    assert where(target) == expected
    assert (target.kind, target.scheme, target.path) == ("redis", "redis", None)


@pytest.mark.parametrize(
    ("scheme", "is_tls"),
    [("redis", False), ("rediss", True), ("valkey", False), ("valkeys", True)],
)
def test_the_scheme_tells_whether_tls_is_spoken(scheme: str, *, is_tls: bool) -> None:
    target = parse_url(f"{scheme}://cache")
    assert (target.kind, target.scheme, target.is_tls) == ("redis", scheme, is_tls)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("unix:///run/redis.sock", ("/run/redis.sock", 0, None, None)),
        ("unix:///run/redis.sock?db=1", ("/run/redis.sock", 1, None, None)),
        ("unix://me:pw@/run/redis.sock", ("/run/redis.sock", 0, "me", "pw")),
        ("unix:///run/a%20b", ("/run/a b", 0, None, None)),
    ],
)
def test_a_unix_url_names_a_socket(url: str, expected: tuple[object, ...]) -> None:
    target = parse_url(url)
    assert (target.path, target.db, target.username, target.password) == expected
    assert (target.kind, target.host, target.port, target.is_tls) == ("redis", None, None, False)


@pytest.mark.parametrize(
    ("scheme", "is_tls"),
    [
        *(("redis+cluster", False), ("rediss+cluster", True)),
        *(("valkey+cluster", False), ("valkeys+cluster", True)),
    ],
)
def test_a_cluster_url_names_some_of_its_nodes(scheme: str, *, is_tls: bool) -> None:
    target = parse_url(f"{scheme}://me:pw@h1:7000,[::1]:7001,h1:7000/0?max_connections=3")
    assert target.nodes == (("h1", 7000), ("::1", 7001))
    assert (target.is_tls, target.max_connections) == (is_tls, 3)
    assert where(target) == (None, None, 0, "me", "pw")
    assert target.safe_url == f"{scheme}://***@h1:7000,[::1]:7001"


@pytest.mark.parametrize(
    ("scheme", "is_tls"),
    [
        *(("redis+sentinel", False), ("rediss+sentinel", True)),
        *(("valkey+sentinel", False), ("valkeys+sentinel", True)),
    ],
)
def test_a_sentinel_url_names_sentinels_and_a_service(scheme: str, *, is_tls: bool) -> None:
    target = parse_url(f"{scheme}://me:pw@h1:26379,[::1]:26380,h1:26379/my%20master?db=2")
    assert target.sentinels == (("h1", 26379), ("::1", 26380))
    assert (target.service, target.db, target.is_tls) == ("my master", 2, is_tls)
    assert where(target) == (None, None, 2, "me", "pw")
    assert (target.kind, target.scheme) == ("redis", scheme)


def test_the_database_may_follow_the_service() -> None:
    assert parse_url("redis+sentinel://h:26379/mymaster/3").db == 3


def test_the_sentinels_have_a_user_of_their_own() -> None:
    url = "rediss+sentinel://:master@h:26379/mymaster?sentinel_username=me&sentinel_ssl=no"
    target = parse_url(url, sentinel_password=SECRET)
    assert (target.sentinel_username, target.sentinel_password) == ("me", SECRET)
    assert (target.username, target.password, target.sentinel_ssl) == (None, "master", False)
    assert repr(target) == "Target('rediss+sentinel://***@h:26379/mymaster?db=0')"


def test_the_repr_of_a_sentinel_url_keeps_brackets() -> None:
    target = parse_url("redis+sentinel://[::1]:26379,h:26380/mymaster/1")
    assert target.safe_url == "redis+sentinel://[::1]:26379,h:26380/mymaster?db=1"


@pytest.mark.parametrize("url", ["memory://", "memory:///"])
def test_memory_has_a_bound_and_no_place(url: str) -> None:
    target = parse_url(url)
    assert (target.kind, target.host, target.max_entries) == ("memory", None, 100_000)
    assert target.max_bytes is None


def test_the_memory_store_can_be_bounded() -> None:
    target = parse_url("memory://?max_entries=10000", max_bytes=5_000)
    assert (target.max_entries, target.max_bytes) == (10_000, 5_000)


def test_null_takes_no_options() -> None:
    assert parse_url("null://").kind == "null"
    assert refusal("null://?max_entries=1").code == "DC151"


def test_the_defaults_are_those_of_a_cache_and_not_of_redis_py() -> None:
    target = parse_url("redis://")
    assert target.max_connections == 20
    assert (target.socket_timeout, target.socket_connect_timeout) == (0.25, 0.25)
    assert (target.health_check_interval, target.protocol) == (0, 3)
    assert (target.retry_on_timeout, target.socket_keepalive) == (False, True)
    assert (target.ssl_cert_reqs, target.ssl_check_hostname) == ("required", True)


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        ("max_connections", "7", 7),
        ("socket_timeout", "0.5", 0.5),
        ("socket_timeout", "300ms", 0.3),
        ("socket_connect_timeout", "2", 2.0),
        ("health_check_interval", "0", 0.0),
        ("health_check_interval", "15", 15.0),
        ("retry_on_timeout", "yes", True),
        ("socket_keepalive", "False", False),
        ("protocol", "2", 2),
        ("client_name", "my-app", "my-app"),
        ("username", "my%20name", "my name"),
        ("username", "me", "me"),
        ("password", "pw", "pw"),
        ("ssl_ca_certs", "/etc/ca.pem", "/etc/ca.pem"),
        ("ssl_ca_path", "/etc/ca", "/etc/ca"),
        ("ssl_certfile", "c.pem", "c.pem"),
        ("ssl_keyfile", "k.pem", "k.pem"),
        ("ssl_ca_data", "PEM", "PEM"),
        ("ssl_cert_reqs", "OPTIONAL", "optional"),
        ("ssl_check_hostname", "0", False),
        ("ssl_min_version", "tlsv1.3", "TLSv1.3"),
    ],
)
def test_an_option_comes_by_query_or_by_keyword(option: str, text: str, expected: object) -> None:
    by_query = parse_url(f"rediss://cache?{option}={text}")
    by_keyword = parse_url("rediss://cache", **{option: text.replace("%20", " ")})
    assert getattr(by_query, option) == getattr(by_keyword, option) == expected


def test_a_keyword_wins_over_the_url() -> None:
    target = parse_url("redis://me:old@cache/1?socket_timeout=1", socket_timeout=2, password="new")
    assert (target.socket_timeout, target.password, target.username) == (2.0, "new", "me")


def test_a_keyword_that_is_none_says_nothing() -> None:
    assert parse_url("redis://cache/4", db=None, socket_timeout=None).db == 4


@pytest.mark.parametrize("by_keyword", [True, False])
def test_an_unknown_option_names_the_nearest(*, by_keyword: bool) -> None:
    url = f"redis://:{SECRET}@cache"
    error = (
        refusal(url, max_conections=3) if by_keyword else refusal(f"{url}?max_conections={SECRET}")
    )
    assert error.code == "DC151"
    assert error.what == "redis:// has no option max_conections"
    assert error.help == "did you mean max_connections?"


@pytest.mark.parametrize(
    "url",
    ["redis://h?ssl_cert_reqs=none", "redis://h?max_entries=3", "memory://?socket_timeout=1"],
)
def test_an_option_of_another_scheme_is_refused(url: str) -> None:
    assert refusal(url).code == "DC151"


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        (f"reddis://:{SECRET}@cache", "DC160", "unknown scheme reddis://"),
        (f"http://:{SECRET}@cache", "DC160", "unknown scheme http://"),
        (f"me:{SECRET}@cache:6379", "DC160", "no scheme"),
        (f":{SECRET}@cache://x", "DC160", "no scheme"),
        ("", "DC160", "no scheme"),
        (f"redis+sentinel://:{SECRET}@h:26379", "DC161", "names no service"),
        (f"redis+sentinel://:{SECRET}@h:26379/?db=1", "DC161", "names no service"),
        (f"redis+sentinel://:{SECRET}@/mymaster", "DC161", "names no host"),
        (f"redis+sentinel://:{SECRET}@h1:26379,h2/mymaster", "DC161", "a host without a port"),
        (f"redis+sentinel://:{SECRET}@h1,/mymaster", "DC161", "a host without a port"),
        (f"redis+sentinel://:{SECRET}@h:abc/mymaster", "DC152", "port of the URL"),
        (f"redis+sentinel://:{SECRET}@h:26379/m/x", "DC152", "db of the URL"),
        ("redis+sentinel://h:26379/m/1?db=1", "DC161", "names the database twice"),
        ("redis+sentinel://h:26379/m?ssl_ca_certs=ca.pem", "DC151", "no option ssl_ca_certs"),
        (f"redis+sentinel://h:26379/m?sentinel_ssl={SECRET}", "DC152", "sentinel_ssl"),
        (f"redis://h?sentinel_password={SECRET}", "DC151", "no option sentinel_password"),
        (f"redis+sentinal://:{SECRET}@h:26379/m", "DC160", "unknown scheme redis+sentinal://"),
        (f"redis+cluster://:{SECRET}@h:7000/1", "DC327", "db"),
        (f"rediss+cluster://:{SECRET}@h:7000?db=2", "DC327", "db"),
        (f"redis+cluster://:{SECRET}@h", "DC161", "port"),
        (f"redis://:{SECRET}@cache:abc", "DC152", "port of the URL"),
        (f"redis://:{SECRET}@cache:0", "DC152", "port of the URL"),
        (f"redis://:{SECRET}@cache:65536", "DC152", "port of the URL"),
        (f"redis://:{SECRET}", "DC152", "port of the URL"),
        (f"redis://:{SECRET}@cache/abc", "DC152", "db of the URL"),
        (f"redis://:{SECRET}@cache/-1", "DC152", "db of the URL"),
        (f"redis://cache?db={SECRET}", "DC152", "db of the URL"),
        (f"redis://:{SECRET}/x@cache", "DC161", "an @ after the host"),
        (f"redis://{SECRET}?x@cache", "DC161", "an @ after the host"),
        (f"redis://:12?{SECRET}=x@cache", "DC161", "an @ after the host"),
        (f"redis://:{SECRET}@::1", "DC161", "without brackets"),
        (f"redis://:{SECRET}@[::1", "DC161", "broken IPv6"),
        (f"redis://:{SECRET}@[::1]6379", "DC161", "broken IPv6"),
        (f"redis://:{SECRET}@ca che", "DC161", "not a name"),
        (f"redis://:{SECRET}@ca%0Ache", "DC161", "not a name"),
        (f"redis://:{SECRET}%FF@cache", "DC161", "not UTF-8"),
        (f"redis://:{SECRET}\udc80@cache", "DC161", "not UTF-8"),
        (f"unix://{SECRET}", "DC161", "names no socket"),
        ("unix:///", "DC161", "names no socket"),
        (f"unix://{SECRET}/run/redis.sock", "DC161", "names no socket"),
        (f"memory://{SECRET}", "DC161", "names a place"),
        (f"redis://cache?{SECRET}!=1", "DC161", "without a valid name"),
        ("redis://cache?db=1&db=2", "DC161", "gives db twice"),
        (f"redis://cache?max_connections={SECRET}", "DC152", "max_connections"),
        ("redis://cache?max_connections=0", "DC152", "max_connections"),
        ("redis://cache?socket_timeout=0", "DC162", "socket_timeout"),
        ("redis://cache?socket_timeout=-1", "DC150", "socket_timeout"),
        ("redis://cache?retry_on_timeout=perhaps", "DC152", "retry_on_timeout"),
        ("redis://cache?protocol=4", "DC152", "protocol"),
        ("redis://cache?client_name=", "DC162", "client_name"),
        (f"rediss://cache?ssl_cert_reqs={SECRET}", "DC162", "ssl_cert_reqs"),
        ("rediss://cache?ssl_min_version=SSLv3", "DC162", "ssl_min_version"),
    ],
)
def test_what_cannot_be_right_is_refused_without_the_password(
    url: str, code: str, words: str
) -> None:
    error = refusal(url)
    assert error.code == code
    assert words in error.what


def test_the_nearest_scheme_is_named() -> None:
    assert refusal("reddis://x").help == "did you mean redis://?"
    assert refusal("qqq://x").help == "write redis://host:6379/0"


def test_a_url_that_is_no_text_is_refused() -> None:
    assert "of type bytes" in refusal(f"redis://:{SECRET}@cache".encode()).what


@pytest.mark.parametrize("password", [5, "", f"{SECRET}\ud800"])
def test_a_keyword_is_checked_as_the_url_is(password: object) -> None:
    refusal("redis://cache", password=password)


def test_a_keyword_with_a_percent_sign_is_taken_as_it_is() -> None:
    assert parse_url("redis://cache", password="a%40b").password == "a%40b"


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("redis://me:s3cr3t@cache/3?client_name=x", "redis://***@cache:6379/3"),
        ("redis://cache", "redis://cache:6379/0"),
        ("rediss://:s3cr3t@[::1]:6390", "rediss://***@[::1]:6390/0"),
        ("unix://me:s3cr3t@/run/redis.sock?db=2", "unix://***@/run/redis.sock?db=2"),
        ("redis://cache?password=s3cr3t", "redis://***@cache:6379/0"),
        ("redis://me@cache/3", "redis://me@cache:6379/3"),
        ("redis://cache?username=me", "redis://me@cache:6379/0"),
        ("memory://?max_entries=5", "memory://"),
        ("null://", "null://"),
    ],
)
def test_neither_repr_nor_safe_url_shows_a_password_or_who_has_it(url: str, safe: str) -> None:
    target = parse_url(url)
    assert target.safe_url == safe
    assert repr(target) == f"Target({safe!r})"
    assert f"{target} {target!s} {[target]}".count("***") in {0, 3}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("ssl_cert_reqs=none", "ssl_cert_reqs"),
        ("ssl_cert_reqs=optional&ssl_check_hostname=no", "ssl_cert_reqs"),
        ("ssl_check_hostname=no", "ssl_check_hostname"),
    ],
)
def test_tls_that_proves_nothing_is_a_warning(query: str, words: str) -> None:
    (warning,) = parse_url(f"rediss://cache?{query}").warnings
    assert words in warning


def test_a_user_without_a_password_is_a_warning_that_shows_neither() -> None:
    (warning,) = parse_url("redis://s3cr3t@cache").warnings
    assert "redis://:password@host" in warning
    assert "s3cr3t" not in warning
    for url in ("redis://me:pw@cache", "redis://:pw@cache", "redis://cache"):
        assert parse_url(url).warnings == ()
    assert parse_url("redis://me@cache", password="pw").warnings == ()


@pytest.mark.parametrize(
    "url", ["redis://cache/2?db=3", "redis://cache/2?db=2", "valkey://c/0?db=1"]
)
def test_a_database_that_is_named_twice_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="names the database twice") as caught:
        parse_url(url)
    assert caught.value.code == "DC161"


def test_a_keyword_goes_before_the_database_of_the_path() -> None:
    assert parse_url("redis://cache/2", db=3).db == 3
    assert parse_url("unix:///run/redis.sock?db=3").db == 3


def test_a_url_and_a_password_may_be_values_of_pydantic() -> None:
    url = pydantic.RedisDsn("redis://me:s3cr3t@cache/3")
    assert where(parse_url(url)) == ("cache", 6379, 3, "me", "s3cr3t")
    hidden = pydantic.SecretStr("redis://:s3cr3t@cache/3")
    assert where(parse_url(hidden)) == ("cache", 6379, 3, None, "s3cr3t")
    password = pydantic.SecretStr("s3cr3t")
    assert parse_url("redis://cache", password=password).password == "s3cr3t"


def test_a_call_may_take_four_times_as_long_as_the_server_may_be_silent() -> None:
    assert parse_url("redis://h?socket_timeout=0.5").longest_call == 2.0
    assert parse_url("redis://h?socket_timeout=0.5&call_timeout=0.75").longest_call == 0.75


@pytest.mark.parametrize(
    ("url", "scheme"),
    [("Redis://h", "redis"), (" memory:// ", "memory"), ("h:6379", "h:6379"), (None, ""), (5, "")],
)
def test_the_scheme_of_anything_can_be_asked_for_advice(url: object, scheme: str) -> None:
    assert scheme_of(url) == scheme


class PlainClient:
    def execute_command(self) -> None: ...


class AsyncClient:
    async def execute_command(self) -> None: ...


@pytest.mark.parametrize(
    ("client", "argument"), [(PlainClient(), "client"), (AsyncClient(), "async_client")]
)
def test_a_client_in_the_place_of_the_url_is_refused_with_its_argument(
    client: object, argument: str
) -> None:
    error = refusal(client)
    assert (error.code, error.help) == ("DC160", f"write Cache({argument}=…)")


def test_a_name_of_a_connection_that_servers_refuse_is_refused() -> None:
    error = refusal("redis://h?client_name=my%20app")
    assert error.code == "DC162"
    assert error.help == "write it as my-app"


@pytest.mark.parametrize(
    ("option", "scheme", "fix"),
    [
        ("ssl", "redis", "write rediss://, which means TLS"),
        ("ssl_certfile", "valkey", "write valkeys://, which means TLS"),
        ("tls", "rediss", "leave it out: rediss:// means TLS"),
    ],
)
def test_tls_is_said_by_the_scheme(option: str, scheme: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_tls_option(["db", option], scheme, owner="Cache()")
    assert (caught.value.code, caught.value.help) == ("DC151", fix)


def test_tls_as_it_should_be_is_no_warning() -> None:
    url = "rediss://cache?ssl_cert_reqs=required&ssl_check_hostname=yes"
    assert parse_url(url).warnings == ()


@given(st.text(max_size=60), st.sampled_from(["", "redis://", "rediss://", "unix://", "memory://"]))
def test_any_text_is_a_target_or_a_usage_error(text: str, scheme: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse_url(scheme + text).kind in {"redis", "memory", "null"}


def test_parsing_a_url_does_not_import_redis() -> None:
    code = (
        "import sys; from dualcache.options.target import parse_url; "
        "parse_url('redis://:a%40b@cache/1?socket_timeout=1'); "
        "assert not {'redis', 'asyncio', 'ssl'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class GivesCredentials:
    def get_credentials(self) -> tuple[str, str]:
        return "user", "password"


def test_a_provider_of_credentials_becomes_an_argument_of_the_connection() -> None:
    provider = GivesCredentials()
    target = with_provider(parse_url("redis://host"), provider)
    assert target.redis_arguments == {"credential_provider": provider}


def test_a_provider_of_the_sentinels_is_kept_apart() -> None:
    provider = GivesCredentials()
    url = "redis+sentinel://:secret@h:26379/m"
    target = with_sentinel_provider(parse_url(url), provider)
    assert (target.sentinel_provider, target.redis_arguments) == (provider, {})


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("redis://host", GivesCredentials()),
        ("redis+sentinel://h:26379/m", object()),
        ("redis+sentinel://h:26379/m?sentinel_password=secret", GivesCredentials()),
        ("redis+sentinel://h:26379/m?sentinel_username=user", GivesCredentials()),
    ],
)
def test_a_provider_that_no_sentinel_can_use_is_refused(url: str, provider: object) -> None:
    with pytest.raises(UsageError) as caught:
        with_sentinel_provider(parse_url(url), provider)
    assert caught.value.code == "DC319"
    assert "sentinel_credential_provider" in caught.value.what
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("redis://host", object()),
        ("redis://:secret@host", GivesCredentials()),
        ("redis://user@host", GivesCredentials()),
    ],
)
def test_a_provider_that_cannot_be_used_is_refused_without_a_secret(
    url: str, provider: object
) -> None:
    with pytest.raises(UsageError) as caught:
        with_provider(parse_url(url), provider)
    assert caught.value.code == "DC319"
    assert "secret" not in str(caught.value)
