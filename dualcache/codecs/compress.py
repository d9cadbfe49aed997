"""Compression by zstd, and decompression that never yields more than a limit."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from dualcache.core.codec_ids import undecodable
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from dualcache.errors import DecodeError

__all__ = ["compressed", "decompressed", "require_zstd"]

_MODULE: Final = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
_LEVEL: Final = 3
_LEAST_WINDOW_LOG: Final = 10
_MOST_WINDOW_LOG: Final = 27


def require_zstd() -> None:
    """Raise `UsageError` where neither Python nor an installed package brings zstd."""
    if _zstd() is None:
        raise UsageError(
            "compression needs zstd, which this Python does not include",
            code="DC173",
            help="pip install 'dualcache[zstd]'",
        )


def compressed(data: bytes) -> bytes | None:
    """Return `data` as one zstd frame; `None` where that is no shorter.

    Needs what `require_zstd` asks for.
    """
    frame: bytes = import_module(_MODULE).compress(data, _LEVEL)
    return frame if len(frame) < len(data) else None


def decompressed(frame: bytes | memoryview, max_bytes: int) -> bytes:
    """Expand one zstd frame.

    Whatever size the frame declares, no more than `max_bytes` are produced, and no window is
    allotted that such an output cannot need. Raises `DecodeError`.
    """
    zstd = _zstd()
    if zstd is None:
        raise _refused("the payload is compressed, and zstd is not installed")
    window_log = min(max(max_bytes.bit_length(), _LEAST_WINDOW_LOG), _MOST_WINDOW_LOG)
    options: dict[Any, int] = {zstd.DecompressionParameter.window_log_max: window_log}
    try:
        reader = zstd.ZstdDecompressor(options=options)
        data: bytes = reader.decompress(frame, max_bytes + 1)
    except Exception as error:  # noqa: BLE001  MemoryError and whatever the library raises
        raise _refused("the payload is not a zstd frame", error) from None
    if len(data) > max_bytes:
        raise undecodable(
            "oversized", f"the payload expands to over {max_bytes} bytes", code="DC313"
        )
    if not reader.eof or reader.unused_data:
        raise _refused("the payload is not one whole zstd frame")
    return data


def _refused(what: str, cause: BaseException | None = None) -> DecodeError:
    return undecodable("compression", what, code="DC313", cause=cause)


def _zstd() -> ModuleType | None:
    try:
        return import_module(_MODULE)
    except ImportError:
        return None
