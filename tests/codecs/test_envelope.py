from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.core.codec_ids import SIGNED, CodecId
from dualcache.core.entry import HEADER_BYTES, UNKNOWN_TAG_ID, Kind, Packed, Tag
from dualcache.core.envelope import (
    ReferenceBlob,
    open_envelope,
    owner_of,
    payload_of_living,
    seal,
    seal_filling,
    seal_tombstone,
)
from dualcache.errors import DecodeError, UnencodableValue

KEY = "shop:user:1"
VERSION = b"12345678"
PACKED = Packed(CodecId.MSGPACK, 0, b"payload")


def sealed(
    payload: bytes = b"payload", *, fresh_ms: int | None = 1000, tags: tuple[Tag, ...] = ()
) -> bytes:
    packed = Packed(CodecId.MSGPACK, 0, payload)
    return seal(KEY, packed, version=VERSION, created_ms=5, fresh_ms=fresh_ms, load_ms=7, tags=tags)


def reason_of(raw: bytes, key: str = KEY) -> str:
    with pytest.raises(DecodeError) as caught:
        open_envelope(key, raw)
    reason = vars(caught.value)["reason"]
    assert isinstance(reason, str)
    return reason


def with_check(raw: bytes) -> bytes:
    """Give `raw` the checksum it should have, as a writer with other intentions could."""
    from zlib import crc32

    check = crc32(raw[8:], crc32(KEY.encode() + raw[:4]))
    return raw[:4] + check.to_bytes(4, "big") + raw[8:]


@given(
    key=st.text(),
    payload=st.binary(),
    codec=st.integers(0, 255).filter(lambda codec: codec != CodecId.REFERENCE),
    flags=st.integers(0, 3),
    version=st.binary(min_size=8, max_size=8),
    created_ms=st.integers(0, 2**64 - 1),
    fresh_ms=st.none() | st.integers(0, 2**32 - 2),
    load_ms=st.integers(0, 2**32 - 2),
    tags=st.lists(st.builds(Tag, st.text(), st.binary(min_size=8, max_size=8)), max_size=3),
)
def test_a_value_opens_as_it_was_sealed(
    key: str,
    payload: bytes,
    codec: int,
    flags: int,
    version: bytes,
    created_ms: int,
    fresh_ms: int | None,
    load_ms: int,
    tags: list[Tag],
) -> None:
    raw = seal(
        key,
        Packed(codec, flags, payload),
        version=version,
        created_ms=created_ms,
        fresh_ms=fresh_ms,
        load_ms=load_ms,
        tags=tags,
    )
    stored = open_envelope(key, raw)
    assert stored.kind is Kind.VALUE
    assert (stored.codec, stored.flags, stored.payload) == (codec, flags, payload)
    assert (stored.version, stored.created_ms, stored.fresh_ms) == (version, created_ms, fresh_ms)
    assert (stored.load_ms, stored.tags) == (load_ms, tuple(tags))


def test_the_layout_is_the_documented_one() -> None:
    raw = sealed(tags=(Tag("t:a", b"idididid"),))
    assert raw[:4] == b"\xdc\x12\x01\x10"
    assert raw[8:16] == VERSION
    assert raw[16:24] == (5).to_bytes(8, "big")
    assert raw[24:28] == (1000).to_bytes(4, "big")
    assert raw[28:32] == (7).to_bytes(4, "big")
    assert raw[32:] == b"\x00\x01idididid\x00\x03t:apayload"


def test_an_entry_without_tags_has_no_bytes_for_them() -> None:
    assert sealed()[HEADER_BYTES:] == b"payload"


def test_filling_and_tombstone_are_a_header_and_nothing_else() -> None:
    filling = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300)
    tombstone = seal_tombstone(KEY, token=VERSION, created_ms=5)
    assert len(filling) == len(tombstone) == HEADER_BYTES
    opened = open_envelope(KEY, filling)
    assert (opened.kind, opened.version, opened.load_ms) == (Kind.FILLING, VERSION, 300)
    assert open_envelope(KEY, tombstone).kind is Kind.TOMBSTONE


OWNER = b"function"


@pytest.mark.parametrize("tags", [(), (Tag("t:a", b"idididid"),)])
def test_an_owner_stands_behind_the_header_and_before_the_tags(tags: tuple[Tag, ...]) -> None:
    raw = seal(
        KEY,
        PACKED,
        version=VERSION,
        created_ms=5,
        fresh_ms=1000,
        load_ms=7,
        tags=tags,
        owner=OWNER,
    )
    assert raw[3] == (0x50 if tags else 0x40)
    assert raw[HEADER_BYTES : HEADER_BYTES + 8] == OWNER == owner_of(raw[: HEADER_BYTES + 8])
    assert open_envelope(KEY, raw) == open_envelope(KEY, sealed(tags=tags))


@pytest.mark.parametrize("tags", [(), (Tag("t:a", b"idididid"),)])
def test_a_lease_has_the_owner_of_its_load(tags: tuple[Tag, ...]) -> None:
    filling = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300, tags=tags, owner=OWNER)
    assert owner_of(filling) == OWNER
    opened = open_envelope(KEY, filling)
    assert (opened.kind, opened.version, opened.tags) == (Kind.FILLING, VERSION, tags)


def test_what_has_no_owner_or_is_foreign_belongs_to_nobody() -> None:
    owned = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300, owner=OWNER)
    assert owner_of(sealed(b"p" * 40)) == b""
    assert owner_of(seal_tombstone(KEY, token=VERSION, created_ms=5)) == b""
    for foreign in (b"", b"x" * 60, owned[:39], b"\xdc\x22" + owned[2:], b"\xdb" + owned[1:]):
        assert owner_of(foreign) == b""


def test_an_owner_that_is_cut_off_is_noticed() -> None:
    owned = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300, owner=OWNER)
    assert reason_of(with_check(owned[:36])) == "length"


def test_a_duration_over_49_days_is_kept_in_seconds_rounded_up() -> None:
    assert open_envelope(KEY, sealed(fresh_ms=2**32 - 2)).fresh_ms == 2**32 - 2
    assert open_envelope(KEY, sealed(fresh_ms=2**32 + 1)).fresh_ms == 4_294_968_000
    assert open_envelope(KEY, sealed(fresh_ms=2**62)).fresh_ms == (2**32 - 2) * 1000


def test_times_that_do_not_fit_are_stored_as_the_nearest_that_do() -> None:
    raw = seal(KEY, PACKED, version=VERSION, created_ms=-1, fresh_ms=-1, load_ms=2**40)
    stored = open_envelope(KEY, raw)
    assert (stored.created_ms, stored.fresh_ms, stored.load_ms) == (0, 0, 2**32 - 2)


def test_a_large_payload_is_not_copied() -> None:
    payload = open_envelope(KEY, sealed(b"x" * 100_000)).payload
    assert isinstance(payload, memoryview)
    assert payload == b"x" * 100_000


@pytest.mark.parametrize("raw", [b"", b"x", b"\x80\x04N.", b'{"a": 1}', b"x" * 40])
def test_what_others_wrote_is_foreign(raw: bytes) -> None:
    assert reason_of(raw) == "foreign"


def test_what_is_cut_off_is_truncated() -> None:
    raw = sealed(tags=(Tag("t:a", b"idididid"),))
    assert reason_of(raw[:20]) == "truncated"
    assert reason_of(with_check(raw[:33])) == "truncated"
    assert reason_of(with_check(raw[:43])) == "truncated"
    assert reason_of(with_check(raw[:46])) == "truncated"
    assert reason_of(with_check(raw[:44] + b"\xff\xff\xff")) == "truncated"


def test_a_later_format_or_flag_is_of_the_future() -> None:
    raw = sealed()
    assert reason_of(b"\xdc\x22" + raw[2:]) == "future_format"
    assert reason_of(raw[:3] + b"\x08" + raw[4:]) == "future_format"


def test_a_format_that_never_was_is_foreign_and_a_kind_that_never_was_is_told() -> None:
    raw = sealed()
    assert reason_of(b"\xdc\x02" + raw[2:]) == "foreign"
    assert reason_of(b"\xdc\x17" + raw[2:]) == "kind"


def test_a_lease_tells_the_tags_that_its_load_depends_on() -> None:
    tags = (Tag("t:a", b"idididid"), Tag("t:b", b"otherid."))
    filling = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300, tags=tags)
    opened = open_envelope(KEY, filling)
    assert (opened.kind, opened.version, opened.tags) == (Kind.FILLING, VERSION, tags)


@pytest.mark.parametrize("tags", [(), (Tag("t:a", b"idididid"),)])
def test_a_lease_with_content_is_refused(tags: tuple[Tag, ...]) -> None:
    filling = seal_filling(KEY, token=VERSION, created_ms=5, load_ms=300, tags=tags)
    assert reason_of(with_check(filling + b"x")) == "length"


def test_a_value_of_another_key_is_refused() -> None:
    assert reason_of(sealed(), key="shop:user:2") == "checksum"


@given(bit=st.integers(0, len(sealed()) * 8 - 1))
def test_every_flipped_bit_is_noticed(bit: int) -> None:
    raw = bytearray(sealed())
    raw[bit // 8] ^= 1 << bit % 8
    reason_of(bytes(raw))


@given(raw=st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: sealed()[:24] + tail))
def test_hostile_bytes_are_a_decode_error_or_a_value(raw: bytes) -> None:
    for bytes_ in (raw, with_check(raw)):
        try:
            open_envelope(KEY, bytes_)
        except DecodeError as error:
            assert vars(error)["reason"]  # noqa: PT017  a value is as good


def test_a_reference_carries_the_object_itself() -> None:
    value = object()
    raw = seal(
        KEY,
        Packed(CodecId.REFERENCE, 0, value),  # the object rides along
        version=VERSION,
        created_ms=5,
        fresh_ms=None,
        load_ms=7,
        tags=(Tag("t:a", VERSION),),
    )
    assert type(raw) is ReferenceBlob
    stored = open_envelope(KEY, raw)
    assert stored.payload is value
    assert stored.tags == (Tag("t:a", VERSION),)
    assert reason_of(bytes(raw)) == "reference"


def test_more_or_longer_tags_than_fit_are_refused() -> None:
    with pytest.raises(UnencodableValue, match="65536 tags"):
        sealed(tags=(Tag("t", VERSION),) * 65536)
    with pytest.raises(UnencodableValue, match="65536 bytes"):
        sealed(tags=(Tag("t" * 65536, VERSION),))


# The tags of a value compared by their ids


NAMES = st.sampled_from(["~t:a", "~t:b", "~t:user:1", "~t:ä", "~t:" + "x" * 1020])
IDS = st.sampled_from([b"id-one--", b"id-two--", UNKNOWN_TAG_ID])


@given(
    tags=st.lists(st.builds(Tag, NAMES, IDS), max_size=3),
    asked=st.lists(IDS | st.none() | st.just(b"short"), max_size=3),
    owner=st.sampled_from([b"", b"function"]),
    shape=st.sampled_from([b"", b"of a type"[:8]]),
    payload=st.binary(max_size=20),
)
def test_tags_that_are_compared_by_their_ids_are_the_same_tags(
    tags: list[Tag],
    asked: list[bytes | None],
    owner: bytes,
    shape: bytes,
    payload: bytes,
) -> None:
    ids = dict(tags)
    tags = [Tag(name, tag_id) for name, tag_id in ids.items()]
    packed = Packed(CodecId.MSGPACK, 0, payload, shape)
    raw = seal(
        KEY, packed, version=VERSION, created_ms=5, fresh_ms=9, load_ms=7, tags=tags, owner=owner
    )
    payload_at = payload_of_living(raw, asked)
    whole = open_envelope(KEY, raw)
    if payload_at:
        assert [tag.id for tag in whole.tags] == asked
        assert open_envelope(KEY, raw, payload_at).payload == whole.payload == payload
    is_alive = [*ids.values()] == asked and UNKNOWN_TAG_ID not in asked
    assert bool(payload_at) is bool(tags and is_alive)


def test_the_names_of_signed_tags_have_to_be_read() -> None:
    tag = Tag("~t:a", b"id-one--")
    signed = Packed(CodecId.MSGPACK, SIGNED, b"payload")
    raw = seal(KEY, signed, version=VERSION, created_ms=5, fresh_ms=9, load_ms=7, tags=[tag])
    assert payload_of_living(raw, [tag.id]) == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        sealed()[:20],
        sealed(),
        seal_filling(KEY, token=VERSION, created_ms=5, load_ms=7, tags=[Tag("~t:a", b"id-one--")]),
    ],
)
def test_other_bytes_have_no_payload_behind_living_tags(raw: bytes) -> None:
    assert payload_of_living(raw, [b"id-one--"]) == 0


def test_tags_that_are_cut_off_are_not_alive() -> None:
    ids = [b"id-one--", b"id-two--"]
    tags = [Tag(f"~t:{tag_id.decode()}", tag_id) for tag_id in ids]
    raw = seal(KEY, PACKED, version=VERSION, created_ms=5, fresh_ms=9, load_ms=7, tags=tags)
    payload_at = payload_of_living(raw, ids)
    for length in range(HEADER_BYTES, payload_at):
        assert payload_of_living(raw[:length], ids) in {0, payload_at}
    assert payload_of_living(raw[: HEADER_BYTES + 1], ids) == 0
