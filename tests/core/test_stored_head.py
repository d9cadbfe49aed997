"""What a header tells to tools."""

from __future__ import annotations

from dualcache.core.codec_ids import COMPRESSED, SIGNED, CodecId
from dualcache.core.entry import Packed
from dualcache.core.envelope import seal, seal_filling, seal_tombstone
from dualcache.core.stored_head import StoredHead, read_head

TOKEN = b"12345678"
SHAPE = b"abcdefgh"


def sealed(packed: Packed, *, owner: bytes = b"", is_expired: bool = False) -> bytes:
    return seal(
        "k",
        packed,
        version=TOKEN,
        created_ms=1,
        fresh_ms=None,
        load_ms=0,
        owner=owner,
        is_expired=is_expired,
    )


def test_a_value_is_told_by_codec_flags_and_shape() -> None:
    packed = Packed(CodecId.PICKLE, SIGNED | COMPRESSED, b"payload", SHAPE)
    told = StoredHead("value", "pickle", True, True, SHAPE.hex())
    assert read_head(sealed(packed)[:48]) == told
    assert read_head(sealed(packed, owner=TOKEN)[:48]) == told


def test_the_kinds_are_told_apart() -> None:
    plain = Packed(CodecId.TAGGED, 0, b"payload")
    kinds = {
        "value": sealed(plain),
        "expired": sealed(plain, is_expired=True),
        "filling": seal_filling("k", token=TOKEN, created_ms=1, load_ms=0),
        "tombstone": seal_tombstone("k", token=TOKEN, created_ms=1),
    }
    heads = {kind: read_head(raw) for kind, raw in kinds.items()}
    assert {kind: head and head.kind for kind, head in heads.items()} == {k: k for k in kinds}


def test_a_codec_of_a_later_release_is_named_by_its_number() -> None:
    head = read_head(sealed(Packed(99, 0, b"")))
    assert head is not None
    assert head.codec == "codec 99"


def test_bytes_of_another_program_have_no_head() -> None:
    assert read_head(b"") is None
    assert read_head(b"x" * 48) is None
