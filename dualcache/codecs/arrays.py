"""Arrays of numpy and frames of pandas, polars and pyarrow, in their own safe binary forms.

These are `npy` without pickle, and Arrow's IPC file. They are kept and read only in a process that
has asked for it by `codec="numpy"` or `codec="arrow"`: no other reader parses a frame. Nothing is
imported before such a value is stored or read.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.codec_ids import unknown_type
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ARRAY_CODECS", "allow", "parts_of", "raised"]


class _Binary(NamedTuple):
    """How the values of one type become bytes and come back; `write` may return `None`."""

    codec: str
    module: str
    kind: str
    write: Callable[[Any], bytes | None]
    read: Callable[[bytes], Any]


_allowed: Final[set[str]] = set()
_VERSION: Final = (1, 0)
"""Of the `npy` format: the only one that is kept and read."""
_MOST_HEADER_BYTES: Final = 10_000


def allow(codec: str) -> None:
    """Let values of a codec be kept and read; raise `UsageError` where its library is missing."""
    needed = ARRAY_CODECS[codec]
    if all(find_spec(name) is None for name in needed):
        raise UsageError(
            f'codec="{codec}" needs {" or ".join(needed)}, which is not installed',
            code="DC186",
            help=f"pip install 'dualcache[{codec}]'",
        )
    _allowed.add(codec)


def parts_of(value: Any) -> tuple[str, bytes] | None:
    """Return the stored name of a value's type and its bytes; `None` if it is not kept here."""
    if not _allowed:
        return None
    kind = type(value)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    binary = _BINARIES.get(name)
    if binary is None or binary.codec not in _allowed or _class_of(binary) is not kind:
        return None
    data = binary.write(value)
    return None if data is None else (name, data)


def raised(name: str, data: Any) -> Any:
    """Read the bytes of an array or a frame, of a codec that this process has asked for."""
    binary = _BINARIES[name]
    if type(data) is not bytes:
        raise TypeError
    if binary.codec not in _allowed:
        raise unknown_type(name)
    return binary.read(data)


def _class_of(binary: _Binary) -> object:
    return getattr(sys.modules.get(binary.module), binary.kind, None)


def _write_array(array: Any) -> bytes | None:
    if array.dtype.hasobject:  # only pickle would keep it
        return None
    buffer = BytesIO()
    try:
        _numpy().lib.format.write_array(buffer, array, _VERSION, allow_pickle=False)
    except ValueError:  # fields of more than 64 KiB, or named beyond Latin-1
        return None
    data = buffer.getvalue()
    # numpy refuses to read a longer header, for safety.
    return data if int.from_bytes(data[8:10], "little") <= _MOST_HEADER_BYTES else None


def _read_array(data: bytes) -> Any:
    """Read an `npy` file whose header says just as many bytes as there are.

    Otherwise a few bytes could ask for any amount of memory.
    """
    numpy, buffer = _numpy(), BytesIO(data)
    if numpy.lib.format.read_magic(buffer) != _VERSION:
        raise ValueError
    shape, is_fortran, dtype = numpy.lib.format.read_array_header_1_0(buffer)
    start = buffer.tell()
    if dtype.hasobject or prod(shape) * dtype.itemsize != len(data) - start:
        raise ValueError
    flat = numpy.frombuffer(bytearray(data[start:]), dtype)  # writable, as the array was
    return flat.reshape(shape, order="F" if is_fortran else "C")


def _numpy() -> Any:
    return import_module("numpy")


def _write_table(table: Any) -> bytes:
    arrow, sink = import_module("pyarrow"), BytesIO()
    with arrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _read_table(data: bytes) -> Any:
    table = import_module("pyarrow").ipc.open_file(BytesIO(data)).read_all()
    table.validate(full=True)
    return table


def _write_pandas(frame: Any) -> bytes:
    return _write_table(import_module("pyarrow").Table.from_pandas(frame))


def _write_polars(frame: Any) -> bytes:
    buffer = BytesIO()
    frame.write_ipc(buffer)
    return buffer.getvalue()


ARRAY_CODECS: Final = {"numpy": ("numpy",), "arrow": ("pyarrow", "polars")}
"""The codecs of arrays and frames, and the libraries of which each needs one."""
_LISTED: Final = (
    _Binary("numpy", "numpy", "ndarray", _write_array, _read_array),
    _Binary("arrow", "pyarrow", "Table", _write_table, _read_table),
    _Binary(
        "arrow", "pandas", "DataFrame", _write_pandas, lambda data: _read_table(data).to_pandas()
    ),
    _Binary(
        "arrow",
        "polars",
        "DataFrame",
        _write_polars,
        lambda data: import_module("polars").read_ipc(BytesIO(data)),
    ),
)
_BINARIES: Final = {f"{each.module}.{each.kind}": each for each in _LISTED}
"""By the stored name. Part of the stored format: a name is never given another meaning."""
