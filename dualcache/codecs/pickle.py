"""Pickle. Bytes get here only after their signature was verified; see `codecs/sign.py`."""

from __future__ import annotations

from typing import Any, Final

from dualcache.core.codec_ids import CodecId

__all__ = ["PickleForm"]

_PROTOCOL: Final = 5


class PickleForm:
    """Encodes by pickle; the signature must be verified before decoding."""

    __slots__ = ()

    id = CodecId.PICKLE

    def encode(self, value: Any) -> bytes:
        import pickle

        return pickle.dumps(value, _PROTOCOL)

    def decode(self, data: bytes | memoryview) -> Any:
        import pickle

        return pickle.loads(data)  # noqa: S301  signed by us
