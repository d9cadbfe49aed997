"""What a cache is told, and what it then is."""

from __future__ import annotations

import pytest

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
