"""Exceptions as bytes: what comes back is equal, and only what is listed ever comes back."""

from __future__ import annotations

import random
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from dualcache.codecs import tagged
from dualcache.codecs.negative import NegativeForm
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import COMPRESSED, SIGNED, CodecId, needs_type
from dualcache.core.entry import Kind, Packed, Stored
from dualcache.errors import DecodeError, UnencodableValue
from tests.soft_limit import SoftLimit, soft_limit

if TYPE_CHECKING:
    from collections.abc import Callable

ran: list[str] = []


class Plain(Exception):
    row = 0

    def __init__(self, row: int, *, why: str = "") -> None:
        ran.append("init")
        super().__init__(row)
        self.why = why

    @property
    def told(self) -> str:
        return self.why

    @told.setter
    def told(self, why: str) -> None:
        ran.append("set")
        self.why = why

    @cached_property
    def text(self) -> str:
        return f"{self.row}"

    def method(self) -> None:
        pass


class Hidden(Exception):
    __slots__ = ("__row",)

    def __init__(self) -> None:
        super().__init__()
        self.__row = 7


class Derived(Plain):
    pass


FORM = NegativeForm((Plain, KeyError, Hidden, ImportError), None, 1_000)
NAME = f"{__name__}:Plain"
BIG = "x" * 2_000


def stored(packed: Packed) -> Stored:
    return Stored(
        Kind.VALUE, packed.codec, packed.flags, b"12345678", 0, None, 0, (), packed.payload
    )


def spelled(*parts: Any) -> bytes:
    return tagged.encode([*parts])


def test_an_exception_comes_back_without_running_its_code() -> None:
    error = Plain(7, why="gone")
    error.row = 8
    packed = FORM.pack(error)
    assert packed is not None
    ran.clear()
    recall = FORM.recall(packed.payload)
    one, other = recall(), recall()
    assert ran == []
    assert one is not other
    assert (type(one), one.args, vars(one)) == (Plain, (7,), {"row": 8, "why": "gone"})


def test_the_order_of_attributes_makes_no_difference() -> None:
    one, other = KeyError(1), KeyError(1)
    one.__dict__.update(a=1, b=2)
    other.__dict__.update(b=2, a=1)
    assert FORM.is_same(one, other)
    assert FORM.pack(one) == FORM.pack(other)


@pytest.mark.parametrize("other", [KeyError(2), Plain(1), KeyError(True), KeyError(1, 2)])
def test_exceptions_differ_by_type_arguments_and_attributes(other: Exception) -> None:
    assert not FORM.is_same(KeyError(1), other)
    marked = KeyError(1)
    marked.add_note("note")
    assert not FORM.is_same(KeyError(1), marked)


def test_what_is_not_listed_is_not_packed() -> None:
    assert FORM.pack(OSError()) is None
    assert not FORM.lists(OSError())
    assert not FORM.lists(Derived(1))
    with pytest.raises(UnencodableValue, match="Derived"):
        FORM.pack(Derived(1))


def odd() -> list[Exception]:
    named = KeyError()
    named.__dict__["keys"] = named.__dict__["__odd__"] = 1
    method = Plain(1)
    method.__dict__["method"] = 1
    asked = Plain(1)
    assert asked.text == "0"
    return [Plain(object()), Hidden(), named, method, asked, KeyError([Plain(1)])]  # type: ignore[arg-type]


@pytest.mark.parametrize("error", odd(), ids=lambda error: str(vars(error)))
def test_what_holds_more_than_plain_values_is_not_packed(error: Exception) -> None:
    with pytest.raises(UnencodableValue) as caught:
        FORM.pack(error)
    assert caught.value.code == "DC427"


def test_what_is_not_plain_is_named_by_its_place() -> None:
    status = Plain(1)
    status.__dict__["status"] = HTTPStatus.NOT_FOUND
    with pytest.raises(UnencodableValue, match="in status"):
        FORM.pack(status)
    with pytest.raises(UnencodableValue, match=r"in args\[1\]"):
        FORM.pack(KeyError(1, [object()]))


def test_what_is_too_large_is_not_packed_or_read() -> None:
    with pytest.raises(UnencodableValue, match="bytes, more"):
        NegativeForm((KeyError,), None, 20).pack(KeyError("longer than that"))
    data = spelled("builtins:KeyError", (BIG,), {})
    with pytest.raises(DecodeError) as caught:
        FORM.recall(data)
    assert caught.value.reason == "oversized"


def test_a_name_that_is_not_listed_is_an_unknown_type() -> None:
    for name in ("builtins:OSError", "os:system", "builtins:SystemExit", ""):
        with pytest.raises(DecodeError) as caught:
            FORM.recall(spelled(name, ("true",), {}))
        assert caught.value.reason == "unknown_type"


HOSTILE: list[bytes] = [
    b"",
    b"\xc1",
    spelled(),
    spelled(NAME, (1,)),
    spelled(NAME, [1], {}),
    spelled(NAME, (1,), []),
    spelled(b"KeyError", (1,), {}),
    spelled(NAME, (1,), {1: 2}),
    spelled(NAME, (1,), {"told": "by a setter"}),
    spelled(NAME, (1,), {"method": 1}),
    spelled(NAME, (1,), {"with_traceback": 1}),
    spelled(NAME, (1,), {"add_note": 1}),
    *(spelled(NAME, (1,), {f"__{name}__": 1}) for name in ("class", "dict", "cause", "context")),
    spelled(NAME, (1,), {"__traceback__": None}),
    spelled(NAME, (1,), {"args": 7}),
]


@pytest.mark.parametrize("data", HOSTILE, ids=repr)
def test_hostile_bytes_are_no_exception_and_run_nothing(data: bytes) -> None:
    ran.clear()
    with pytest.raises(DecodeError) as caught:
        FORM.recall(data)
    assert caught.value.reason == "payload"
    assert ran == []


def test_random_bytes_are_a_listed_exception_or_none() -> None:
    chance = random.Random(14)
    packed = FORM.pack(Plain(7, why="gone"))
    assert packed is not None
    for _ in range(5_000):
        data = bytearray(packed.payload)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            made = FORM.recall(bytes(data))()
        except DecodeError:
            continue
        assert type(made) in {Plain, KeyError, ImportError}


class Reaching(type):
    """Classes that may be looked at so many times before a soft limit is reached."""

    looks = 0
    reach: Callable[[], None] = staticmethod(lambda: None)

    @property
    def __flags__(cls) -> int:
        Reaching.looks -= 1
        if not Reaching.looks:
            Reaching.reach()
        flags: int = type.__dict__["__flags__"].__get__(cls)
        return flags


class Limited(Exception, metaclass=Reaching):
    pass


def test_an_interrupt_ends_both_ways() -> None:
    form = NegativeForm((Limited,), None, 1_000)
    packed = form.pack(Limited(1))
    assert packed is not None
    with soft_limit() as reach:
        Reaching.reach = staticmethod(reach)
        Reaching.looks = 1
        with pytest.raises(SoftLimit):
            form.recall(packed.payload)
        Reaching.looks = 2  # the first comes before anything is caught
        with pytest.raises(SoftLimit):
            form.pack(Limited(1))

        class Asked(type):
            @property
            def __module__(cls) -> str:  # type: ignore[override]  # asked for in C, too
                reach()
                return ""

        class Part(metaclass=Asked):
            pass

        with pytest.raises(SoftLimit):
            form.pack(Limited(Part()))


# Through the codec of a function


@pytest.mark.parametrize("secret", [None, "a s3cret that is quite long"])
@pytest.mark.parametrize("codec", [None, "reference", "raw", "json"])
def test_a_codec_tells_of_an_exception_in_the_place_of_a_value(
    secret: str | None, codec: str | None
) -> None:
    own = make_value_codec(int, codec=codec, secret=secret, cache_exceptions=KeyError)
    packed = own.pack_error(KeyError("k"))
    assert packed is not None
    assert packed.codec == CodecId.NEGATIVE
    entry = stored(own.sign("key", packed, ()))
    with pytest.raises(DecodeError) as caught:
        own.unpack("key", entry)
    assert caught.value.reason == "negative"
    assert vars(caught.value)["recall"]().args == ("k",)
    with pytest.raises(DecodeError) as caught:
        own.verify("key", entry)
    assert (caught.value.reason, vars(caught.value)["recall"]) == ("negative", None)
    assert own.reader_of(entry) is None


def test_a_codec_that_lists_nothing_knows_no_exception() -> None:
    packed = FORM.pack(KeyError("k"))
    assert packed is not None
    codec = make_value_codec(int)
    assert not codec.lists(KeyError())
    assert codec.pack_error(KeyError()) is None
    entry = stored(packed)
    with pytest.raises(DecodeError) as caught:
        codec.unpack("key", entry)
    assert caught.value.reason == "unknown_type"
    assert codec.is_learned("key", entry)  # what is loaded may replace it


def test_a_codec_refuses_what_is_garbled_unsigned_or_of_another_type() -> None:
    codec = make_value_codec(int, cache_exceptions=(KeyError,))
    signed = make_value_codec(int, secret="a s3cret that is quite long", cache_exceptions=KeyError)
    packed = codec.pack_error(KeyError("k"))
    assert packed is not None
    cases = [
        (codec, replace(packed, payload=b"\xc1"), "payload"),
        (codec, replace(packed, flags=COMPRESSED, payload=b"\xc1"), "payload"),
        (codec, replace(packed, flags=SIGNED), "signature"),
        (signed, packed, "signature"),
        (codec, replace(packed, payload=spelled("builtins:OSError", (), {})), "unknown_type"),
    ]
    for each, wrong, reason in cases:
        with pytest.raises(DecodeError) as caught:
            each.unpack("key", stored(wrong))
        assert caught.value.reason == reason


def test_a_value_that_needs_its_type_is_still_told_as_that() -> None:
    typed = make_value_codec(tuple[int, ...]).pack((1, 2))
    with pytest.raises(DecodeError) as caught:
        make_value_codec(cache_exceptions=KeyError).unpack("key", stored(typed))
    assert caught.value.reason == needs_type().reason
