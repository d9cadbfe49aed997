"""Negative entries: exceptions that are answers are remembered, and raised by hits."""

from __future__ import annotations

import gc
import traceback
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from starlette.exceptions import HTTPException

from dualcache import MISSING, Coalesced, Differed, Hit, LoadFailed, Miss, NotStored, UsageError
from dualcache.engine import verify
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock
from tests.front.tiers import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.colours import Colour

FRONTS = pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
SPELLINGS = pytest.mark.parametrize("spelling", ["decorated", "endpoint", "memoized", "direct"])


class NoSuchRow(Exception):
    pass


class Deleted(NoSuchRow):
    pass


class Coded(Exception):
    """Its parameters are not its `args`."""

    def __init__(self, *, code: int, hint: str = "") -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code
        self.hint = hint


@dataclass
class Absent(Exception):
    row: int


@dataclass(frozen=True)
class Frozen(Exception):
    row: int


class Source:
    """Raises, or gives a value; counts how often it is asked."""

    def __init__(self, error: Any = NoSuchRow) -> None:
        self.error = error
        self.loads = 0

    def read(self) -> Any:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return "value"

    def loaded_by(
        self, spelling: str, colour: Colour, cache: Cache, **options: Any
    ) -> Callable[[], Any]:
        def read() -> Any:
            return self.read()

        body = colour.function(read)
        options = {"cache_exceptions": NoSuchRow, "negative_ttl": 10, "jitter": 0, **options}
        if spelling == "direct":
            return lambda: colour.face(cache).get_or_load("k", body, **options)
        if spelling == "endpoint":
            return cache(key_prefix="k", **options)(body)
        decorate: Any = cache.memoize if spelling == "memoized" else cache
        function: Callable[[], Any] = (
            decorate(body, key="k", **options)
            if spelling == "memoized"
            else decorate(key="k", **options)(body)
        )
        return function


def raised(colour: Colour, load: Callable[[], Any]) -> BaseException:
    error = colour.start(load).error()
    assert error is not None
    return error


# A hit


@FRONTS
@SPELLINGS
def test_an_answer_is_remembered_for_its_own_time(
    colour: Colour, backend_url: str, spelling: str, front: int | None
) -> None:
    clock = Clock()
    cache = colour.cache(backend_url, clock=clock, front=front)
    source = Source(NoSuchRow("row", 7))
    load = source.loaded_by(spelling, colour, cache, ttl=1000)
    errors = [raised(colour, load) for _ in range(3)]
    assert source.loads == 1
    assert [(type(each), each.args) for each in errors] == [(NoSuchRow, ("row", 7))] * 3
    assert len({id(each) for each in errors}) == 3  # each caller has its own
    key = "k:global" if spelling == "endpoint" else "k"
    left = colour.call(cache, "ttl", key)
    assert 9 < left <= 10
    if backend_url.startswith("memory"):  # a server's expiry is its own
        clock.advance(11)
        source.error = None
        assert colour.start(load).result() == "value"
        assert source.loads == 2


NOTED = NoSuchRow("noted")
NOTED.add_note("asked at noon")
EXCEPTIONS: list[Exception] = [
    NoSuchRow(),
    NoSuchRow("text", 1, None, (2, [3.5])),
    KeyError("name"),
    Coded(code=404, hint="gone"),
    Absent(7),
    Absent(row=7),
    Frozen(7),
    FileNotFoundError(2, "No such file", "/tmp/x"),
    TimeoutError("slow"),
    ImportError("no", name="module", path="/x"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
    HTTPException(status_code=404, detail="no such post", headers={"X-Why": "gone"}),
    NOTED,
]


@pytest.mark.parametrize("error", EXCEPTIONS, ids=repr)
def test_a_hit_raises_an_equal_exception_of_the_same_type(
    colour: Colour, backend_url: str, error: Exception
) -> None:
    cache = colour.cache(backend_url)
    source = Source(error)
    load = source.loaded_by("decorated", colour, cache, cache_exceptions=(type(error), OSError))
    raised(colour, load)
    hit = raised(colour, load)
    assert source.loads == 1
    assert hit is not error
    assert (type(hit), hit.args, vars(hit)) == (type(error), error.args, vars(error))
    assert str(hit) == str(error)


@FRONTS
def test_a_hit_counts_and_is_told_as_negative(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    cache, source = colour.cache(backend_url, front=front), Source()
    seen = Seen(cache)
    load: Any = source.loaded_by("decorated", colour, cache)
    for _ in range(3):
        raised(colour, load)
    info, stats = load.cache_info(), cache.stats()
    assert (info.hits, info.misses) == (2, 1)
    assert (stats.hits, stats.negative_hits, stats.misses, stats.loads) == (2, 2, 1, 1)
    assert stats.templates["k"].negative_hits == 2
    tier: Any = "redis" if backend_url.startswith("redis") else "memory"
    assert [(each.tier, each.negative) for each in seen.of(Hit)] == [(tier, True)] * 2
    assert [(each.error, each.negative) for each in seen.of(LoadFailed)] == [("NoSuchRow", True)]


def test_the_traceback_of_a_hit_begins_with_its_caller_and_does_not_grow(
    colour: Colour, backend_url: str
) -> None:
    cache, source = colour.cache(backend_url), Source()
    load = source.loaded_by("decorated", colour, cache)
    raised(colour, load)
    depths = []
    for _ in range(5):
        hit = raised(colour, load)
        frames = traceback.extract_tb(hit.__traceback__)
        assert "read" not in [frame.name for frame in frames]
        depths.append(len(frames))
        assert hit.__context__ is None
        assert hit.__cause__ is None
    assert len(set(depths)) == 1


def test_a_hit_leaves_no_cycle_behind(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()
    load = source.loaded_by("decorated", colour, cache)
    raised(colour, load)
    left: list[Any] = []

    async def caller() -> None:
        try:
            result = load()
            if colour.is_async:
                await result
        except NoSuchRow as error:
            left.append(weakref.ref(error))

    if not colour.is_async:
        with pytest.raises(StopIteration):
            caller().send(None)
    else:
        colour.run(caller)
    gc.collect()
    gc.disable()
    try:
        if not colour.is_async:
            with pytest.raises(StopIteration):
                caller().send(None)
        else:
            colour.run(caller)
        assert left.pop()() is None
    finally:
        gc.enable()


def test_callers_who_wait_get_the_leaders_own_exception(colour: Colour, backend_url: str) -> None:
    cache, gate = colour.cache(backend_url), colour.gate()
    seen, loads = Seen(cache), [0]

    async def body() -> str:
        loads[0] += 1
        await gate.passed()
        raise NoSuchRow("one")

    load = cache(key="k", cache_exceptions=NoSuchRow, negative_ttl=10)(colour.function(body))
    first = colour.start(load)
    gate.wait_until_entered()
    others = [colour.start(load) for _ in range(4)]
    gate.open()
    errors = [each.error() for each in (first, *others)]
    assert loads == [1]
    assert {type(each) for each in errors} == {NoSuchRow}
    assert raised(colour, load) not in errors
    assert seen.count(Coalesced) <= 4


def test_the_other_colour_raises_it_too(backend_url: str, threads: Any, tasks: Any) -> None:
    cache = threads.cache(backend_url, namespace="both")
    source = Source(NoSuchRow(1))
    with pytest.raises(NoSuchRow):
        source.loaded_by("direct", threads, cache)()
    assert type(raised(tasks, source.loaded_by("direct", tasks, cache))) is NoSuchRow
    assert source.loads == 1
    tasks.run(cache.aclose)


# What is done with the entry


@FRONTS
@pytest.mark.parametrize("way", ["key", "tag", "pattern", "handle", "clear", "expire", "function"])
def test_whatever_invalidates_an_entry_ends_it(
    colour: Colour, backend_url: str, way: str, front: int | None
) -> None:
    cache, source = colour.cache(backend_url, namespace="n", front=front), Source()
    load: Any = source.loaded_by(
        "decorated", colour, cache, tags=["t"], stale_if_error=100, stale_while_revalidate=100
    )
    raised(colour, load)
    match way:
        case "key":
            colour.call(cache, "invalidate", "k")
        case "tag":
            colour.call(cache, "invalidate", tags=["t"])
        case "pattern":
            colour.call(cache, "invalidate", patterns=["k*"])
        case "handle":
            colour.run(load.invalidate)
        case "clear":
            colour.call(cache, "clear")
        case "expire":
            assert colour.call(cache, "expire", "k").expired == 0
        case _:
            load.cache_clear()
    source.error = None
    assert colour.run(load) == "value"


@FRONTS
def test_it_has_no_value(colour: Colour, backend_url: str, front: int | None) -> None:
    cache = colour.cache(backend_url, front=front)
    load: Any = Source(NoSuchRow(7)).loaded_by("decorated", colour, cache, tags=["t"])
    raised(colour, load)
    assert colour.call(cache, "get", "k", MISSING) is MISSING
    assert colour.call(cache, "get", "k", type=str) is None
    assert colour.call(cache, "get_many", ["k"]) == {}
    assert colour.call(cache, "contains", "k") is False
    assert colour.call(cache, "touch", "k", ttl=1000) is False
    left = colour.call(cache, "ttl", "k")
    assert 9 < left <= 10


def test_a_peek_shows_it(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load: Any = Source(NoSuchRow(7)).loaded_by("decorated", colour, cache, tags=["t"])
    raised(colour, load)
    own, direct = colour.run(load.peek), colour.call(cache, "peek", "k")
    for entry in (own, direct):
        assert (entry.value, entry.negative, entry.stale, entry.tags) == (
            MISSING,
            True,
            False,
            ("t",),
        )
        assert 9 < entry.ttl <= 10
    assert (type(own.error), own.error.args) == (NoSuchRow, (7,))
    assert direct.error is None  # this reader lists no type
    colour.run(load.store, "value")
    assert (colour.run(load.peek).negative, colour.run(load.peek).error) == (False, None)


def test_a_store_an_add_and_a_count_take_its_place(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load: Any = Source().loaded_by("decorated", colour, cache)
    raised(colour, load)
    assert colour.call(cache, "set", "k", "set")
    assert colour.run(load) == "set"
    colour.run(load.invalidate)
    raised(colour, load)
    assert colour.call(cache, "add", "k", "added") is True
    assert colour.run(load) == "added"
    colour.run(load.invalidate)
    raised(colour, load)
    assert colour.call(cache, "incr", "k") == 1


def test_a_refresh_replaces_a_value_by_an_answer_and_back(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source(None)
    load: Any = source.loaded_by("decorated", colour, cache)
    assert colour.run(load) == "value"
    source.error = NoSuchRow
    assert type(raised(colour, load.refresh)) is NoSuchRow
    assert type(raised(colour, load)) is NoSuchRow
    assert source.loads == 2
    source.error = None
    assert colour.run(load.refresh) == "value"
    assert (colour.run(load), source.loads) == ("value", 3)


def test_warming_takes_it_for_fresh_only_where_it_is_an_answer(
    colour: Colour, backend_url: str
) -> None:
    cache, source = colour.cache(backend_url), Source()
    load: Any = source.loaded_by("decorated", colour, cache)
    first = colour.run(load.warm, [()])
    assert (first.failed, [type(error) for _, error in first.errors]) == (1, [NoSuchRow])
    assert colour.run(load.warm, [()]).fresh == 1
    other: Any = cache(key="k")(colour.function(lambda: "other"))
    assert colour.run(other.warm, [()]).loaded == 1


def test_a_head_request_is_answered_by_it(colour: Colour, backend_url: str) -> None:
    class Request:
        url = headers = query_params = path_params = None

        def __init__(self, method: str) -> None:
            self.method = method

    cache, loads = colour.cache(backend_url), [0]

    def read(request: Request, post_id: int) -> Any:
        loads[0] += 1
        raise HTTPException(404, detail="no such post")

    load = cache(key_prefix="post", query=False, cache_exceptions=HTTPException, negative_ttl=10)(
        colour.function(read)
    )
    for method in ("GET", "HEAD", "GET"):
        error: Any = raised(colour, partial(load, Request(method), 7))
        assert (type(error), error.detail) == (HTTPException, "no such post")
    assert loads == [1]


def test_nothing_is_remembered_where_nothing_is_stored(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()
    for options in ({"ttl": 0}, {"negative_ttl": 0}):
        load = source.loaded_by("decorated", colour, cache, **options)
        raised(colour, load)
        raised(colour, load)
    assert source.loads == 4
    load = source.loaded_by("decorated", colour, cache)
    with cache.disabled():
        assert type(raised(colour, load)) is NoSuchRow
    assert colour.call(cache, "peek", "k") is None
    colour.call(cache, "invalidate", "k", hold=30)
    raised(colour, load)
    raised(colour, load)
    assert source.loads == 7


def test_callables_of_a_result_are_not_asked(colour: Colour, backend_url: str) -> None:
    cache, asked = colour.cache(backend_url), list[Any]()
    source = Source()
    of_result: dict[str, Any] = dict.fromkeys(("condition", "ttl", "tags"), asked.append)
    load = source.loaded_by("decorated", colour, cache, **of_result)
    raised(colour, load)
    raised(colour, load)
    assert (source.loads, asked) == (1, [])


def test_jitter_shortens_its_time(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    load: Any = Source().loaded_by("decorated", colour, cache, jitter=1, negative_ttl=1000)
    left = set()
    for _ in range(8):
        raised(colour, load)
        left.add(round(colour.run(load.peek).ttl))
        colour.run(load.invalidate)
    assert len(left) > 1


def test_a_function_and_its_entry_may_be_of_other_types(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()

    async def text() -> str:
        return str(source.read())

    async def number() -> int:
        source.read()
        return 1

    options: dict[str, Any] = {"key": "k", "cache_exceptions": NoSuchRow, "negative_ttl": 10}
    loads = [cache(**options)(colour.function(body)) for body in (text, number)]
    assert [type(raised(colour, load)) for load in loads] == [NoSuchRow] * 2
    assert source.loads == 1


# With stale values


STALE: dict[str, Any] = {"ttl": 10, "stale_if_error": 1000}


def test_an_answer_is_no_failure_so_no_stale_value_stands_in(
    colour: Colour, backend_url: str
) -> None:
    clock = Clock()
    cache, source = colour.cache(backend_url, clock=clock), Source(None)
    load: Any = source.loaded_by("decorated", colour, cache, negative_ttl=100, **STALE)
    assert colour.run(load) == "value"
    clock.advance(11)
    source.error = NoSuchRow
    assert type(raised(colour, load)) is NoSuchRow
    assert type(raised(colour, load)) is NoSuchRow
    assert source.loads == 2
    assert colour.run(load.peek).negative  # there is no stale value any more


def test_where_stale_on_counts_it_the_stale_value_stands_in_while_it_is_there(
    colour: Colour, backend_url: str
) -> None:
    clock = Clock()
    cache, source = colour.cache(backend_url, clock=clock), Source(None)
    load: Any = source.loaded_by("decorated", colour, cache, stale_on=NoSuchRow, **STALE)
    assert colour.run(load) == "value"
    clock.advance(11)
    source.error = NoSuchRow
    assert colour.run(load) == "value"
    assert colour.run(load.peek).stale
    colour.run(load.invalidate)
    raised(colour, load)
    raised(colour, load)
    assert source.loads == 3


@FRONTS
def test_a_load_in_the_background_replaces_the_stale_value_by_the_answer(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    clock = Clock()
    cache = colour.cache(backend_url, clock=clock, front=front)
    source = Source(None)
    load: Any = source.loaded_by(
        "decorated", colour, cache, ttl=10, stale_while_revalidate=100, negative_ttl=50
    )
    assert colour.run(load) == "value"
    clock.advance(11)
    source.error = NoSuchRow
    assert colour.run(load) == "value"
    eventually(lambda: colour.run(load.peek).negative)
    assert type(raised(colour, load)) is NoSuchRow
    assert source.loads == 2


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        (None, NoSuchRow, True),
        (NoSuchRow, None, True),
        (NoSuchRow(1), NoSuchRow(2), True),
        (NoSuchRow(1), NoSuchRow(1), False),
        (NoSuchRow(1), OSError(), False),
        (None, OSError(), False),
    ],
)
def test_verifying_takes_a_value_and_an_answer_for_different(
    colour: Colour,
    backend_url: str,
    before: Any,
    after: Any,
    *,
    differs: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "LEAST_PAUSE_MS", 20)
    monkeypatch.setattr(verify, "_BUDGETS", 0)
    cache, source = colour.cache(backend_url), Source(before)
    seen = Seen(cache)
    load = source.loaded_by("decorated", colour, cache, verify=1, negative_ttl=1000)
    colour.start(load).error()
    source.error = after
    colour.start(load).error()
    eventually(lambda: source.loads == 2)
    eventually(lambda: not len(cache._runtime.backend.background))
    assert seen.count(Differed) == differs


# What is not remembered


def test_a_subclass_is_remembered_only_if_it_is_listed_itself(
    colour: Colour, backend_url: str
) -> None:
    cache, source = colour.cache(backend_url), Source(Deleted(7))
    seen = Seen(cache)
    load = source.loaded_by("decorated", colour, cache)
    assert [type(raised(colour, load)) for _ in range(3)] == [Deleted] * 3
    assert source.loads == 3
    (told,) = seen.of(NotStored)
    assert "Deleted" in told.reason
    assert told.help.endswith("cache_exceptions=(NoSuchRow, Deleted)")
    both = source.loaded_by("decorated", colour, cache, cache_exceptions=(NoSuchRow, Deleted))
    assert [type(raised(colour, both)) for _ in range(3)] == [Deleted] * 3
    assert source.loads == 4


class Slotted(Exception):
    __slots__ = ("row",)

    def __init__(self, row: int) -> None:
        super().__init__()
        self.row = row


NOT_PLAIN: list[Exception] = [
    NoSuchRow(object()),
    ExceptionGroup("several", [NoSuchRow()]),
    Slotted(7),
    NoSuchRow("long" * 1000),
]


@pytest.mark.parametrize("error", NOT_PLAIN, ids=lambda error: type(error).__name__)
def test_what_would_not_be_equal_elsewhere_is_raised_and_told_once(
    colour: Colour, backend_url: str, error: Exception
) -> None:
    cache, source = colour.cache(backend_url), Source(error)
    seen = Seen(cache)
    load = source.loaded_by(
        "decorated", colour, cache, cache_exceptions=type(error), max_value_bytes=1000
    )
    assert [raised(colour, load) is error for _ in range(3)] == [True] * 3
    assert source.loads == 3
    assert len(seen.of(NotStored)) == 1
    assert colour.call(cache, "peek", "k") is None


def test_an_exception_of_another_type_is_the_users_and_nothing_is_told(
    colour: Colour, backend_url: str
) -> None:
    cache, source = colour.cache(backend_url), Source(OSError())
    seen = Seen(cache)
    load = source.loaded_by("decorated", colour, cache)
    assert [type(raised(colour, load)) for _ in range(2)] == [OSError] * 2
    assert source.loads == 2
    assert not seen.of(NotStored)
    assert [(each.error, each.negative) for each in seen.of(LoadFailed)] == [("OSError", False)] * 2


# What is read is not trusted


@FRONTS
def test_an_entry_of_a_type_that_is_not_listed_is_a_miss(
    colour: Colour, backend_url: str, front: int | None
) -> None:
    cache = colour.cache(backend_url, front=front)
    raised(colour, Source().loaded_by("decorated", colour, cache))
    seen = Seen(cache)
    other = Source(None)
    load = other.loaded_by("decorated", colour, cache, cache_exceptions=KeyError)
    assert [colour.run(load) for _ in range(2)] == ["value"] * 2
    assert other.loads == 1
    assert [miss.reason for miss in seen.of(Miss)] == ["unknown_type"]


@pytest.mark.parametrize("many", [False, True])
def test_a_reader_that_lists_nothing_loads_over_it(
    colour: Colour, backend_url: str, many: bool
) -> None:
    cache = colour.cache(backend_url)
    raised(colour, Source().loaded_by("decorated", colour, cache))
    if many:
        loader = colour.function(lambda keys: dict.fromkeys(keys, 1))
        found = colour.call(cache, "get_or_load_many", ["k", "l"], loader)
        assert found == {"k": 1, "l": 1}
    else:
        assert colour.call(cache, "get_or_load", "k", colour.function(lambda: 1)) == 1
    assert colour.call(cache, "get", "k") == 1


@pytest.mark.parametrize("secret", [None, "a s3cret that is quite long"])
def test_with_a_secret_it_is_signed(colour: Colour, backend_url: str, secret: str | None) -> None:
    cache, source = colour.cache(backend_url, secret=secret), Source(NoSuchRow(7))
    load = source.loaded_by("decorated", colour, cache, tags=["t"])
    errors = [raised(colour, load) for _ in range(2)]
    assert [error.args for error in errors] == [(7,)] * 2
    assert source.loads == 1
    stranger = colour.cache(backend_url, secret="another secret, as long")
    again = source.loaded_by("decorated", colour, stranger)
    raised(colour, again)
    assert source.loads == 2


# Options


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"cache_exceptions": KeyError}, "DC426"),
        ({"negative_ttl": 5}, "DC426"),
        ({"cache_exceptions": (), "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": (KeyError, int), "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": BaseException, "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": KeyboardInterrupt, "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": StopIteration, "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": "KeyError", "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": KeyError(), "negative_ttl": 5}, "DC425"),
        ({"cache_exceptions": KeyError, "negative_ttl": -1}, "DC150"),
        ({"cache_exceptions": KeyError, "negative_ttl": float("nan")}, "DC150"),
        ({"cache_exceptions": KeyError, "negative_ttl": True}, "DC150"),
        ({"cache_exceptions": KeyError, "negative_ttl": "5 parsecs"}, "DC150"),
    ],
)
def test_options_that_cannot_be_are_refused(
    colour: Colour, options: dict[str, Any], code: str
) -> None:
    cache = colour.cache("memory://")
    body = colour.function(lambda: 1)
    wrong: list[Callable[[], Any]] = [
        lambda: cache(key="k", **options)(body),
        lambda: cache(key_prefix="k", **options)(body),
        lambda: colour.call(cache, "get_or_load", "k", body, **options),
    ]
    for each in wrong:
        with pytest.raises(UsageError) as caught:
            each()
        assert caught.value.code == code


def test_they_may_be_left_out_by_none(colour: Colour) -> None:
    cache = colour.cache("memory://")
    off: dict[str, Any] = {"cache_exceptions": None, "negative_ttl": None}
    assert colour.run(cache(key="k", **off)(colour.function(lambda: 1))) == 1


def test_loads_of_many_keys_refuse_them(colour: Colour) -> None:
    cache = colour.cache("memory://")
    options: dict[str, Any] = {"cache_exceptions": KeyError, "negative_ttl": 5}
    body = colour.function(lambda keys: dict.fromkeys(keys, 1))
    with pytest.raises(UsageError) as caught:
        cache.many(key="k:{key}", **options)(body)
    assert caught.value.code == "DC416"
    with pytest.raises(UsageError) as caught:
        colour.call(cache, "get_or_load_many", ["k"], body, **options)
    assert caught.value.code == "DC416"
