from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest

from dualcache import MISSING, LoadFailed, NotStored, StaleHit, Unusable, UsageError
from tests.behaviour.seen import Seen
from tests.behaviour.test_outages import Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.proxy import Proxy
    from tests.servers import Server


class SourceDown(Exception):
    pass


class Source:
    """A source of values that can be taken down."""

    def __init__(self) -> None:
        self.value: Any = 1
        self.is_down = False
        self.loads = 0

    def reader(self) -> Callable[[], Any]:
        def read() -> Any:
            self.loads += 1
            if self.is_down:
                raise SourceDown
            return self.value

        return read


# Time to live


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        ("90", 90),
        ("5m", 300),
        ("1h30m", 5400),
        (timedelta(minutes=2), 120),
        (lambda _: 60, 60),
        (lambda _: "2m", 120),
    ],
    ids=lambda value: "callable" if callable(value) else str(value),
)
@pytest.mark.parametrize("option", ["ttl", "expiration"])
def test_a_ttl_in_any_form_ends_the_entry(
    colour: Colour, backend_url: str, ttl: Any, seconds: float, option: str
) -> None:
    cache, source = colour.cache(backend_url), Source()
    load = cache(key="k", jitter=0, **{option: ttl})(colour.function(source.reader()))
    colour.run(load)
    left = colour.run(load.peek).ttl
    assert seconds - 1 < left <= seconds


def test_a_ttl_of_none_is_for_ever_and_has_to_be_written(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, ttl=None)
    colour.call(cache, "set", "k", 1)
    assert colour.call(cache, "peek", "k").ttl is None
    assert colour.call(cache, "ttl", "k") is None
    default = colour.cache(backend_url, namespace="n")
    colour.call(default, "set", "k", 1)
    assert 3599 < colour.call(default, "ttl", "k") <= 3600


def test_a_ttl_may_depend_on_the_result_and_the_arguments(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(n: int) -> int:
        return n

    load = cache(key="k:{n}", ttl=lambda result, n: result * n, jitter=0)(colour.function(body))
    for n in (0, 5):
        colour.run(load, n)
    assert colour.run(load.peek, 0) is None
    assert 24 < colour.run(load.peek, 5).ttl <= 25


def test_an_error_of_a_callable_option_is_the_users_and_nothing_is_stored(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)

    def raising(result: int) -> Any:
        raise SourceDown

    for option in ("ttl", "tags", "condition"):
        options: dict[str, Any] = {option: raising}
        load = cache(key="k", **options)(colour.function(lambda: 1))
        with pytest.raises(SourceDown):
            colour.run(load)
        assert colour.call(cache, "peek", "k") is None


def test_a_callable_ttl_that_cannot_be_right_is_told_once_and_the_value_is_not_stored(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)
    seen = Seen(cache)
    load = cache(key="k", ttl=lambda _: "5 parsecs")(colour.function(lambda: 1))
    for _ in range(2):
        assert colour.run(load) == 1
    (told,) = seen.of(NotStored)
    assert "ttl" in told.reason
    assert colour.call(cache, "peek", "k") is None


def test_jitter_takes_away_at_most_its_share(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(n: int) -> int:
        return n

    load = cache(key="k:{n}", ttl=1000, jitter=0.2)(colour.function(body))
    lefts = []
    for n in range(60):
        colour.run(load, n)
        lefts.append(colour.run(load.peek, n).ttl)
    assert all(799 <= left <= 1000 for left in lefts)
    assert len({round(left) for left in lefts}) > 20


def test_expiry_ends_an_entry(colour: Colour) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache("memory://", clock=clock)
    load = cache(key="k", ttl=10, jitter=0)(colour.function(source.reader()))
    colour.run(load)
    clock.advance(9.9)
    colour.run(load)
    assert source.loads == 1
    clock.advance(0.2)
    colour.run(load)
    assert source.loads == 2


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_clock_that_jumps_makes_no_entry_immortal(
    colour: Colour, redis_server: Server, jump: float
) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(redis_server.url, clock=clock)
    load = cache(key="k", ttl=10, stale_if_error=10)(colour.function(source.reader()))
    colour.run(load)
    clock.advance(jump)
    assert colour.run(load) == 1
    left = redis_server.cli("PTTL", "k")
    assert 0 < left <= 20_000


# Stale if error


@pytest.fixture
def aging(colour: Colour, backend_url: str) -> tuple[Any, Source, Clock, Seen]:
    """A function whose entries are fresh for 10 s and stale for 50 s more."""
    clock, source = Clock(), Source()
    cache = colour.cache(backend_url, clock=clock)
    seen = Seen(cache)
    load = cache(key="k", ttl=10, stale_if_error=50, jitter=0)(colour.function(source.reader()))
    return load, source, clock, seen


def test_a_stale_value_stands_in_for_a_source_that_fails(
    colour: Colour, aging: tuple[Any, Source, Clock, Seen]
) -> None:
    load, source, clock, seen = aging
    colour.run(load)
    source.is_down = True
    clock.advance(15)
    for _ in range(3):
        assert colour.run(load) == 1
    assert source.loads == 2  # a broken source is asked once in a pause
    assert (seen.count(StaleHit), seen.count(LoadFailed)) == (3, 1)
    assert colour.run(load.peek).stale is True
    source.is_down, source.value = False, 2
    assert colour.run(load.refresh) == 2
    assert colour.run(load) == 2
    assert source.loads == 3
    assert colour.run(load.peek).stale is False


def test_a_broken_source_is_asked_once_in_each_pause_and_pauses_grow(
    colour: Colour, backend_url: str, request: pytest.FixtureRequest
) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(backend_url, clock=clock)
    load = cache(key="k", ttl=10, stale_if_error=500, jitter=0)(colour.function(source.reader()))

    def passes(seconds: int) -> None:
        """Let so much time pass, for a server too."""
        clock.advance(seconds)
        if backend_url != "memory://":
            server = request.getfixturevalue("redis_server")
            left = server.cli("PTTL", "~r:k")
            server.cli("PEXPIRE", "~r:k", max(1, left - 1_000 * seconds))

    colour.run(load)
    source.is_down = True
    clock.advance(15)
    assert colour.run(load) == 1
    for pause in (1, 2, 4):
        before = source.loads
        passes(pause - 1)
        assert colour.gather(*[load] * 5) == [1] * 5
        assert source.loads == before
        passes(1)
        assert colour.gather(*[load] * 5) == [1] * 5
        assert source.loads == before + 1
    source.is_down, source.value = False, 2
    passes(8)
    assert colour.run(load) == 2


def test_an_expiry_ends_the_pause_after_failed_loads(colour: Colour, backend_url: str) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(backend_url, clock=clock)
    load = cache(key="k", ttl=10, stale_if_error=500, jitter=0)(colour.function(source.reader()))
    colour.run(load)
    source.is_down = True
    clock.advance(15)
    assert [colour.run(load) for _ in range(3)] == [1, 1, 1]
    assert source.loads == 2
    source.is_down, source.value = False, 2
    assert colour.run(load.expire).expired == 1
    assert colour.run(load) == 2


class Gone(Exception):
    status_code = 404


class Refused(Exception):
    status_code = 503


STALE: dict[str, Any] = {"ttl": 10, "stale_if_error": 50, "jitter": 0}


@pytest.mark.parametrize("front", [None, 100], ids=["one tier", "front"])
@pytest.mark.parametrize(
    ("options", "error", "is_served"),
    [
        ({}, Gone, False),
        ({}, Refused, True),
        ({"stale_on": TimeoutError}, SourceDown, False),
        ({"stale_on": (KeyError, SourceDown)}, SourceDown, True),
        ({"stale_on": Gone}, Gone, True),
        ({"stale_on": lambda error: "later" in error.args}, SourceDown("later"), True),
        ({"stale_on": lambda error: "later" in error.args}, SourceDown("never"), False),
    ],
)
def test_only_exceptions_that_count_are_stood_in_for(
    colour: Colour,
    backend_url: str,
    front: int | None,
    options: dict[str, Any],
    error: Any,
    is_served: bool,
) -> None:
    clock, fails = Clock(), [False]
    cache = colour.cache(backend_url, clock=clock, front=front)

    def read() -> str:
        if fails[0]:
            raise error
        return "old"

    spelled: dict[str, Any] = {
        "decorated": cache(key="k", **STALE, **options)(colour.function(read)),
        "endpoint": cache(key_prefix="e", **STALE, **options)(colour.function(read)),
        "direct": lambda: colour.face(cache).get_or_load(
            "d", colour.function(read), **STALE, **options
        ),
    }
    for load in spelled.values():
        assert colour.start(load).result() == "old"
    fails[0] = True
    clock.advance(15)
    kind = error if isinstance(error, type) else type(error)
    for load in spelled.values():
        if is_served:
            assert colour.start(load).result() == "old"
        else:
            assert type(colour.start(load).error()) is kind


def test_the_cache_may_say_which_exceptions_count_and_a_function_otherwise(
    colour: Colour, backend_url: str
) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(backend_url, clock=clock, stale_on=TimeoutError, **STALE)
    usual = cache(key="a")(colour.function(source.reader()))
    own = cache(key="b", stale_on=None)(colour.function(source.reader()))
    assert [colour.run(usual), colour.run(own)] == [1, 1]
    source.is_down = True
    clock.advance(15)
    with pytest.raises(SourceDown):
        colour.run(usual)
    assert colour.run(own) == 1


def test_an_error_of_the_callable_reaches_the_caller_with_the_loads_own_behind_it(
    colour: Colour, backend_url: str
) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(backend_url, clock=clock)

    def undecided(error: Exception) -> bool:
        return bool(error.args[5])

    load = cache(key="k", stale_on=undecided, **STALE)(colour.function(source.reader()))
    colour.run(load)
    source.is_down = True
    clock.advance(15)
    with pytest.raises(IndexError) as told:
        colour.run(load)
    assert type(told.value.__context__) is SourceDown


def test_the_answer_that_a_value_is_gone_leaves_its_waiters_with_that_answer(
    colour: Colour, backend_url: str
) -> None:
    clock, gate, fails = Clock(), colour.gate(), [False]
    cache = colour.cache(backend_url, clock=clock)

    async def body() -> str:
        if not fails[0]:
            return "old"
        await gate.passed()
        raise Gone

    load = cache(key="k", **STALE)(colour.function(body))
    colour.run(load)
    fails[0] = True
    clock.advance(15)
    callers = [colour.start(load) for _ in range(5)]
    gate.wait_until_entered()
    gate.open()
    assert [type(caller.error()) for caller in callers] == [Gone] * 5


def test_a_fresh_load_replaces_a_stale_value(
    colour: Colour, aging: tuple[Any, Source, Clock, Seen]
) -> None:
    load, source, clock, seen = aging
    colour.run(load)
    source.value = 2
    clock.advance(15)
    assert colour.run(load) == 2
    assert seen.count(StaleHit) == 0


def test_get_and_contains_do_not_serve_stale(
    colour: Colour, aging: tuple[Any, Source, Clock, Seen]
) -> None:
    load, _, clock, _ = aging
    colour.run(load)
    cache = colour._caches[0]
    assert colour.call(cache, "contains", "k") is True
    clock.advance(15)
    assert colour.call(cache, "contains", "k") is False
    assert colour.call(cache, "get", "k", "none") == "none"


def test_an_invalidated_value_never_stands_in(
    colour: Colour, aging: tuple[Any, Source, Clock, Seen]
) -> None:
    load, source, clock, _ = aging
    colour.run(load)
    clock.advance(15)
    colour.run(load.invalidate)
    source.is_down = True
    with pytest.raises(SourceDown):
        colour.run(load)


def test_a_failure_without_a_stale_value_is_raised_and_not_cached(
    colour: Colour, aging: tuple[Any, Source, Clock, Seen]
) -> None:
    load, source, _, _ = aging
    source.is_down = True
    for _ in range(2):
        with pytest.raises(SourceDown):
            colour.run(load)
    source.is_down = False
    assert colour.run(load) == 1
    assert source.loads == 3


def test_twenty_callers_share_one_failing_load_and_its_stale_value(
    colour: Colour, backend_url: str
) -> None:
    clock, gate, state = Clock(), colour.gate(), {"down": False, "loads": 0}
    cache = colour.cache(backend_url, clock=clock)

    async def body() -> list[int]:
        state["loads"] += 1
        if state["down"]:
            await gate.passed()
            raise SourceDown
        return [1]

    load = cache(key="k", ttl=10, stale_if_error=50, jitter=0)(colour.function(body))
    colour.run(load)
    state["down"] = True
    clock.advance(15)
    callers = [colour.start(load) for _ in range(20)]
    gate.wait_until_entered()
    gate.open()
    results = [caller.result() for caller in callers]
    assert results == [[1]] * 20
    assert len({id(result) for result in results}) == 20


def test_source_and_backend_down_together_raise_the_sources_error(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    clock, source = Clock(), Source()
    cache = colour.cache(proxy.url, clock=clock)
    load = cache(key="k", ttl=10, stale_if_error=50)(colour.function(source.reader()))
    colour.run(load)
    source.is_down = True
    proxy.refuse()
    proxy.reset()
    with pytest.raises(SourceDown):
        colour.run(load)


# What is stored


def test_condition_decides_what_is_stored(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()
    load = cache(key="k", condition=lambda result: result is not None)(
        colour.function(source.reader())
    )
    source.value = None
    assert [colour.run(load), colour.run(load)] == [None, None]
    assert source.loads == 2
    source.value = 0
    assert [colour.run(load), colour.run(load)] == [0, 0]
    assert source.loads == 3


@pytest.mark.parametrize("value", [None, 0, "", [], {}, False, 0.0, b"", ()], ids=repr)
def test_none_and_falsy_values_are_results_like_any_other(
    colour: Colour, backend_url: str, value: Any
) -> None:
    cache, source = colour.cache(backend_url), Source()
    source.value = value
    load = cache(key="k")(colour.function(source.reader()))
    for _ in range(3):
        result = colour.run(load)
        assert (result, type(result)) == (value, type(value))
    assert source.loads == 1
    assert colour.call(cache, "get", "k", MISSING) == value
    assert colour.call(cache, "get", "absent", MISSING) is MISSING
    assert colour.call(cache, "contains", "k") is True


class Colours(Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: str


@attrs.define
class Attrs:
    a: int
    b: list[str]


class Struct(msgspec.Struct):
    a: int
    when: datetime


class Model(pydantic.BaseModel):
    a: int
    at: datetime
    price: Decimal


BERLIN = ZoneInfo("Europe/Berlin")
VALUES: list[tuple[Any, Any]] = [
    (Any, {"b": 1, "a": 2, 3: [(), {1, 2}, frozenset({1})]}),
    (Any, [1, 1.0, True, "1", b"1", None, 2**70, -(2**70), 1 + 2j]),
    (Any, {(1, 2): "tuple key", 1: "int key", "1": "text key"}),
    (Any, datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)),
    (Any, datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    (
        Any,
        [
            datetime.fromisoformat("2024-01-01"),
            datetime(2024, 1, 1, tzinfo=UTC),
            date.max,
            time(1),
            timedelta(1),
        ],
    ),
    (Any, [Decimal("1.10"), UUID(int=5), range(3), bytearray(b"x")]),
    (Any, [math.inf, -math.inf, -0.0]),
    (Any, ["\ud800", "\0", "é", "日本"]),
    (dict[str, int], {"z": 1, "a": 2}),
    (Colours, Colours.RED),
    (Pair, Pair(1, "b")),
    (list[Pair], [Pair(1, "b")]),
    (Attrs, Attrs(1, ["b"])),
    (Struct, Struct(1, datetime(2024, 1, 1, tzinfo=BERLIN))),
    (Model, Model(a=1, at=datetime(2024, 1, 1, tzinfo=UTC), price=Decimal("1.10"))),
    (list[Model], [Model(a=1, at=datetime(2024, 1, 1, tzinfo=UTC), price=Decimal(1))]),
    (set[int], {1, 2}),
    (tuple[int, ...], (1, 2)),
]


def shape(value: Any) -> Any:
    """Write a value so that types, order, zones, folds and signs count."""
    if isinstance(value, dict):
        return [(shape(k), shape(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [shape(each) for each in value]
    if isinstance(value, datetime):
        return repr(value), value.fold
    if isinstance(value, msgspec.Struct):
        return type(value), [shape(getattr(value, name)) for name in value.__struct_fields__]
    return type(value), repr(sorted(value) if isinstance(value, set | frozenset) else value)


@pytest.mark.parametrize(("annotation", "value"), VALUES, ids=lambda each: repr(each)[:40])
def test_a_hit_equals_a_miss(colour: Colour, backend_url: str, annotation: Any, value: Any) -> None:
    cache, loads = colour.cache(backend_url), []
    seen = Seen(cache)

    def body() -> Any:
        loads.append(1)
        return value

    body.__annotations__["return"] = annotation
    load = cache(key="k")(colour.function(body))
    missed, hit = colour.run(load), colour.run(load)
    assert missed is value
    assert shape(hit) == shape(value)
    assert len(loads) == 1, seen.of(NotStored)


def test_not_a_number_survives(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()
    source.value = [math.nan]
    load = cache(key="k")(colour.function(source.reader()))
    colour.run(load)
    assert math.isnan(colour.run(load)[0])
    assert source.loads == 1


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


UNSTORABLE: dict[str, Any] = {
    "a generator": lambda: (n for n in range(3)),
    "a lock": lambda: __import__("threading").Lock(),
    "an object": object,
    "a recursive list": endless,
    "a function": lambda: lambda: 1,
    "a subclass of int": lambda: type("Sub", (int,), {})(1),
}


@pytest.mark.parametrize("what", UNSTORABLE)
def test_what_cannot_be_stored_is_returned_and_told_once(
    colour: Colour, backend_url: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache, source = colour.cache(backend_url), Source()
    seen = Seen(cache)
    load = cache(key="k")(colour.function(source.reader()))
    for _ in range(3):
        source.value = UNSTORABLE[what]()
        assert colour.run(load) is source.value
    assert source.loads == 3
    (told,) = seen.of(NotStored)
    assert told.help
    assert told.template == "k"
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1


def test_a_coroutine_from_a_def_is_returned_and_not_stored(threads: Any, backend_url: str) -> None:
    cache = threads.cache(backend_url)
    seen = Seen(cache)

    async def inner() -> int:
        return 1

    def body() -> Any:
        return inner()

    coroutine = cache(key="k")(body)()
    coroutine.close()
    assert seen.count(NotStored) == 1


def test_an_open_file_is_returned_and_not_stored(
    colour: Colour, backend_url: str, tmp_path: Any
) -> None:
    cache, source = colour.cache(backend_url), Source()
    seen = Seen(cache)
    load = cache(key="k")(colour.function(source.reader()))
    with (tmp_path / "file").open("w") as source.value:
        assert colour.run(load) is source.value
    assert seen.count(NotStored) == 1


# Codecs and secrets


@pytest.mark.parametrize(
    ("codec", "value"),
    [
        ("json", {"a": [1, "x", None]}),
        ("raw", b"bytes"),
        ("raw", "text"),
        ("msgpack", [1, {"a": 2.5}]),
    ],
)
def test_a_codec_may_be_chosen_for_a_function(
    colour: Colour, backend_url: str, codec: str, value: Any
) -> None:
    cache, source = colour.cache(backend_url), Source()
    source.value = value
    load = cache(key="k", codec=codec)(colour.function(source.reader()))
    for _ in range(2):
        assert colour.run(load) == value
    assert source.loads == 1


class Reversing:
    def encode(self, value: Any, /) -> bytes:
        return str(value)[::-1].encode()

    def decode(self, data: bytes, /) -> Any:
        return data.decode()[::-1]


def test_a_codec_of_the_users_own(colour: Colour, redis_server: Server) -> None:
    cache, source = colour.cache(redis_server.url), Source()
    source.value = "abc"
    load = cache(key="k", codec=Reversing())(colour.function(source.reader()))
    for _ in range(2):
        assert colour.run(load) == "abc"
    assert source.loads == 1
    assert redis_server.cli("GET", "k").endswith(b"cba")


class Custom:
    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and self.n == other.n

    __hash__ = None  # type: ignore[assignment]


def test_pickle_needs_a_secret() -> None:
    from dualcache import Cache

    with Cache("memory://") as cache, pytest.raises(UsageError, match="secret"):
        cache(key="k", codec="pickle")(lambda: 1)
    with pytest.raises(UsageError, match="secret"):
        Cache("memory://", codec="pickle").set("k", 1)


def test_signed_pickles_are_read_under_every_secret_of_the_ring(
    colour: Colour, redis_server: Server
) -> None:
    old = colour.cache(redis_server.url, codec="pickle", secret="the old s3cret, quite long")
    both = colour.cache(
        redis_server.url,
        codec="pickle",
        secret=["the new s3cret, quite long", "the old s3cret, quite long"],
    )
    other = colour.cache(redis_server.url, codec="pickle", secret="another s3cret, quite long")
    colour.call(old, "set", "k", Custom(3))
    assert colour.call(both, "get", "k") == Custom(3)
    seen = Seen(other)
    assert colour.call(other, "get", "k", "none") == "none"
    assert seen.count(Unusable) == 1
    redis_server.cli("RENAME", "k", "moved")
    assert colour.call(both, "get", "moved", "none") == "none"


def test_reference_keeps_the_objects_themselves_in_memory(colour: Colour) -> None:
    cache, source = colour.cache("memory://", codec="reference"), Source()
    source.value = object()
    load = cache(key="k")(colour.function(source.reader()))
    assert colour.run(load) is colour.run(load) is source.value
    assert source.loads == 1


def test_reference_is_refused_on_a_server() -> None:
    from dualcache import Cache

    with pytest.raises(UsageError, match="reference"):
        Cache("redis://localhost", codec="reference")


def test_a_large_value_is_stored(colour: Colour, backend_url: str) -> None:
    cache, source = colour.cache(backend_url), Source()
    source.value = "x" * 3_000_000
    load = cache(key="k")(colour.function(source.reader()))
    assert colour.run(load) == colour.run(load)
    assert source.loads == 1


# Direct calls


def test_get_or_load_shares_entries_with_decorated_functions(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url)

    def body(n: int) -> list[int]:
        return [n]

    load = cache(key="k:{n}")(colour.function(body))
    colour.run(load, 1)
    loader = colour.function(lambda: [2])
    assert colour.call(cache, "get_or_load", cache.key("k:{n}", n=1), loader) == [1]
    assert colour.call(cache, "get_or_load", "k:2", loader, ttl="1m", tags=["t"]) == [2]
    assert colour.run(load, 2) == [2]
    assert colour.call(cache, "peek", "k:2").tags == ("t",)


def test_get_or_load_many_loads_what_is_missing_in_one_call(
    colour: Colour, backend_url: str
) -> None:
    cache, asked = colour.cache(backend_url), []

    def body(keys: list[str]) -> dict[str, int]:
        asked.append(sorted(keys))
        return {key: len(key) for key in keys if key != "none"}

    loader = colour.function(body)
    colour.call(cache, "set", "a", 100)
    keys = ["a", "bb", "ccc", "none", "bb"]
    expected = {"a": 100, "bb": 2, "ccc": 3}
    assert colour.call(cache, "get_or_load_many", keys, loader) == expected
    assert colour.call(cache, "get_or_load_many", keys, loader) == expected
    assert asked == [["bb", "ccc", "none"], ["none"]]
    assert list(colour.call(cache, "get_or_load_many", ["ccc", "a"], loader)) == ["ccc", "a"]


def test_what_a_loader_of_many_raises_is_the_users(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)

    def body(keys: list[str]) -> dict[str, int]:
        raise SourceDown

    with pytest.raises(SourceDown):
        colour.call(cache, "get_or_load_many", ["a", "b"], colour.function(body))
    assert colour.call(cache, "get_many", ["a", "b"]) == {}
    with pytest.raises(UsageError, match="mapping"):
        colour.call(cache, "get_or_load_many", ["a"], colour.function(lambda _: [1]))


@pytest.mark.parametrize("key", ["", "~t:x", "~", 5, None, b"bytes"], ids=repr)
def test_a_key_that_cannot_be_right_is_refused(colour: Colour, backend_url: str, key: Any) -> None:
    cache = colour.cache(backend_url)
    for method in ("get", "peek", "contains", "ttl", "invalidate"):
        with pytest.raises(UsageError):
            colour.call(cache, method, key)
    with pytest.raises(UsageError):
        colour.call(cache, "set", key, 1)


@pytest.mark.parametrize("key", ["a\nb", "a\0b", "x" * 100_000, "\ud800", " ", "é*?[]{}\\"])
def test_a_key_of_any_text_works(colour: Colour, backend_url: str, key: str) -> None:
    cache = colour.cache(backend_url)
    assert colour.call(cache, "set", key, 1, tags=[key]) is True
    assert colour.call(cache, "get", key) == 1
    assert colour.call(cache, "get_many", [key]) == {key: 1}
    assert colour.call(cache, "invalidate", tags=[key]).pending == 0
    assert colour.call(cache, "get", key) is None
    colour.call(cache, "set", key, 2)
    assert colour.call(cache, "invalidate", key).removed >= 1
    assert colour.call(cache, "get", key) is None


def test_looking_has_no_side_effect(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    colour.call(cache, "set", "k", 1, ttl=100, tags=["t"])
    redis_server.cli("CONFIG", "RESETSTAT")
    for method in ("peek", "contains", "ttl", "get"):
        colour.call(cache, method, "k")
        colour.call(cache, method, "absent")
    used = {name.removeprefix("cmdstat_") for name in redis_server.cli("INFO", "commandstats")}
    assert not used & {"set", "del", "expire", "pexpire", "evalsha", "unlink"}
