"""What is cached in the simulation, and what may be raised in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from dualcache.codecs.plain import PlainReaders
from dualcache.core.codec_ids import other_shape
from dualcache.core.entry import Packed, ValueCodec
from dualcache.engine.coherence import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.entry import PlainReader


class Violation(AssertionError):
    """A rule that must hold does not."""


class Cancelled(BaseException):
    """What is raised in a flow whose caller was cancelled."""


class LoadError(Exception):
    """What a failing load raises."""


class Value(NamedTuple):
    """What is cached: a version of the source, and which write put it there, if one did."""

    version: int
    writer: str = ""


def pack(value: Value) -> Packed:
    return Packed(1, 0, f"{value.version} {value.writer}".encode())


def unpack(_: str, stored: Any) -> Value:
    version, _, writer = bytes(stored.payload).decode().partition(" ")
    return Value(int(version), writer)


def copy(packed: Packed) -> Value:
    return unpack("", packed)


def plain(shape: bytes = b"") -> Callable[[bytes], PlainReader | None]:
    """Return the readers of entries that hits do not parse whole: most hits take this way."""
    return PlainReaders({1: lambda data: copy(Packed(1, 0, data))}, shape, 1_000).__getitem__


RECIPE: Final = ValueCodec(pack, unpack, copy, plain_reader=plain())


def release(shape: bytes) -> ValueCodec:
    """Return the value codec of a release whose types have this shape, and that reads no other."""

    def read(key: str, stored: Any) -> Value:
        if stored.shape != shape:
            raise other_shape(shape)
        return unpack(key, stored)

    return ValueCodec(
        lambda value: replace(pack(value), shape=shape), read, copy, plain_reader=plain(shape)
    )


OLD: Final = release(b"release1")
NEW: Final = release(b"release2")


def names_of_key(key: str) -> tuple[str, ...]:
    """Return all keys that there can be: the key, its base tag, its refresh lease, one tag."""
    return (key, f"~b:{key}", f"~r:{key}", f"~t:{key}")


def are_apart(names: tuple[str, ...]) -> bool:
    """Tell whether each name has a counter of its own; Python's hashes differ from run to run."""
    return len({hash(name) % BUCKETS for name in names}) == len(names)


KEY: Final = next(key for key in "kmnopqrs" if are_apart(names_of_key(key)))
OWNER: Final = b"function"
NAMES: Final = names_of_key(KEY)
TAG: Final = NAMES[-1]
OTHER: Final = next(key for key in "cdefghij" if are_apart((*NAMES, *names_of_key(key)[:-1])))
"""A key that only batches ask for, so that they are some of several."""
BOTH: Final = (*NAMES, *names_of_key(OTHER)[:-1])
BESIDE: Final = tuple(f"{KEY}~{shape.hex()}" for shape in (b"release1", b"release2"))
"""Where a release stores what it loads while an entry of the other is under the key."""
