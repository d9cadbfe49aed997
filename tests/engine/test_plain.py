"""The hit that is read without parsing the whole entry: the same values, and no other entries."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dualcache.codecs.plain import PlainReaders
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.entry import MISSING, Tag
from dualcache.core.envelope import open_envelope, seal, seal_filling
from dualcache.core.ops import RawRead
from dualcache.engine.freshness import FRESH
from dualcache.engine.looks import begin_look
from dualcache.engine.plain import plain_value
from dualcache.engine.serve import classify_look
from tests.engine.conversation import KEY, NOW_MS, call, surroundings, token

if TYPE_CHECKING:
    from dualcache.core.entry import ValueCodec

TAG = Tag("~t:a", token(50))
CODECS: dict[str, ValueCodec] = {
    "of a type": make_value_codec(list[int]),
    "of another type": make_value_codec(dict[str, int]),
    "of no type": make_value_codec(),
    "of any shape": make_value_codec(list[int], shape_check=False),
    "signed": make_value_codec(list[int], secret="s"),
    "compressed": make_value_codec(compress_above=10),
    "small": make_value_codec(max_value_bytes=16),
}
VALUES: list[Any] = [[1, 2, 3], {"a": 1}, "text " * 30, None, (1, 2), b"bytes"]


def entry(value_codec: ValueCodec, value: Any, tags: tuple[Tag, ...] = (), **options: Any) -> bytes:
    usual: dict[str, Any] = {
        "version": token(1),
        "created_ms": NOW_MS,
        "fresh_ms": None,
        "load_ms": 1,
    }
    packed = value_codec.sign(KEY, value_codec.pack(value), tags)
    return seal(KEY, packed, tags=tags, **(usual | options))


ENTRIES = [
    entry(codec, value, tags, owner=owner, **options)
    for name, codec in CODECS.items()
    for value in VALUES
    for tags in ((), (TAG,))
    for owner, options in ((b"", {}), (b"ownerown", {}), (b"", {"fresh_ms": 10**9}))
    if name != "small" or value is None
] + [
    seal_filling(KEY, token=token(2), created_ms=NOW_MS, load_ms=1),
    entry(CODECS["of no type"], "v", is_expired=True),
    b"",
    b"\xdc",
    b"another program's, and long enough to have a header",
]


@given(
    at=st.integers(0, len(ENTRIES) - 1),
    name=st.sampled_from(sorted(CODECS)),
    is_tagged=st.booleans(),
    tag_id=st.sampled_from([token(50), token(51), None]),
    flip=st.none() | st.tuples(st.integers(0, 400), st.integers(0, 7)),
    cut=st.none() | st.integers(0, 100),
)
def test_what_is_read_in_short_is_what_the_whole_entry_says(
    *, at: int, name: str, is_tagged: bool, tag_id: bytes | None, flip: Any, cut: int | None
) -> None:
    raw = bytearray(ENTRIES[at][:cut])
    if flip is not None and flip[0] < len(raw):
        raw[flip[0]] ^= 1 << flip[1]
    of = call(*(("~t:a",) if is_tagged else ()), value_codec=CODECS[name])
    read = RawRead(bytes(raw), (tag_id,) if is_tagged else ())
    value = plain_value(of, read)
    env, _ = surroundings()
    whole = classify_look(of, begin_look(of, env), read, env)
    if value is not MISSING:
        assert whole.state is FRESH
        assert whole.value == value
        assert type(whole.value) is type(value)


@pytest.mark.parametrize("tags", [(), (TAG,)], ids=["no tag", "a tag"])
@pytest.mark.parametrize("name", ["of a type", "of no type", "of any shape"])
def test_an_entry_that_ends_with_its_key_is_read_in_short(name: str, tags: tuple[Tag, ...]) -> None:
    codec = CODECS[name]
    of = call(*[tag.name for tag in tags], value_codec=codec)
    raw = entry(codec, [1, 2, 3], tags, owner=b"ownerown")
    assert plain_value(of, RawRead(raw, tuple(tag.id for tag in tags))) == [1, 2, 3]


def test_what_is_long_or_lacks_its_shape_is_parsed_whole() -> None:
    of = call(value_codec=CODECS["of no type"])
    assert plain_value(of, RawRead(None)) is MISSING
    assert plain_value(of, RawRead(entry(CODECS["of no type"], "x" * 20_000))) is MISSING
    typed = call(value_codec=CODECS["of a type"])
    assert plain_value(typed, RawRead(entry(CODECS["of no type"], [1]))) is MISSING


def test_a_payload_that_cannot_be_read_is_left_to_who_tells_why() -> None:
    codec = CODECS["of a type"]
    stored = open_envelope(KEY, entry(codec, [1]))
    forged = entry(codec._replace(pack=lambda _: replace(stored.packed, payload=b"\xc1")), [1])
    assert plain_value(call(value_codec=codec), RawRead(forged)) is MISSING


def test_heads_that_strangers_write_are_not_kept() -> None:
    readers = PlainReaders({}, b"", 1_000)
    for head in (b"", b"\xdc", b"\x00\x00\xff\x00", bytes([0xDC, 0x12, 0xFE, 0])):
        assert readers[head] is None
    assert not readers
    assert readers[bytes([0xDC, 0x12, 1, 0])] is None
    assert len(readers) == 1


def test_an_interrupt_while_a_payload_is_read_is_raised() -> None:
    class Interrupted(Exception):
        """What a signal handler raises."""

    def handler(*_: object) -> None:
        raise Interrupted

    def read(_: bytes) -> None:
        signal.raise_signal(signal.SIGUSR1)

    codec = CODECS["of no type"]
    interrupted = codec._replace(plain_reader=PlainReaders({1: read}, b"", 1_000).__getitem__)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Interrupted):
            plain_value(call(value_codec=interrupted), RawRead(entry(codec, [1])))
    finally:
        signal.signal(signal.SIGUSR1, before)
