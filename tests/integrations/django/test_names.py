"""Prefixes, versions and functions of keys; what `clear` reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache import UsageError

if TYPE_CHECKING:
    from tests.integrations.django.project import Face, Project


def made_key(key: str, key_prefix: str, version: Any) -> str:
    return f"CUSTOM-{key_prefix}-{version}-{key}"


MADE_KEY = f"{__name__}.made_key"


@pytest.fixture
def several(project: Project) -> dict[str, Face]:
    project.use(
        prefix=project.entry(KEY_PREFIX="shop"),
        v2=project.entry(VERSION=2),
        function=project.entry(KEY_FUNCTION=made_key),
        path=project.entry(KEY_FUNCTION=MADE_KEY),
    )
    return {name: project.face(name) for name in ("default", "prefix", "v2", "function", "path")}


def test_prefix_version_and_function_make_other_keys(several: dict[str, Face]) -> None:
    for name, cache in several.items():
        cache.set("key", name)
    found = {name: cache.get("key") for name, cache in several.items()}
    # The same function, as an object and by its path.
    assert found == {**{name: name for name in several}, "function": "path"}
    assert several["default"].get("key", version=2) == "v2"
    assert several["v2"].get("key", version=1) == "default"
    names = {*several["default"].dualcache.keys()}
    assert names == {":1:key", "shop:1:key", ":2:key", "CUSTOM--1-key"}


def test_all_of_them_share_one_cache(several: dict[str, Face]) -> None:
    assert len({id(cache.dualcache) for cache in several.values()}) == 1


def test_every_method_knows_the_version(several: dict[str, Face]) -> None:
    cache = several["default"]
    cache.set("n", 1, version=7)
    assert cache.get("n") is None
    assert cache.has_key("n", version=7) is True
    assert cache.add("n", 2, version=7) is False
    assert cache.incr("n", version=7) == 2
    assert cache.decr("n", version=7) == 1
    assert cache.touch("n", version=7) is True
    assert cache.get_or_set("n", 5, version=7) == 1
    assert cache.get_many(["n"], version=7) == {"n": 1}
    assert cache.set_many({"m": 3}, version=7) == []
    assert cache.incr_version("n", version=7) == 8
    assert cache.get("n", version=8) == 1
    assert cache.decr_version("n", 2, version=8) == 6
    cache.delete_many(["m"], version=7)
    assert cache.has_key("m", version=7) is False
    assert cache.delete("n", version=6) is True


def test_clear_empties_the_namespace_and_nothing_beside_it(project: Project) -> None:
    cache = project.use(
        v2=project.entry(VERSION=2),
        elsewhere=project.entry(options={"namespace": "elsewhere"}),
    )
    elsewhere, v2 = project.face("elsewhere"), project.face("v2")
    for each in (cache, v2, elsewhere):
        each.set("key", 1)
    assert cache.clear() is None
    assert (cache.get("key"), v2.get("key"), elsewhere.get("key")) == (None, None, 1)


def test_without_a_namespace_clear_is_refused(project: Project) -> None:
    cache = project.use(default=project.entry(options={"namespace": ""}))
    with pytest.raises(UsageError) as caught:
        cache.clear()
    assert caught.value.code == "DC156"
