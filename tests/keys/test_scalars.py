"""Values of one text, those of other libraries too."""

from __future__ import annotations

import ipaddress
import itertools
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import msgspec
import pydantic
import pydantic_core
import pytest

from dualcache.keys.annotations import is_free_text, is_keyable_annotation
from dualcache.keys.canonical import canonical, text

LOCAL_PART = "alice:sesame"


def numpy_class(name: str, *bases: type) -> type[Any]:
    """Make a class as NumPy has it: known by module and name alone."""
    return type(name, bases, {"__module__": "numpy"})


class Held:
    """Holds a Python number, as NumPy's scalars do."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def __int__(self) -> int:
        return int(self.number)

    def __float__(self) -> float:
        return float(self.number)

    def __bool__(self) -> bool:
        return bool(self.number)

    def __str__(self) -> str:
        return f"as printed: {self.number}"


INTEGER = numpy_class("integer", Held)
FLOATING = numpy_class("floating", Held)
INT64 = numpy_class("int64", INTEGER)
FLOAT32 = numpy_class("float32", FLOATING)
BOOL = numpy_class("bool", Held)
DATE = numpy_class("datetime64", Held)


@pytest.mark.parametrize(
    ("value", "form", "shown"),
    [
        (INT64(5), "numpy.int64(integer(5))", "5"),
        (FLOAT32(0.1), "numpy.float32(floating(0.1))", "0.1"),
        (BOOL(1), "bool(True)", "True"),
        (DATE("2024-01-02"), "numpy.datetime64(time(as%20printed%3A%202024-01-02))",
         "as%20printed%3A%202024-01-02"),
        (PurePosixPath("/a b"), "pathlib.PurePosixPath(Path(/a%20b))", "/a%20b"),
        (ipaddress.ip_address("::1"), "IPv6Address(%3A%3A1)", "%3A%3A1"),
        (ipaddress.ip_address("10.0.0.7"), "IPv4Address(10.0.0.7)", "10.0.0.7"),
        (pydantic_core.Url("http://a/b"), "Url(http%3A//a/b)", "http%3A//a/b"),
        (pydantic.HttpUrl("http://a/b?c"), "pydantic.networks.HttpUrl(Url(http%3A//a/b%3Fc))",
         "http%3A//a/b%3Fc"),
        (msgspec.UNSET, "msgspec.UnsetType(Unset(UNSET))", "UNSET"),
    ],
)  # fmt: skip
def test_scalars_of_other_libraries_have_a_form_and_a_text(
    value: object, form: str, shown: str
) -> None:
    assert canonical(value).replace("pathlib._local", "pathlib") == form
    assert text(value) == shown


def test_scalars_of_different_types_never_meet() -> None:
    values = [
        INT64(1), 1, FLOAT32(1), 1.0, BOOL(1), True, "/a", PurePosixPath("/a"),
        PureWindowsPath("/a"), pydantic.HttpUrl("http://a"), pydantic.AnyUrl("http://a"),
        "http://a/", ipaddress.ip_address("10.0.0.7"), ipaddress.ip_interface("10.0.0.7"),
        ipaddress.ip_network("10.0.0.7"), "10.0.0.7",
    ]  # fmt: skip
    for one, other in itertools.combinations(values, 2):
        assert canonical(one) != canonical(other)


@pytest.mark.parametrize("make", [pydantic.AnyUrl, pydantic.PostgresDsn])
def test_a_url_with_a_password_is_digested(make: Any) -> None:
    url = make(f"postgresql://{LOCAL_PART}@db/shop")
    assert "sesame" not in canonical(url)
    assert "alice" not in text(url)
    assert canonical(url) == canonical(make(f"postgresql://{LOCAL_PART}@db/shop"))
    assert canonical(url) != canonical(make(f"postgresql://{LOCAL_PART}2@db/shop"))


@pytest.mark.parametrize(
    ("annotation", "is_free"),
    [(INT64, False), (Path, True), (pydantic.HttpUrl, True), (ipaddress.IPv4Address, False)],
)
def test_annotations_of_scalars_are_keyable_and_tell_what_may_run_into_a_neighbour(
    annotation: type, is_free: bool
) -> None:
    assert is_keyable_annotation(annotation) is True
    assert is_free_text(annotation) is is_free
