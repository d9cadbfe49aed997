from __future__ import annotations

import struct
import sys
import tracemalloc
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.codecs import compress
from dualcache.codecs.compress import compressed, decompressed, require_zstd
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import COMPRESSED, SIGNED, CodecId
from dualcache.core.entry import Packed
from dualcache.core.envelope import open_envelope, seal
from dualcache.errors import DecodeError, UsageError

NAME = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def is_installed() -> bool:
    try:
        return find_spec(NAME) is not None
    except ModuleNotFoundError:
        return False


needs_zstd = pytest.mark.skipif(not is_installed(), reason="zstd is an extra")
LIMIT = 1_000_000


@pytest.fixture
def zstd() -> Any:
    return import_module(NAME)


def refusal(frame: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        decompressed(frame, LIMIT)
    return str(vars(caught.value)["reason"])


@needs_zstd
@pytest.mark.parametrize("secret", [None, "s"])
def test_large_values_are_compressed_and_come_back(secret: str | None) -> None:
    value_codec = make_value_codec(compress_above=100, secret=secret)
    packed = value_codec.sign("k", value_codec.pack("x" * 10_000), ())
    assert packed.flags & COMPRESSED
    assert bool(packed.flags & SIGNED) is bool(secret)
    assert len(packed.payload) < 100
    raw = seal("k", packed, version=b"12345678", created_ms=1, fresh_ms=None, load_ms=1)
    assert value_codec.unpack("k", open_envelope("k", raw)) == "x" * 10_000


@needs_zstd
def test_small_values_and_those_that_do_not_shrink_are_not_compressed() -> None:
    assert make_value_codec(compress_above=100).pack("x").flags == 0
    assert make_value_codec(compress_above=1).pack("abc").flags == 0


@needs_zstd
def test_data_that_fills_the_limit_comes_back(zstd: Any) -> None:
    frame = compressed(bytes(LIMIT))
    assert frame is not None
    assert decompressed(frame, LIMIT) == bytes(LIMIT)
    assert refusal(zstd.compress(bytes(LIMIT + 1))) == "oversized"


@needs_zstd
def test_a_bomb_is_stopped_within_the_limit(zstd: Any) -> None:
    frames = [zstd.compress(bytes(200_000_000)), _of_unknown_size(zstd, 200_000_000)]
    for frame in frames:
        tracemalloc.start()
        assert refusal(frame) in {"oversized", "compression"}
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 4 * LIMIT


def _of_unknown_size(zstd: Any, size: int) -> bytes:
    writer = zstd.ZstdCompressor()
    block = bytes(1_000_000)
    parts = [writer.compress(block) for _ in range(size // len(block))]
    return b"".join([*parts, writer.flush()])


@needs_zstd
def test_a_frame_that_lies_about_its_size_is_refused(zstd: Any) -> None:
    frame = bytearray(zstd.compress(bytes(100_000)))
    assert frame[4] & 0xC0 == 0x80, "the size takes four bytes"
    at = 5 if frame[4] & 0x20 else 6
    frame[at : at + 4] = struct.pack("<I", 10)
    assert refusal(bytes(frame)) == "compression"
    frame[at : at + 4] = struct.pack("<I", 900_000)
    assert refusal(bytes(frame)) == "compression"


@needs_zstd
def test_a_frame_that_is_cut_or_followed_by_more_is_refused(zstd: Any) -> None:
    frame = zstd.compress(b"x" * 1000)
    assert refusal(frame[:-1]) == "compression"
    assert refusal(frame + frame) == "compression"
    assert refusal(b"") == "compression"


@needs_zstd
@given(st.binary())
def test_hostile_frames_are_a_decode_error(frame: bytes) -> None:
    refusal(b"\x28\xb5\x2f\xfd" + frame + b"?")
    refusal(frame)


def test_without_zstd_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "_MODULE", "no.such.module")
    with pytest.raises(UsageError, match="pip install") as caught:
        make_value_codec(compress_above=100)
    assert caught.value.code == "DC173"
    with pytest.raises(UsageError):
        require_zstd()


def test_without_zstd_a_compressed_value_is_a_decode_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compress, "_MODULE", "no.such.module")
    packed = Packed(CodecId.MSGPACK, COMPRESSED, b"x")
    raw = seal("k", packed, version=b"12345678", created_ms=1, fresh_ms=None, load_ms=1)
    with pytest.raises(DecodeError, match="not installed"):
        make_value_codec().unpack("k", open_envelope("k", raw))
