"""Functions of many values, seen as functions of one."""
# mypy: disable-error-code="empty-body, no-untyped-def, name-defined, type-arg"
# pyright: reportMissingTypeArgument=false, reportMissingParameterType=false
# pyright: reportUndefinedVariable=false
# ruff: noqa: ANN001, ANN201, TC003, UP007

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypedDict, Union

import pytest

from dualcache import UsageError
from dualcache.keys.elements import element_signature
from dualcache.keys.signature import ABSENT


class Model:
    """Can be iterated over, as pydantic's models can."""

    def __iter__(self) -> Any:
        return iter(())


class Row(TypedDict):
    id: int


def sequence(ids: Sequence[int]) -> Mapping[int, str]: ...
def iterable(ids: Iterable[int] | None = None) -> dict[int, str] | None: ...
def annotated(ids: Annotated[list[int], "ids"]) -> Annotated[dict[int, str], "names"]: ...
def of_two_kinds(ids: Union[list[int], tuple[int, ...]]) -> dict[int, str]: ...
def with_a_model(model: Model, ids: set[int]) -> dict[int, str]: ...
def with_a_text(text: str, ids: frozenset[int]) -> dict[int, str]: ...
def by_keyword(*, ids: list[int]) -> dict[int, str]: ...


@pytest.mark.parametrize(
    "function",
    [sequence, iterable, annotated, of_two_kinds, with_a_model, with_a_text, by_keyword],
)
def test_the_annotations_become_those_of_one_value(function: Any) -> None:
    one = element_signature(function, "{id}", (), may_be_none=False)
    assert one.parameters[one.at] == "id"
    assert one.hints()["id"] is int
    assert "ids" not in one.hints()
    assert one.return_annotation() is str
    assert one.unresolved() == frozenset()


def bare(ids: list, names: str) -> dict: ...
def untyped(ids, names: str): ...
def whatever(ids: Any, names: str) -> Any: ...
def something(ids: object, names: str) -> object: ...
def later(ids: Later, names: str) -> Later: ...  # noqa: F821


@pytest.mark.parametrize("function", [bare, untyped, whatever, something, later])
def test_what_annotations_do_not_tell_is_absent(function: Any) -> None:
    one = element_signature(function, "{id}", (), may_be_none=True)
    assert one.parameters == ("id", "names")
    assert one.hints() == {"names": str}
    assert one.return_annotation() is ABSENT
    assert one.unresolved() == (frozenset({"id"}) if function is later else frozenset())


def test_a_value_that_may_be_missing_may_be_none() -> None:
    one = element_signature(sequence, "{id}", (), may_be_none=True)
    assert one.return_annotation() == str | None


def of_two(ids: Sequence[int], names: Sequence[str]) -> dict[int, str]: ...
def of_unknown(ids, names: Sequence[str]) -> dict[int, str]: ...


@pytest.mark.parametrize(
    ("function", "key", "ignore"),
    [(of_two, "{id}:{names}", ()), (of_two, "{id}", ["names"]), (of_unknown, "{id}:{names}", ())],
)
def test_a_sequence_that_the_key_names_or_that_is_ignored_does_not_hold_the_values(
    function: Any, key: str, ignore: Any
) -> None:
    assert element_signature(function, key, ignore, may_be_none=False).at == 0


@pytest.mark.parametrize(
    ("function", "kind"),
    [(sequence, list), (of_two_kinds, tuple), (with_a_model, set), (with_a_text, frozenset)],
)
def test_the_function_gets_its_values_as_it_is_annotated(function: Any, kind: type) -> None:
    one = element_signature(function, "{id}", (), may_be_none=False)
    assert one.collected([1, 2]) == kind([1, 2])


class Shelf:
    def load(self, ids) -> Row: ...


def test_the_object_of_a_method_holds_no_values() -> None:
    assert element_signature(Shelf.load, "{self.n}:{id}", (), may_be_none=False).at == 1


@pytest.mark.parametrize("key", ["{ids}", "{tenant}:{ids}:{ids}"])
def test_the_name_of_the_sequence_stands_for_one_value(key: str) -> None:
    one = element_signature(of_one_among_others, key, (), may_be_none=False)
    assert one.parameters == ("tenant", "ids")
    assert one.at == 1
    assert one.hints()["ids"] is int


def of_mapping(ids: dict[int, str]) -> dict[int, str]: ...
def of_text(ids: str) -> dict[int, str]: ...
def of_all(*ids: int, **names: str) -> dict[int, str]: ...
def of_nothing(ids: Sequence[int]) -> None: ...
def of_rows(ids: Sequence[int]) -> list[str]: ...
def of_one(s: Sequence[int]) -> dict[int, str]: ...
def of_one_among_others(tenant, ids: list[int]) -> dict[int, str]: ...
def of_one_of_two(tenant, ids): ...


@pytest.mark.parametrize(
    ("function", "key", "code"),
    [
        (of_mapping, "{id}", "DC420"),
        (of_text, "{id}", "DC420"),
        (of_all, "{id}", "DC420"),
        (of_two, "{id}", "DC420"),
        (of_nothing, "{id}", "DC422"),
        (of_rows, "{id}", "DC422"),
        (of_one, None, "DC421"),
        (of_one, "one", "DC421"),
        (of_one_among_others, "{tenant}", "DC421"),
        (of_one_of_two, "{tenant}", "DC421"),
        (of_one, "{id}:{other}", "DC421"),
    ],
)
def test_a_function_that_is_none_of_many_values_is_refused(
    function: Any, key: str | None, code: str
) -> None:
    with pytest.raises(UsageError) as caught:
        element_signature(function, key, None, may_be_none=False)
    assert caught.value.code == code
    assert caught.value.help
