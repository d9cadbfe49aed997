"""What a key does not show, and what tells two models apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from dualcache.keys.annotations import is_free_text
from dualcache.keys.canonical import canonical, digested
from dualcache.keys.templates import built_name, check_unambiguous, parse_template

SESAME = "open-sesame"


@dataclass
class Login:
    user: str
    password: str | None = None


class Patch(pydantic.BaseModel):
    name: str | None = None
    api_key: str | None = None


class Open(pydantic.BaseModel, extra="allow"):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    user: str = ""


@pytest.mark.parametrize(
    "value",
    [
        Login("bob", SESAME), [Login("bob", SESAME)], {"login": {"password": SESAME}},
        Patch(api_key=SESAME), Open.model_validate({"access_token": SESAME}),
        {"X-API-Key": [SESAME]},
    ],
)  # fmt: skip
def test_fields_and_items_that_are_called_secrets_are_digested(value: object) -> None:
    assert SESAME not in canonical(value)


def test_hidden_values_are_still_told_apart_and_none_is_no_secret() -> None:
    forms = [canonical(Login("bob", password)) for password in ("a", "b", None)]
    assert len(set(forms)) == 3
    assert forms[2].endswith("password=None)")
    assert canonical({"password": "a"}) != canonical({"password": b"a"})


def test_a_field_that_was_set_is_told_from_one_that_was_not() -> None:
    assert canonical(Patch()) != canonical(Patch(name=None))
    assert canonical(Patch(name=None)) != canonical(Patch(api_key=None))
    assert canonical(Patch(name="a")) == canonical(Patch(name="a"))
    assert canonical(Patch(name="a")) != canonical(Patch(name="a", api_key=None))
    assert canonical(Open.model_validate({"a": 1})) != canonical(Open())
    assert canonical(Checked()) == canonical(Checked(user=""))


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("session:{token}", {"token": SESAME}),
        ("session:{login.password}", {"login": Login("bob", SESAME)}),
        ("session:{headers[authorization]}", {"headers": {"authorization": SESAME}}),
        ("session:{passwords[0]}", {"passwords": [SESAME]}),
        ("session:{token:>20}", {"token": SESAME}),
        ("session:{sid!digest}", {"sid": SESAME}),
    ],
)
def test_a_placeholder_that_names_a_secret_is_digested(
    template: str, values: dict[str, Any]
) -> None:
    name = built_name(template, values)
    assert SESAME not in name
    assert len(name) == len("session:~") + 32


def test_a_secret_has_one_name_whatever_its_placeholder_is_called() -> None:
    by_name = built_name("session:{token}", {"token": SESAME})
    assert built_name("session:{sid!digest}", {"sid": SESAME}) == by_name
    assert built_name("session:{login[token]}", {"login": {"token": SESAME}}) == by_name
    assert built_name("session:{token!s}", {"token": SESAME}) == f"session:{SESAME}"
    assert built_name("session:{token}", {"token": None}) == "session:None"
    assert built_name("{token}", {"token": SESAME}).startswith("%7E")


def test_a_digest_cannot_run_into_its_neighbour() -> None:
    check_unambiguous(parse_template("{token}_{name}"), lambda _: is_free_text(str))


def test_a_hidden_value_is_told_apart_by_type_too() -> None:
    assert digested(None) == "None"
    assert digested(1) != digested("1")
    assert len(digested(SESAME)) == 33
