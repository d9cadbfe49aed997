"""What a cache is told, and what it then is."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import Any

import pydantic
import pytest
import redis
import redis.asyncio

from dualcache import Cache, UsageError


def test_an_empty_mapping_of_settings_stands_for_the_environment_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DUALCACHE_NAMESPACE", "elsewhere")
    assert repr(Cache("memory://", settings={})) == "Cache('memory://', namespace='')"
    assert repr(Cache("memory://")) == "Cache('memory://', namespace='elsewhere')"


def test_objects_themselves_cannot_be_kept_on_a_server() -> None:
    with pytest.raises(UsageError) as caught:
        Cache("redis://localhost", codec="reference")
    assert caught.value.code == "DC178"
    cache = Cache("redis://localhost")
    with pytest.raises(UsageError) as caught:

        @cache(key="item:{item}", codec="reference")
        def load(item: int) -> list[int]:
            return [item]

    assert caught.value.code == "DC178"


def test_objects_themselves_are_kept_in_memory() -> None:
    cache = Cache("memory://", codec="reference")
    load = cache(key="item:{item}")(lambda item: [item])
    assert load(1) is load(1)


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("prefix", "namespace"), ("key_prefix", "namespace"),
        ("default_timeout", "ttl"), ("serializer", "codec"), ("host", "url"), ("timer", "clock"),
        ("maxsize", "max_entries"), ("max_size", "max_entries"),
        ("namspace", "namespace"), ("max_connection", "max_connections"),
    ],
)  # fmt: skip
def test_an_option_of_another_cache_is_refused_with_its_name_here(option: str, meant: str) -> None:
    options: dict[str, Any] = {option: "x"}
    with pytest.raises(UsageError, match=rf"Cache\(\) has no option {option}") as caught:
        Cache("memory://", **options)
    assert caught.value.help == f"did you mean {meant}?"


def test_a_bound_is_that_of_the_store_in_memory_and_of_the_front_tier_before_a_server() -> None:
    settings = {"DUALCACHE_URL": "redis://h"}
    for options, name in [({}, "max_entries"), ({"settings": settings}, "front")]:
        given: dict[str, Any] = {"settings": {}, **options, "maxsize": 10}
        with pytest.raises(UsageError) as caught:
            Cache(**given)
        assert caught.value.help == f"did you mean {name}?"


@pytest.mark.parametrize(
    ("url", "options", "fix"),
    [
        ("redis://h", {"ssl": True}, "write rediss://, which means TLS"),
        ("redis://h", {"ssl_ca_certs": "ca.pem"}, "write rediss://, which means TLS"),
        ("redis://h", {"ssl_ca_cert": "ca.pem"}, "write rediss://, which means TLS"),
        ("redis://h?ssl=true", {}, "write rediss://, which means TLS"),
        ("redis://h?ssl_cert_reqs=none", {}, "write rediss://, which means TLS"),
        ("valkey://h", {"tls": True}, "write valkeys://, which means TLS"),
        ("rediss://h", {"ssl": True}, "leave it out: rediss:// means TLS"),
        ("rediss://h", {"ssl_ca_cert": "ca.pem"}, "did you mean ssl_ca_certs?"),
    ],
)
def test_tls_is_a_matter_of_the_scheme(url: str, options: dict[str, Any], fix: str) -> None:
    with pytest.raises(UsageError, match=r"has no option (ssl|tls)") as caught:
        Cache(url, **options)
    assert (caught.value.code, caught.value.help) == ("DC151", fix)


@pytest.mark.parametrize(
    ("client", "fix"),
    [
        (redis.Redis(), "write Cache(client=…)"),
        (redis.asyncio.Redis(), "write Cache(async_client=…)"),
        (7, "write redis://localhost"),
    ],
)
def test_a_client_in_the_place_of_the_url_is_told_its_option(client: Any, fix: str) -> None:
    with pytest.raises(UsageError, match="not text") as caught:
        Cache(client)
    assert (caught.value.code, caught.value.help) == ("DC160", fix)


def test_settings_may_be_an_object_and_a_secret_may_be_hidden() -> None:
    settings = SimpleNamespace(REDIS_CACHE_HOST="cache", REDIS_CACHE_PORT=7)
    with Cache(settings=settings, secret=pydantic.SecretStr("hush")) as cache:
        assert "redis://cache:7/0" in repr(cache)
    hidden: list[Any] = [pydantic.SecretStr("new"), pydantic.SecretBytes(b"old"), "older"]
    with Cache("memory://", secret=hidden, codec="pickle") as cache:
        cache.set("k", {1: 2})
        assert cache.get("k") == {1: 2}
    with pytest.raises(UsageError, match="a secret is empty"):
        Cache("memory://", secret=pydantic.SecretStr(""))
    with pytest.raises(UsageError, match="neither text nor bytes"):
        Cache("memory://", secret=5)  # type: ignore[arg-type]


def without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out of the environment whatever says, or may say, where a cache lives."""
    for name in os.environ:
        if name.startswith(("DUALCACHE_", "REDIS_", "VALKEY_", "CACHE_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ["REDIS_URL", "VALKEY_URL", "CACHE_URL"])
def test_an_address_under_a_name_that_is_not_read_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    without_an_address(monkeypatch)
    monkeypatch.setenv(name, "redis://:hush@elsewhere")
    with caplog.at_level("WARNING", "dualcache"):
        Cache().close()
    (line,) = caplog.records
    told = f"dualcache: {name} is set, but not read; did you mean DUALCACHE_URL?"
    assert line.getMessage() == told


@pytest.mark.parametrize(
    ("variables", "given"),
    [
        ({"CACHE_URL": "https://cdn.example.org"}, {}),
        ({"REDIS_URL": ""}, {}),
        ({"REDIS_URL": "redis://elsewhere"}, {"url": "memory://"}),
        ({"REDIS_URL": "redis://elsewhere"}, {"settings": {}}),
        ({"REDIS_URL": "redis://elsewhere"}, {"client": redis.Redis()}),
        ({"REDIS_URL": "redis://elsewhere", "DUALCACHE_URL": "memory://"}, {}),
    ],
)
def test_an_address_elsewhere_is_no_warning_where_the_cache_has_one(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    variables: dict[str, str],
    given: dict[str, Any],
) -> None:
    without_an_address(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level("WARNING", "dualcache"):
        Cache(**given).close()
    assert caplog.records == []


@pytest.mark.parametrize(("workers", "level"), [("4", "WARNING"), ("1", "INFO")])
def test_private_memory_in_several_workers_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, workers: str, level: str
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    without_an_address(monkeypatch)
    with caplog.at_level("INFO", "dualcache"):
        Cache().close()
    (line,) = caplog.records
    assert line.levelname == level
    assert "no URL is configured" in line.getMessage()


@pytest.mark.parametrize("workers", ["4", "1"])
def test_a_cache_that_is_switched_off_is_not_said_to_be_in_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, workers: str
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", workers)
    without_an_address(monkeypatch)
    monkeypatch.setenv("DUALCACHE_ENABLED", "false")
    with caplog.at_level("INFO", "dualcache"):
        Cache().close()
    assert caplog.records == []


def test_a_cache_that_does_not_see_the_time_a_test_moves_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    frozen = SimpleNamespace(freeze_factories=[object()])
    monkeypatch.setitem(sys.modules, "freezegun.api", frozen)
    with Cache("memory://", clock=lambda: 0.0) as seeing, Cache("memory://") as cache:
        seeing(name="seeing")(lambda: 1)()
        for name in ("one", "other"):
            assert cache(name=name)(lambda: 1)() == 1
    (line,) = caplog.records
    assert "freezegun moves the time" in line.getMessage()
    assert "clock=lambda: time.time()" in line.getMessage()
