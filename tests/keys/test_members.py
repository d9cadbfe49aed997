from __future__ import annotations

import enum
from typing import Any, Literal

import pytest

from dualcache.errors import KeyTemplateError
from dualcache.keys.annotations import is_free_text
from dualcache.keys.members import check_members, members_of
from dualcache.keys.templates import parse_template


class Kind(enum.Enum):
    A = "a"
    AB = "a_b"


class State(enum.Enum):
    C = "c"
    BC = "b_c"


class Step(enum.StrEnum):
    IN_PROGRESS = "in_progress"
    NEW = "new"


class Odd(enum.Enum):
    LOCK = object()
    OTHER = "other"


class Bits(enum.Flag):
    A = 1


@pytest.mark.parametrize(
    ("annotation", "members"),
    [
        (Kind, (Kind.A, Kind.AB)),
        (Kind | None, (Kind.A, Kind.AB, None)),
        (None, (None,)),
        (Literal[Kind.A], (Kind.A,)),
        (Kind | int, None),
        (Bits, None),
        (str, None),
        (list[Kind], None),
    ],
)
def test_the_values_of_an_annotation_are_listed_where_they_can_be(
    annotation: Any, members: tuple[Any, ...] | None
) -> None:
    assert members_of(annotation) == members


def check(template: str, annotations: dict[str, Any]) -> None:
    check_members(
        parse_template(template),
        lambda name: is_free_text(annotations[name]),
        lambda name: members_of(annotations[name]),
    )


@pytest.mark.parametrize(
    ("template", "one", "other"),
    [
        ("{one}_{other}", Kind, State),
        ("{one}_{other}", Kind | None, State | None),
        ("{one}_{other}", Kind, str),
        ("x:{other}_{one}", State, str),
    ],
)
def test_members_that_hold_what_stands_between_them_are_refused(
    template: str, one: Any, other: Any
) -> None:
    with pytest.raises(KeyTemplateError) as caught:
        check(template, {"one": one, "other": other})
    assert caught.value.code == "DC103"
    assert "members of an Enum" in caught.value.help


@pytest.mark.parametrize(
    ("template", "one", "other"),
    [
        ("{one}:{other}", Kind, State),
        ("{one}-{other}", Kind, State),
        ("{one}_{other}", Step, Step),
        ("{one}_{other}", Step, str),
        ("{other}_{one}", Step, str),
        ("{one}_{other}", Kind, int),
        ("{other}_{one}", State, int),
        ("{one}_{other}", Odd, str),
        ("{one.name}_{other}", Kind, str),
        ("{one!digest}_{other}", Kind, str),
        ("{one:>5}_{other}", Kind, str),
        ("{one}_{other}", int, int),
    ],
)
def test_templates_that_can_be_read_in_one_way_are_taken(
    template: str, one: Any, other: Any
) -> None:
    check(template, {"one": one, "other": other})
