"""The payload is the value itself: bytes, and text as UTF-8."""

from __future__ import annotations

from typing import Any

from dualcache.codecs.tagged import unencodable_type
from dualcache.core.codec_ids import CodecId

__all__ = ["RawBytesForm", "RawTextForm"]


class RawBytesForm:
    """Keeps `bytes` as they are."""

    __slots__ = ()

    id = CodecId.RAW_BYTES

    def encode(self, value: Any) -> bytes:
        if type(value) is not bytes:
            raise unencodable_type(type(value))
        return value

    def decode(self, data: bytes | memoryview) -> bytes:
        return bytes(data)


class RawTextForm:
    """Keeps `str`, lone surrogates too."""

    __slots__ = ()

    id = CodecId.RAW_TEXT

    def encode(self, value: Any) -> bytes:
        if type(value) is not str:
            raise unencodable_type(type(value))
        return value.encode("utf-8", "surrogatepass")

    def decode(self, data: bytes | memoryview) -> str:
        return str(data, "utf-8", "surrogatepass")
