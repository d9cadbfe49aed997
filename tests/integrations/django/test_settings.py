"""What `CACHES` may say, and the system checks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import caches
from django.core.checks import run_checks
from django.test import override_settings

from dualcache import Cache, FrontTier, UsageError
from dualcache.integrations.django import DualCache, dualcache_of, shared
from tests.integrations.django.project import BACKEND
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    for _, cache in shared._made:
        cache.close()
    shared._made.clear()


def entry(location: Any = "memory://", **options: Any) -> dict[str, Any]:
    return {"BACKEND": BACKEND, "LOCATION": location, "OPTIONS": options}


def settings_with(**entries: dict[str, Any]) -> Any:
    return override_settings(CACHES={"default": entry(), **entries})


def test_options_are_those_of_a_cache(redis_server: Server) -> None:
    options = {"namespace": "shop", "front": FrontTier(max_entries=10)}
    with settings_with(default=entry([patient(redis_server.url)], **options)):
        caches["default"].set("key", 1)
        assert caches["default"].get("key") == 1
        assert redis_server.client().exists("shop::1:key")
        assert dualcache_of().stats().front is not None


@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [
        ({"CLIENT_CLASS": "django_redis.client.DefaultClient"}, "DC440", "leave it out"),
        ({"SOCKET_TIMEOUT": 1}, "DC440", 'write "socket_timeout"'),
        ({"serializer": "x"}, "DC440", '"codec"'),
        ({"MAX_ENTRIES": 10}, "DC440", '"front"'),
        ({"url": "memory://"}, "DC440", "LOCATION"),
        ({"sockettimeout": 1}, "DC151", "socket_timeout"),
        ({"namespace": "a b"}, "DC153", ""),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], code: str, advice: str
) -> None:
    with settings_with(default=entry(**options)), pytest.raises(UsageError) as caught:
        caches["default"].get("key")
    assert caught.value.code == code
    assert advice in caught.value.help


@pytest.mark.parametrize(
    "location",
    [
        ["redis://a", "redis://b"],
        "redis://a,redis://b",
        "redis://a; rediss://b",
    ],
)
def test_one_server_only(location: Any) -> None:
    with settings_with(default=entry(location)), pytest.raises(UsageError) as caught:
        caches["default"].get("key")
    assert caught.value.code == "DC441"


def test_sentinels_are_one_place() -> None:
    with settings_with(default=entry("redis+sentinel://h1:1,h2:2/mymaster")):
        assert "sentinel" in repr(dualcache_of())


def test_without_a_location_the_environment_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALCACHE_URL", "null://")
    with settings_with(default=entry("")):
        assert dualcache_of().stats().backend == "null://"


def test_threads_share_one_cache_and_aliases_with_other_options_do_not() -> None:
    with settings_with(same=entry(), other=entry(namespace="other")):
        found = [caches["default"].dualcache]

        def look() -> None:
            found.append(caches["default"].dualcache)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {*map(id, found)} == {id(dualcache_of("same"))}
        assert dualcache_of("other") is not dualcache_of("same")


def test_another_backend_has_no_dualcache() -> None:
    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    with settings_with(other=other), pytest.raises(UsageError) as caught:
        dualcache_of("other")
    assert caught.value.code == "DC443"


class Planted:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled",))


def test_what_another_secret_key_has_signed_is_never_unpickled(redis_server: Server) -> None:
    url = patient(redis_server.url)
    with override_settings(SECRET_KEY="of an attacker"), settings_with(default=entry(url)):
        caches["default"].set("key", Planted())
    with settings_with(default=entry(url)):
        assert caches["default"].get("key", "default") == "default"


def test_secret_keys_are_rotated_by_fallbacks(redis_server: Server) -> None:
    def backend(key: str, *fallbacks: str) -> Any:
        with override_settings(SECRET_KEY=key, SECRET_KEY_FALLBACKS=[*fallbacks]):
            made = DualCache(patient(redis_server.url), {})
            assert made.dualcache.ping()
        return made

    backend("the old one").set("key", {1: DualCache})
    assert backend("the new one", "the old one").get("key") == {1: DualCache}
    assert backend("the new one").get("key") is None


def test_codec_and_secret_may_be_written() -> None:
    with settings_with(
        safe=entry(codec=None), own=entry(secret="s" * 40), json=entry(codec="json")
    ):
        with pytest.raises(TypeError):
            caches["safe"].set("key", DualCache)
        caches["own"].set("key", DualCache)
        assert caches["own"].get("key") is DualCache
        caches["json"].set("key", [1])
        assert caches["json"].get("key") == [1]


def ids(**settings: Any) -> list[str]:
    with override_settings(**settings):
        found = run_checks(tags=["caches"])
    return [message.id for message in found if message.id.startswith("dualcache.")]


def test_checks_tell_of_entries_that_cannot_be() -> None:
    broken = entry("redis://localhost", sockettimeout=1)
    assert ids(CACHES={"default": entry("redis://localhost")}) == []
    assert ids(CACHES={"default": broken, "other": entry("nosuch://")}) == ["dualcache.E001"] * 2


def test_checks_warn_of_a_cache_per_process_in_production() -> None:
    other = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    assert ids(CACHES={"default": entry(), "other": other}, DEBUG=False) == ["dualcache.W001"]
    assert ids(CACHES={"default": entry()}, DEBUG=True) == []


def test_checks_tell_of_sessions_that_are_stored_nowhere() -> None:
    engine = "django.contrib.sessions.backends.cache"
    nowhere = {"default": entry("null://")}
    assert ids(CACHES=nowhere, SESSION_ENGINE=engine) == ["dualcache.E002"]
    assert ids(CACHES=nowhere) == []


def test_a_backend_of_ones_own_is_checked_as_well() -> None:
    class Own(DualCache):
        pass

    own = {**entry(sockettimeout=1), "BACKEND": f"{__name__}.Own"}
    globals()["Own"] = Own
    assert ids(CACHES={"default": own}) == ["dualcache.E001"]


def test_a_cache_is_closed_where_a_test_overrides_the_setting(redis_server: Server) -> None:
    with settings_with(default=entry(patient(redis_server.url))):
        caches["default"].set("key", 1)
        made = dualcache_of()
    assert isinstance(made, Cache)
    assert made.get(":1:key") == 1  # and opens again
