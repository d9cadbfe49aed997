"""Two releases of a program side by side, whose types differ: each serves only what is its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from dualcache import Hit, Loaded, Miss, Unusable
from dualcache.codecs.compare import is_same
from dualcache.codecs.names import _foreign as foreign
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.colours import Colour
    from tests.servers import Server

IMPORTS: Final = """
from dataclasses import dataclass
from enum import Enum
from typing import TypedDict
from pydantic import BaseModel
"""
PAIRS: Final = {
    "a dataclass gains a field with a default": (
        ("@dataclass\nclass User:\n    name: str", "User", "User('ada')"),
        ("@dataclass\nclass User:\n    name: str\n    age: int = 0", "User", "User('ada', 36)"),
    ),
    "a dataclass gains a field without a default": (
        ("@dataclass\nclass User:\n    name: str", "User", "User('ada')"),
        ("@dataclass\nclass User:\n    name: str\n    age: int", "User", "User('ada', 36)"),
    ),
    "a dataclass loses a field": (
        ("@dataclass\nclass User:\n    name: str\n    age: int", "User", "User('ada', 36)"),
        ("@dataclass\nclass User:\n    name: str", "User", "User('ada')"),
    ),
    "a field with a default is renamed": (
        ("@dataclass\nclass User:\n    nick: str = ''", "User", "User('ada')"),
        ("@dataclass\nclass User:\n    name: str = ''", "User", "User('ada')"),
    ),
    "a model gains a field with a default": (
        ("class User(BaseModel):\n    name: str", "User", "User(name='ada')"),
        (
            "class User(BaseModel):\n    name: str\n    age: int = 0",
            "User",
            "User(name='ada', age=36)",
        ),
    ),
    "a field of a model changes from int to str": (
        ("class User(BaseModel):\n    id: int", "User", "User(id=1)"),
        ("class User(BaseModel):\n    id: str", "User", "User(id='1')"),
    ),
    "an enum loses a member that is stored": (
        ("class User(Enum):\n    ADA = 1\n    BOB = 2", "User", "User.ADA"),
        ("class User(Enum):\n    BOB = 2", "User", "User.BOB"),
    ),
    "int becomes float": (("", "int", "1"), ("", "float", "1.0")),
    "a dict becomes a TypedDict": (
        ("", "dict", "{'name': 'ada'}"),
        ("class User(TypedDict):\n    name: str", "User", "{'name': 'ada'}"),
    ),
}


class Colours(Enum):
    RED = 1


@dataclass
class Point:
    x: int
    rest: Any = None


class Release(NamedTuple):
    """One release of a program: its module, its cache, and what it has loaded."""

    module: ModuleType
    load: Any
    cache: Cache
    seen: Seen
    loads: list[Any]


@pytest.fixture
def modules() -> Iterator[list[str]]:
    """The names of the modules that a test makes."""
    names: list[str] = []
    yield names
    for name in names:
        sys.modules.pop(name, None)
    foreign.clear()


class Releases:
    """Makes releases that share a server, each a program of its own."""

    def __init__(self, colour: Colour, url: str, names: list[str]) -> None:
        self.colour = colour
        self.url = url
        self.names = names

    def make(self, source: str, annotation: str, value: str, **options: Any) -> Release:
        """Run a release of the program `release_N`."""
        module = ModuleType(f"release_{len(self.names)}")
        sys.modules[module.__name__] = module
        self.names.append(module.__name__)
        exec(IMPORTS + source, vars(module))
        cache = self.colour.cache(self.url, namespace="shop")
        loads: list[Any] = []

        def body(user_id: int) -> Any:
            loads.append(user_id)
            return eval(value, vars(module))

        if annotation:
            body.__annotations__["return"] = eval(annotation, vars(module))
        else:
            del body.__annotations__["return"]
        load = cache(key="user:{user_id}", **options)(self.colour.function(body))
        return Release(module, load, cache, Seen(cache), loads)

    def get(self, release: Release) -> Any:
        return self.colour.run(release.load, 1)


@pytest.fixture
def releases(colour: Colour, redis_server: Server, modules: list[str]) -> Releases:
    return Releases(colour, redis_server.url, modules)


@pytest.mark.parametrize("pair", list(PAIRS))
def test_each_release_serves_what_its_own_function_returned(releases: Releases, pair: str) -> None:
    old_parts, new_parts = PAIRS[pair]
    old, new = releases.make(*old_parts), releases.make(*new_parts)
    for _ in range(3):
        for release, parts in ((old, old_parts), (new, new_parts)):
            expected = eval(parts[2], vars(release.module))
            assert is_same(releases.get(release), expected)
    assert (len(old.loads), len(new.loads)) == (1, 1)
    assert [miss.reason for miss in new.seen.of(Miss)] == ["shape"]
    assert new.seen.count(Unusable) == old.seen.count(Unusable) == 0


CLASSES: Final = [name for name, (old, new) in PAIRS.items() if old[0] and new[0]]


@pytest.mark.parametrize("pair", CLASSES)
def test_releases_without_annotations_serve_what_their_own_functions_returned(
    releases: Releases, pair: str
) -> None:
    """A release cannot know that an entry is not its own before a load has shown its types."""
    old_parts, new_parts = [(source, "", value) for source, _, value in PAIRS[pair]]
    old, new = releases.make(*old_parts), releases.make(*new_parts)
    for _ in range(4):
        for release, parts in ((old, old_parts), (new, new_parts)):
            expected = eval(parts[2], vars(release.module))
            assert is_same(releases.get(release), expected)
    assert (len(old.loads), len(new.loads)) == (1, 2)
    assert [miss.reason for miss in new.seen.of(Miss)] == ["unknown_type", "shape"]
    assert new.seen.count(Unusable) == old.seen.count(Unusable) == 0


def test_a_class_that_changes_under_its_name_is_told_by_its_shape(
    colour: Colour, redis_server: Server, modules: list[str]
) -> None:
    """Two processes of two releases, one after the other: the module has one name in both."""
    old_parts, new_parts = PAIRS["a field with a default is renamed"]
    releases = Releases(colour, redis_server.url, modules)
    old = releases.make(old_parts[0], "", old_parts[2])
    assert is_same(releases.get(old), old.module.User("ada"))
    modules.clear()
    new = releases.make(new_parts[0], "", new_parts[2])
    for _ in range(3):
        assert is_same(releases.get(new), new.module.User("ada"))
    assert len(new.loads) == 2


def test_an_unannotated_function_that_returns_objects_is_cached(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, front=10)
    seen = Seen(cache)
    user = Point(1, [Point(2, Colours.RED)])

    def body() -> Any:
        return {"users": [user, {"first": user}]}

    del body.__annotations__["return"]
    load = cache(key="users")(colour.function(body))
    for _ in range(4):
        assert is_same(colour.run(load), {"users": [user, {"first": user}]})
    assert seen.count(Loaded) == 1
    assert is_same(colour.call(cache, "get", "users"), {"users": [user, {"first": user}]})


def test_a_class_that_moved_to_another_module_reads_what_was_stored(releases: Releases) -> None:
    parts = PAIRS["a dataclass loses a field"][0]
    old, new = releases.make(*parts), releases.make(*parts)
    releases.get(old)
    assert is_same(releases.get(new), new.module.User("ada", 36))
    assert (len(old.loads), len(new.loads)) == (1, 0)


@pytest.mark.parametrize("means", ["key", "pattern", "clear", "function", "own", "set"])
def test_whatever_ends_an_entry_ends_those_of_other_releases(
    releases: Releases, means: str
) -> None:
    """By either release: the entry that was first, and what lies beside it."""
    old_parts, new_parts = PAIRS["a dataclass gains a field with a default"]
    old, new = releases.make(*old_parts), releases.make(*new_parts)
    colour = releases.colour
    for times, (acting, other) in enumerate(((old, new), (new, old)), 1):
        for release in (old, new, old, new):
            releases.get(release)
        assert (len(old.loads), len(new.loads)) == (times, times)
        if means == "key":
            colour.call(acting.cache, "invalidate", "user:1")
        elif means == "pattern":
            colour.call(acting.cache, "invalidate", patterns=["user:*"])
        elif means == "clear":
            colour.call(acting.cache, "clear")
        elif means == "function":
            acting.load.cache_clear()
        elif means == "own":
            colour.run(acting.load.invalidate, 1)
        else:
            colour.call(acting.cache, "set", "user:1", "foreign")
            for release in (other, acting):
                assert releases.get(release).name == "ada"
            colour.call(acting.cache, "invalidate", "user:1")
            old.loads[times:] = []
            new.loads[times:] = []
            continue
        for release in (other, acting):
            assert releases.get(release).name == "ada"
        assert (len(old.loads), len(new.loads)) == (times + 1, times + 1)
        old.loads.pop()
        new.loads.pop()
        colour.call(acting.cache, "clear")


def test_three_releases_live_side_by_side(releases: Releases) -> None:
    base = "@dataclass\nclass User:\n    name: str"
    several = [
        releases.make(base, "User", "User('ada')"),
        releases.make(f"{base}\n    a: int = 0", "User", "User('ada', 1)"),
        releases.make(f"{base}\n    b: int = 0", "User", "User('ada', 2)"),
    ]
    for _ in range(3):
        for release in several:
            releases.get(release)
    assert [len(release.loads) for release in several] == [1, 1, 1]
    assert list(several[0].cache.keys("*")) == ["user:1"]


def test_a_refresh_replaces_only_what_its_release_has_stored(releases: Releases) -> None:
    old_parts, new_parts = PAIRS["a dataclass gains a field with a default"]
    old, new = releases.make(*old_parts), releases.make(*new_parts)
    for release in (old, new):
        releases.get(release)
    releases.colour.run(new.load.refresh, 1)
    for release in (old, new):
        releases.get(release)
    assert (len(old.loads), len(new.loads)) == (1, 2)
    assert releases.colour.run(new.load.peek, 1).value == new.module.User("ada", 36)


def test_what_another_release_stored_is_read_where_its_shape_is_not_checked(
    releases: Releases,
) -> None:
    old_parts, new_parts = PAIRS["a dataclass gains a field with a default"]
    old, new = releases.make(*old_parts), releases.make(*new_parts, shape_check=False)
    releases.get(old)
    assert releases.get(new) == new.module.User("ada", 0)
    assert new.seen.count(Hit) == 1


def test_a_key_that_is_spelled_like_one_beside_another_is_not_served_its_entry(
    releases: Releases, redis_server: Server
) -> None:
    old_parts, new_parts = PAIRS["a dataclass gains a field with a default"]
    old, new = releases.make(*old_parts), releases.make(*new_parts)
    for release in (old, new):
        releases.get(release)
    (name,) = redis_server.cli("KEYS", "shop:user:1~*")
    spelled = name.decode().removeprefix("shop:")
    assert releases.colour.call(new.cache, "get", spelled, type=new.module.User) is None
    assert releases.colour.call(new.cache, "get", spelled) is None


def test_what_was_set_without_a_type_is_served_where_it_is_a_value_of_the_type(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)

    def body(item: int) -> dict[str, int]:
        return {"loaded": item}

    load = cache(key="item:{item}")(colour.function(body))
    colour.call(cache, "set", "item:1", {"set": 1})
    assert colour.run(load, 1) == {"set": 1}
    colour.call(cache, "set", "item:2", {"set": "text"})
    assert colour.run(load, 2) == {"loaded": 2}
    assert colour.call(cache, "get", "item:2") == {"set": "text"}
    assert colour.call(cache, "get", "item:1", type=dict[str, float]) == {"set": 1.0}


def test_a_direct_read_may_leave_out_that_a_value_can_be_none(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)

    def body(item: int) -> tuple[int, ...] | None:
        return (item,)

    load = cache(key="item:{item}")(colour.function(body))
    colour.run(load, 1)
    for kind in (tuple[int, ...], tuple[int, ...] | None):
        assert colour.call(cache, "get", "item:1", type=kind) == (1,)
    assert colour.call(cache, "get", "item:1", type=tuple[float, ...]) is None
