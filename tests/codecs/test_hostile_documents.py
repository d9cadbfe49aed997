"""Forged documents in the tagged form: whatever they say, they cost what their length allows."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from msgspec import msgpack

from dualcache.codecs import tagged
from dualcache.codecs.hashing import MOST_ALIKE
from dualcache.codecs.shapes import shape_of
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import Packed
from dualcache.errors import DecodeError, UnencodableValue
from tests.codecs.test_kept_types import KEPT
from tests.codecs.test_value_codec import Model, reason_of

RANDOM_DOCUMENTS: Final = 20_000
STRUCTURED_DOCUMENTS: Final = 5_000
MOST_SECONDS: Final = 0.05
"""Processor time of one document; the largest that is made here has some hundred bytes."""
MOST_TIMES_LONGER: Final = 200
"""How many bytes a byte of a document may become: MessagePack spells an empty dict in one."""

WIDE: Final = {9: [0, 30_000_000, 1]}
TINY: Final = [
    {3: WIDE},
    {4: WIDE},
    {5: WIDE},
    {6: WIDE},
    {4: {3: WIDE}},
    {17: ["collections.deque", WIDE]},
    {17: ["collections.Counter", WIDE]},
    {17: ["collections.defaultdict", WIDE]},
    {7: 30_000_000},
    {7: WIDE},
    {2: 30_000_000},
    {1: 30_000_000},
    {1: WIDE},
    {15: 30_000_000},
    {16: "1e30000000"},
    {16: ["1e30000000", 1]},
    {16: [1.5, 1]},
    {14: 1e300},
    {14: ["1e30000000"]},
    {9: [0, "1e9", 1]},
    {9: {3: [0, 1, 1]}},
    {10: WIDE},
    {11: WIDE},
    {12: WIDE},
    {13: WIDE},
    {13: [1e300, 0, 0]},
    {8: ["1", 2]},
    {17: WIDE},
    {18: WIDE},
    {18: ["builtins:str", "a" * 9]},
]


@contextmanager
def at_most(seconds: float, document: object) -> Generator[None, None, None]:
    """Bound the processor time of the block.

    No garbage is collected meanwhile: a full collection takes as long as the objects of all other
    tests want, and falls into whichever block happens to be running.
    """
    gc.disable()
    try:
        began = time.thread_time()
        yield
        took = time.thread_time() - began
    finally:
        gc.enable()
    assert took < seconds, document


@pytest.mark.parametrize("document", TINY, ids=repr)
def test_a_few_bytes_never_become_many(document: object) -> None:
    with at_most(MOST_SECONDS, document), pytest.raises(DecodeError):
        tagged.decode(msgpack.encode(document))


def test_a_number_of_a_fraction_has_a_limit() -> None:
    fits, over = Fraction(1, 2**8_000), Fraction(1, 2**8_200)
    assert tagged.decode(tagged.encode(fits)) == fits
    with pytest.raises(UnencodableValue, match="1024 bytes"):
        tagged.encode([over])
    number = over.denominator
    forged = {16: [1, {1: number.to_bytes(number.bit_length() // 8 + 1, "little")}]}
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode(forged))


@pytest.mark.parametrize("number", [0, 5, -1, 2**63, 2**64 - 1, -(2**63)])
def test_a_number_is_spelled_in_one_way(number: int) -> None:
    for length in (number.bit_length() // 8 + 1, 20):
        body = number.to_bytes(length, "little", signed=True)
        with pytest.raises(DecodeError):
            tagged.decode(msgpack.encode({1: body}))
    padded = (2**70).to_bytes(12, "little", signed=True)
    with pytest.raises(DecodeError):
        tagged.decode(msgpack.encode({1: padded}))


ALIKE: Final = [number * (2**61 - 1) for number in range(100, 20_000)]
"""Numbers that all have the hash 0: a set of them takes seconds, where nothing bounds it."""


@pytest.mark.parametrize("wrap", [set, frozenset, dict.fromkeys])
@pytest.mark.parametrize("kind", [int, Decimal, Fraction, lambda number: (number, 1), UUID])
def test_items_of_one_hash_are_no_way_to_keep_a_process_busy(wrap: Any, kind: Any) -> None:
    numbers = ALIKE[: MOST_ALIKE + 2]
    few = [UUID(int=number) if kind is UUID else kind(number) for number in numbers]
    data = tagged.encode(wrap(few))
    with pytest.raises(DecodeError):
        tagged.decode(data)
    assert tagged.decode(tagged.encode(wrap(few[2:]))) == wrap(few[2:])


def test_many_items_of_one_hash_are_refused_at_once() -> None:
    bodies = [{1: number.to_bytes(number.bit_length() // 8 + 1, "little")} for number in ALIKE]
    data = msgpack.encode({5: bodies})
    # 0.4 MB: minutes, if they were compared
    with at_most(10 * MOST_SECONDS, "many"), pytest.raises(DecodeError):
        tagged.decode(data)


def test_many_items_of_few_hashes_each_are_kept() -> None:
    grid = {(x, y) for x in range(-150, 150) for y in range(-99, 99)}  # -1 and -2 have one hash
    assert tagged.decode(tagged.encode(grid)) == grid


def test_random_bytes_are_a_decode_error_or_a_value() -> None:
    chance = random.Random(11)
    for _ in range(RANDOM_DOCUMENTS):
        decoded(chance.randbytes(chance.randrange(40)))


VALUES: Final = [
    *KEPT,
    [1, 2.5, "text", b"bytes", None, True, 2**70, -(2**70), "\ud800"],
    {"a": {1: (1, {2}, frozenset({3}))}, (1, 2): bytearray(b"x")},
    [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=ZoneInfo("Europe/Paris"))],
    [Decimal("1.10"), UUID(int=7), Fraction(1, 3), 1 + 2j, range(1, 10, 2)],
]
NUMBERS: Final = [None, True, 0, -1, 1, 2**64 - 1, -(2**63), 30_000_000, 0.0, 1e300]
TEXTS: Final = ["", "1e30000000", "a", "Europe/Paris", "collections.deque", "collections.Counter"]
LEAVES: Final[list[Any]] = [*NUMBERS, *TEXTS, b"", b"1" * 16, b"\xff" * 20, [], {}]
TAGS: Final = range(21)


def test_structured_documents_cost_what_their_length_allows() -> None:
    chance = random.Random(12)
    plain = [msgpack.decode(tagged.encode(value)) for value in VALUES]
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(STRUCTURED_DOCUMENTS):
            document = grown(chance, 4) if chance.random() < 0.5 else mutated(chance, plain)
            data = msgpack.encode(document)
            held, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            with at_most(MOST_SECONDS, document):
                decoded(data)
            peak = tracemalloc.get_traced_memory()[1] - held
            assert peak < 100_000 + MOST_TIMES_LONGER * len(data), document
    finally:
        tracemalloc.stop()


def decoded(data: bytes) -> Any:
    """Return the value, or nothing where there is none; only a `DecodeError` may be raised."""
    with suppress(DecodeError):
        return tagged.decode(data)
    return None


def grown(chance: random.Random, depth: int) -> Any:
    """Return a document of tags, lists and odd leaves."""
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(LEAVES)
    if chance.random() < 0.4:
        return [grown(chance, depth - 1) for _ in range(chance.randrange(10))]
    return {chance.choice(TAGS): grown(chance, depth - 1)}


def mutated(chance: random.Random, plain: list[Any]) -> Any:
    """Return a document that `encode` wrote, but for one or two places."""
    document = chance.choice(plain)
    for _ in range(chance.randrange(1, 3)):
        document = changed(chance, document)
    return document


def changed(chance: random.Random, document: Any) -> Any:
    if isinstance(document, list) and document and chance.random() < 0.8:
        at = chance.randrange(len(document))
        part = changed(chance, document[at])
        return [*document[:at], *[part] * chance.randrange(3), *document[at + 1 :]]
    if isinstance(document, Mapping) and document and chance.random() < 0.8:
        ((tag, body),) = document.items()
        new = tag if chance.random() < 0.7 else chance.choice(TAGS)
        return {new: changed(chance, body)}
    return grown(chance, 2)


@dataclass
class Row:
    id: int
    price: Decimal


@pytest.mark.parametrize("annotation", [Row, Model, list[Row], dict[str, Any]])
def test_no_reader_of_the_tagged_form_lets_few_bytes_become_many(annotation: Any) -> None:
    value_codec = make_value_codec(annotation)
    for codec in (CodecId.TAGGED, CodecId.TYPED, CodecId.MODEL_TAGGED):
        for document in TINY:
            packed = Packed(codec, 0, msgpack.encode(document), shape_of(annotation).own)
            assert reason_of(value_codec, packed) in {"payload", "unknown_type", "untyped"}
