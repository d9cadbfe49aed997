from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.errors import KeyTemplateError, UnkeyableArgument, UsageError
from dualcache.keys.placeholders import Template
from dualcache.keys.templates import (
    built_name,
    check_names,
    check_unambiguous,
    literal_prefix,
    parse_template,
    render,
)


def rendered(template: str, typed: bool = False, **values: object) -> str:
    return render(parse_template(template), values, typed)


@pytest.mark.parametrize(
    ("template", "values", "name"),
    [
        ("user:{user_id}", {"user_id": 5}, "user:5"),
        ("{req.user.id}", {"req": SimpleNamespace(user=SimpleNamespace(id=7))}, "7"),
        ("d:{data[name]}:{data[0]}", {"data": {"name": "a b", 0: "z"}}, "d:a%20b:z"),
        ("p:{page:03d}", {"page": 5}, "p:005"),
        ("t:{when:%H:%M}", {"when": datetime(2024, 1, 2, 3, 4, tzinfo=UTC)}, "t:03%3A04"),
        ("{{x}}:{x}", {"x": 1}, "{x}:1"),
        ("f:{path!s}", {"path": PurePosixPath("/a b")}, "f:/a%20b"),
        ("f:{number!s:>3}", {"number": 5}, "f:%20%205"),
        ("f:{items!s}", {"items": [1]}, "f:list(1)"),
        ("a b\n:{x}", {"x": "é:"}, "a%20b%0A:é%3A"),
        ("no placeholder", {}, "no%20placeholder"),
        ("{x}", {"x": "~t"}, "%7Et"),
        ("{x}", {"x": ""}, ""),
        ("x~{x}", {"x": "~t"}, "x~~t"),
        ("", {}, ""),
    ],
)
def test_a_template_is_written_as_str_format_would_with_values_escaped(
    template: str, values: dict[str, Any], name: str
) -> None:
    assert rendered(template, **values) == name


@pytest.mark.parametrize("template", ["u:{x}", "u:{x!s}", "u:{x:>1}"])
def test_typed_placeholders_tell_a_number_from_its_text(template: str) -> None:
    assert rendered(template, x=1) == rendered(template, x="1")
    assert rendered(template, typed=True, x=1) != rendered(template, typed=True, x="1")


@given(st.text(), st.text(), st.text(), st.text())
def test_two_values_with_a_colon_between_are_told_apart(a: str, b: str, c: str, d: str) -> None:
    assert (rendered("{a}:{b}", a=a, b=b) == rendered("{a}:{b}", a=c, b=d)) is ((a, b) == (c, d))


@given(st.text())
def test_no_value_makes_an_internal_name(value: str) -> None:
    assert not rendered("{x}", x=value).startswith("~")


def test_a_template_knows_its_names_and_its_literal_start() -> None:
    template = parse_template("user:{b.x}:{a}:{b[y]}")
    assert template.names == ("b", "a")
    assert template.text == "user:{b.x}:{a}:{b[y]}"
    assert literal_prefix(template) == "user:"
    assert [field.is_plain for field in template.fields] == [False, True, False]
    assert literal_prefix(parse_template("{a}")) == ""
    assert literal_prefix(parse_template("")) == ""
    assert isinstance(template, Template)


@pytest.mark.parametrize(
    ("template", "place", "told"),
    [
        ("a{", (1, 2), "is never closed"),
        ("a{b", (1, 2), "is never closed"),
        ("a}b", (1, 2), "closes no placeholder"),
        ("{a}}", (3, 4), "closes no placeholder"),
        ("x{}", (1, 3), "names no parameter"),
        ("x{ }", (1, 4), "names no parameter"),
        ("x{0}", (1, 4), "is not a parameter, attribute or item"),
        ("x{a b}", (1, 6), "is not a parameter, attribute or item"),
        ("x{a.}", (1, 5), "is not a parameter, attribute or item"),
        ("x{a[}", (1, 5), "is not a parameter, attribute or item"),
        ("x{a:{b}}", (1, 7), "holds another placeholder"),
        ("x{a!r}", (1, 6), "has a conversion other than !s and !digest"),
        ("x{a!}", (1, 5), "has a conversion other than !s and !digest"),
    ],
)
def test_what_cannot_be_read_is_pointed_at(
    template: str, place: tuple[int, int], told: str
) -> None:
    with pytest.raises(KeyTemplateError) as caught:
        parse_template(template, what="tag template", owner="load()")
    start, end = place
    lines = str(caught.value).splitlines()
    assert lines[0] == "[DC101] tag template of load() cannot be read"
    assert lines[1] == f'  template  "{template}"'
    assert lines[2] == " " * (13 + start) + "^" * (end - start) + f" {told}"


def test_an_unknown_parameter_is_named_with_the_nearest() -> None:
    template = parse_template("user:{user_id}:{langg}", owner="get_user()")
    with pytest.raises(KeyTemplateError) as caught:
        check_names(template, ["user_id", "lang"], signature_text="get_user(user_id, lang)")
    assert f"dualcache.KeyTemplateError: {caught.value}" == (
        "dualcache.KeyTemplateError: [DC102] "
        "key template of get_user() names an unknown parameter\n"
        '  template  "user:{user_id}:{langg}"\n'
        "                            ^^^^^^^ not a parameter of get_user(user_id, lang)\n"
        "  help      did you mean {lang}?"
    )


def test_without_a_near_name_the_known_ones_are_told() -> None:
    template = parse_template("{zzz}")
    with pytest.raises(KeyTemplateError, match=r"it has \{user_id\}, \{lang\}"):
        check_names(template, ["user_id", "lang"], signature_text="f(user_id, lang)", owner="f()")
    with pytest.raises(KeyTemplateError, match="it has no parameters"):
        check_names(template, [], signature_text="f()")
    for values in ({}, {"id": 1}):
        with pytest.raises(KeyTemplateError, match=r"not a parameter of key\(…") as caught:
            built_name("{zzz}", values)
        assert caught.value.help == "give it a value: zzz=…"
    check_names(parse_template("{a.b}:{a}"), ["a"], signature_text="f(a)")


@pytest.mark.parametrize(
    "template",
    ["{a}_{b}", "{a}{b}", "x{a}-{n}-{b}", "{a.x}_{n.y}", "{n}{m}", "{a:>5}_{b}", "{a}{n:d}"],
)
def test_placeholders_that_cannot_be_told_apart_are_refused(template: str) -> None:
    with pytest.raises(KeyTemplateError, match="could give two calls the same key") as caught:
        check_unambiguous(parse_template(template), lambda name: name in "ab")
    assert caught.value.code == "DC103"
    assert "put a : between" in caught.value.help
    assert "annotate" in caught.value.help


@pytest.mark.parametrize(
    "template",
    ["{a}:{b}", "{a}_{n}", "{n}_{m}", "{a:03d}_{b}", "{n:04d}{m:02d}", "{a}_:_{b}", "{a}", "x"],
)
def test_placeholders_that_can_be_told_apart_are_taken(template: str) -> None:
    check_unambiguous(parse_template(template), lambda name: name in "ab")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("u:{x.id}", "dict has no attribute id"),
        ("u:{x[b]}", "dict has no item b"),
        ("u:{x[a][1]}", "no item 1"),
    ],
)
def test_a_field_that_is_not_there_is_pointed_at_without_the_value(
    template: str, told: str
) -> None:
    with pytest.raises(KeyTemplateError, match=told) as caught:
        rendered(template, x={"a": 12345})
    assert "12345" not in str(caught.value)
    assert caught.value.code == "DC104"


def test_a_format_that_does_not_fit_is_told_without_the_value() -> None:
    with pytest.raises(KeyTemplateError, match="str does not take this format") as caught:
        rendered("u:{x:03d}", x="secret")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_value_is_written_by_its_repr() -> None:
    for template in ("{x}", "{x!s}"):
        with pytest.raises(UnkeyableArgument):
            rendered(template, x=object())
    with pytest.raises(KeyTemplateError):
        rendered("{x!s:>5}", x=object())


def test_a_template_that_holds_control_characters_keeps_its_carets_in_line() -> None:
    with pytest.raises(KeyTemplateError) as caught:
        parse_template("a\n\0{")
    assert caught.value.details[0][1] == '"a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}{"'


def test_a_name_of_a_direct_call_is_escaped_fitted_and_told_apart() -> None:
    assert built_name("user:{id}", {"id": "a b:c"}) == "user:a%20b%3Ac"
    assert len(built_name("{text}", {"text": "x" * 10_000}).encode()) <= 512


def test_a_name_of_a_direct_call_needs_each_of_its_values() -> None:
    with pytest.raises(KeyTemplateError, match=r"did you mean \{user_id\}") as caught:
        built_name("user:{user_di}", {"user_id": 1})
    assert caught.value.code == "DC102"


def test_a_name_of_a_direct_call_is_never_empty() -> None:
    with pytest.raises(UsageError, match="empty"):
        built_name("{name}", {"name": ""})
