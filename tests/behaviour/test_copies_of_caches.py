from __future__ import annotations

import copy
import pickle
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickle.dumps]


@dataclass
class Repository:
    cache: Any = field(default_factory=lambda: Cache("memory://"))


@pytest.mark.parametrize("way", WAYS)
def test_a_cache_is_neither_copied_nor_pickled(way: Callable[[Any], Any]) -> None:
    with Cache("memory://") as cache:
        for face in (cache, cache.aio):
            with pytest.raises(UsageError, match="neither copied nor pickled") as caught:
                way(face)
            assert caught.value.code == "DC180"


@pytest.mark.parametrize(
    "way",
    [
        copy.deepcopy,
        pickle.dumps,
        asdict,
        lambda held: pickle.dumps([held]),
        lambda held: pickle.dumps(partial(print, held)),
        lambda held: copy.deepcopy({"aio": held.cache.aio}),
    ],
)
def test_nor_is_what_holds_one(way: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="__getstate__"):
        way(Repository())


def test_a_shallow_copy_of_what_holds_one_shares_it() -> None:
    held = Repository()
    assert copy.copy(held).cache is held.cache
