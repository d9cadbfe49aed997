"""Arrays and frames: kept by the codecs that ask for them, in forms that run nothing."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from msgspec import msgpack

from dualcache.codecs import arrays, tagged
from dualcache.codecs.compare import is_same
from dualcache.codecs.libraries import LIBRARIES
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import CodecId
from dualcache.errors import DecodeError, UnencodableValue, UsageError
from tests.codecs.test_value_codec import kept

if TYPE_CHECKING:
    from collections.abc import Iterator

BINARY: Final = 20


@pytest.fixture(autouse=True)
def allowed() -> Iterator[set[str]]:
    """What this process has asked for: nothing when a test begins."""
    before = set(arrays._allowed)
    arrays._allowed.clear()
    yield arrays._allowed
    arrays._allowed.clear()
    arrays._allowed.update(before)


class Array:
    """Stands in for an array where numpy is not installed."""

    def __init__(self, data: bytes) -> None:
        self.data = data


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, allowed: set[str]) -> type[Array]:
    """A library whose type is kept like an array."""
    allowed.add("numpy")
    monkeypatch.setitem(sys.modules, "arrays_of_ours", sys.modules[__name__])
    monkeypatch.setattr(Array, "__module__", "arrays_of_ours")
    binary = arrays._Binary(
        "numpy", "arrays_of_ours", "Array", lambda value: value.data or None, Array
    )
    monkeypatch.setitem(arrays._BINARIES, "arrays_of_ours.Array", binary)
    return Array


def test_what_is_kept_as_bytes_is_found_by_its_type_at_any_depth(fake: type[Array]) -> None:
    value = {"rows": [fake(b"abc"), (fake(b"d"),)]}
    back, packed = kept(value)
    assert is_same(back, value)
    assert packed.codec == CodecId.TAGGED
    with pytest.raises(UnencodableValue):
        make_value_codec().pack([fake(b"")])


def test_only_a_process_that_asked_for_them_keeps_and_reads_them(
    fake: type[Array], allowed: set[str]
) -> None:
    data = tagged.encode(fake(b"abc"))
    allowed.clear()
    with pytest.raises(DecodeError) as caught:
        tagged.decode(data)
    assert caught.value.reason == "unknown_type"
    with pytest.raises(UnencodableValue):
        tagged.encode(fake(b"abc"))


@pytest.mark.parametrize(
    "body", [None, [], ["numpy.ndarray"], ["no.such", b""], ["numpy.ndarray", "text"], [5, b""]]
)
def test_documents_that_are_no_arrays_are_refused(body: Any, allowed: set[str]) -> None:
    allowed.add("numpy")
    with pytest.raises(DecodeError) as caught:
        tagged.decode(msgpack.encode({BINARY: body}))
    assert caught.value.reason == "payload"


@pytest.mark.parametrize("codec", ["numpy", "arrow"])
def test_a_codec_whose_library_is_missing_is_refused(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "find_spec", lambda _: None)
    with pytest.raises(UsageError) as caught:
        make_value_codec(codec=codec)
    assert caught.value.code == "DC186"
    assert f"dualcache[{codec}]" in caught.value.help
    monkeypatch.setattr(arrays, "find_spec", lambda _: True)
    assert kept([1, (2,)], codec=codec)[0] == [1, (2,)]


needs_numpy = pytest.mark.skipif(not find_spec("numpy"), reason="numpy is not installed")
needs_arrow = pytest.mark.skipif(not find_spec("pyarrow"), reason="pyarrow is not installed")


@needs_numpy
@pytest.mark.parametrize(
    "dtype", ["f8", "f4", "i1", "u8", "?", "c16", "M8[ns]", "m8[s]", "U3", "S3", ">i4", "i4,f8"]
)
def test_arrays_come_back_as_they_were(dtype: str) -> None:
    numpy: Any = pytest.importorskip("numpy")
    for shape in ((), (0,), (4,), (2, 3)):
        array = numpy.zeros(shape, dtype)
        for each in (array, numpy.asfortranarray(array), array[..., ::-1] if shape else array):
            back = kept({"a": [each]}, codec="numpy")[0]["a"][0]
            assert (back.dtype, back.shape, type(back)) == (each.dtype, each.shape, type(each))
            assert back.tobytes() == each.tobytes()
            assert back.flags.writeable


@needs_numpy
def test_an_array_that_only_pickle_keeps_is_refused() -> None:
    numpy: Any = pytest.importorskip("numpy")
    value_codec = make_value_codec(codec="numpy")
    for value in (numpy.array([object()]), numpy.ma.masked_array([1])):
        with pytest.raises(UnencodableValue):
            value_codec.pack(value)


@needs_numpy
@pytest.mark.parametrize(
    ("fields", "name"), [(3, "é"), (3, "日"), (300, "f"), (1_000, "f"), (5_000, "f")]
)
def test_an_array_whose_header_could_not_be_read_is_refused(fields: int, name: str) -> None:
    numpy: Any = pytest.importorskip("numpy")
    array = numpy.zeros(2, [(f"{name}{n}", "i4") for n in range(fields)])
    if name == "é" or fields == 300:
        assert kept(array, codec="numpy")[0].dtype == array.dtype
    else:
        with pytest.raises(UnencodableValue):
            make_value_codec(codec="numpy").pack(array)


@needs_numpy
def test_a_header_that_says_more_than_there_is_takes_no_memory(allowed: set[str]) -> None:
    numpy: Any = pytest.importorskip("numpy")
    allowed.add("numpy")
    data = arrays._write_array(numpy.zeros(100)) or b""
    huge = data.replace(b"(100,)", b"(9**9)")
    pickled = data.replace(b"'<f8'", b"'|O'".ljust(5))
    for each in (
        huge,
        pickled,
        data[:-1],
        data + b"x",
        data[:20],
        b"",
        b"\x93NUMPY\x02" + data[7:],
        b"\x93NUMPY\x03" + data[7:],
    ):
        with pytest.raises(DecodeError) as caught:
            tagged.decode(msgpack.encode({BINARY: ["numpy.ndarray", each]}))
        assert caught.value.reason == "payload"


@needs_numpy
def test_scalars_of_numpy_come_back_as_what_they_were() -> None:
    numpy: Any = pytest.importorskip("numpy")
    values = [
        numpy.float64("nan"),
        numpy.bool_(True),
        numpy.datetime64("2026-01-01T00:00", "m"),
        numpy.datetime64("NaT", "s"),
        numpy.timedelta64(5, "D"),
        numpy.complex64(1 + 2j),
        numpy.str_("a"),
        numpy.int16(3),
    ]
    for value in values:
        row = {"value": value, "all": [(value,)]}
        back = kept(row)[0]
        assert is_same(back, row)
        assert type(back["value"]) is type(value)
        assert getattr(back["value"], "dtype", None) == getattr(value, "dtype", None)


@needs_arrow
def test_frames_come_back_as_they_were() -> None:
    arrow: Any = pytest.importorskip("pyarrow")
    table = arrow.table({"a": [1, 2, None], "b": ["x", "y", None]})
    assert kept([table], codec="arrow")[0][0].equals(table)


def test_frames_of_pandas_come_back_as_they_were() -> None:
    pandas: Any = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[3, 5])
    pandas.testing.assert_frame_equal(kept({"f": frame}, codec="arrow")[0]["f"], frame)


def test_frames_of_polars_come_back_as_they_were() -> None:
    polars: Any = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "y"]})
    assert kept((frame,), codec="arrow")[0][0].equals(frame)


def test_parts_that_are_no_scalars_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the table alone: numpy need not be installed."""

    def made(*arguments: Any) -> tuple[Any, ...]:
        return arguments

    number, moment = LIBRARIES["numpy.complex64"].made, LIBRARIES["numpy.datetime64"].made
    assert number(made, 1j) == (1j,)
    assert moment(made, ["m", 5, 3]) == (3, ("m", 5))
    assert moment(made, ["m", 1, -(2**63)]) == ("NaT", ("m", 1))
    assert moment(made, ["generic", 1, 3]) == (3,)
    for body in ([1, 5, 3], ["m", "5", 3], ["m", 5, 3.0], "m53"):
        with pytest.raises(TypeError):
            moment(made, body)
    with pytest.raises(TypeError):
        number(made, 1.0)
    numpy = ModuleType("numpy")
    vars(numpy)["datetime_data"] = lambda dtype: (dtype, 5)
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    value = SimpleNamespace(dtype="m", view=lambda _: 3)
    assert LIBRARIES["numpy.datetime64"].parts(value) == ["m", 5, 3]
