"""Values of types beside the builtin ones, in functions without an annotation and in models."""

from __future__ import annotations

import enum
import ipaddress
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import pydantic
import pytest
from markupsafe import Markup

from dualcache import MISSING, Loaded, Miss, NotStored, UnencodableValue, Unusable
from dualcache.codecs import subclasses
from dualcache.codecs.compare import is_same
from tests.behaviour.seen import Seen

if TYPE_CHECKING:
    from tests.colours import Colour


T = TypeVar("T")


class Slug(str):
    __slots__ = ()


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Answer(Generic[T]):
    value: T


class Page(pydantic.BaseModel):
    path: Path
    addresses: list[ipaddress.IPv4Address]


ROWS: Final[list[dict[Any, Any]]] = [
    {
        "title": Markup("<b>one</b>"),
        "slug": Slug("one"),
        "words": Counter("one"),
        "parts": OrderedDict(b=1, a=2),
        "groups": defaultdict(list, a=[1]),
        "last": deque([1, 2], maxlen=2),
        "path": Path("a/b"),
        "rights": Right.READ | Right.WRITE,
        "answer": Answer[int](1),
        ipaddress.ip_address("10.0.0.1"): ipaddress.ip_network("10.0.0.0/8"),
    }
]


@pytest.mark.parametrize("annotation", [MISSING, list, list[dict[Any, Any]]])
def test_a_result_that_holds_them_is_cached_whole(
    colour: Colour, backend_url: str, annotation: Any
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)

    def body() -> Any:
        return ROWS

    if annotation is MISSING:
        del body.__annotations__["return"]
    else:
        body.__annotations__["return"] = annotation
    load = cache(key="k")(colour.function(body))
    for _ in range(3):
        assert is_same(colour.run(load), ROWS)
    assert seen.count(Loaded) == 1
    assert is_same(colour.call(cache, "get", "k"), ROWS)


def test_a_model_that_holds_them_is_cached(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    page = Page(path=Path("a"), addresses=[ipaddress.IPv4Address("10.0.0.1")])

    def body() -> Page:
        return page

    load = cache(key="k")(colour.function(body))
    for _ in range(2):
        assert is_same(colour.run(load), page)
    assert seen.count(Loaded) == 1


def test_what_this_process_has_not_learned_is_a_miss_until_it_is_loaded_once(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    load = cache(key="k:{number}")(colour.function(lambda number: [Slug(f"s{number}")]))
    for number in (1, 2):
        colour.run(load, number)
    subclasses._learned.clear()  # as in a process that has just started
    assert colour.call(cache, "get", "k:1", MISSING) is MISSING
    assert colour.call(cache, "contains", "k:1") is True
    assert colour.call(cache, "peek", "k:1").value is MISSING
    assert [event.reason for event in seen.of(Miss)][-1] == "unknown_type"
    assert is_same(colour.run(load, 1), [Slug("s1")])
    assert [event.outcome for event in seen.of(Loaded)] == ["stored"] * 3
    assert is_same(colour.run(load, 2), [Slug("s2")])  # learned with the first
    assert is_same(colour.call(cache, "get", "k:1"), [Slug("s1")])
    assert seen.count(Loaded) == 3
    assert seen.count(Unusable) == 0


def test_a_type_that_a_reader_gives_is_learned(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    colour.call(cache, "set", "k", [Slug("a")])
    subclasses._learned.clear()
    assert colour.call(cache, "get", "k") is None
    assert is_same(colour.call(cache, "get", "k", type=list[Slug]), [Slug("a")])


class Sort:
    """A class of the user's, of which nothing is known."""


def test_what_is_not_stored_is_told_with_its_place_and_a_line_that_works(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    load = cache(key="k")(colour.function(lambda: [1, 2, {"owner": Sort()}]))
    colour.run(load)
    (told,) = seen.of(NotStored)
    assert told.reason.startswith(f'result[2]["owner"]: a value of type {__name__}.Sort')
    offer = "reference" if backend_url == "memory://" else "pickle"
    assert f'codec="{offer}"' in told.help


def test_what_a_set_does_not_store_is_told_without_a_function_to_annotate(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    with pytest.raises(UnencodableValue) as caught:
        colour.call(cache, "set", "k", [Page(path=Path("a"), addresses=[]), Sort()])
    assert caught.value.what.startswith(f"value[1]: a value of type {__name__}.Sort")
    assert "annotate" not in caught.value.help
    pages = [Page(path=Path("a"), addresses=[])]
    loader = colour.function(lambda: pages)
    for _ in range(2):
        assert colour.call(cache, "get_or_load", "k", loader, type=list[Page]) == pages
    assert colour.call(cache, "get", "k", type=list[Page]) == pages
