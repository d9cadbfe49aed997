from __future__ import annotations

import pytest

from dualcache.keys.digests import digest, is_credential, is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "password", "new_password", "userPassword", "secret",
        "client_secret", "authorization", "Authorization", "X-Auth-Token", "api_key", "apiKey",
        "APIKey", "apikey", "X-API-Key", "JWT", "id_token", "tokens", "credentials", "cookie",
        "token2", "_token", "HTTPAuthorization",
    ],
)  # fmt: skip
def test_a_name_says_that_it_holds_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "token_id", "max_tokens", "token_count", "num_tokens", "is_secret", "has_password",
        "password_id", "user_id", "key", "tokenizer", "secretary", "author", "total_tokens",
        "passenger", "token_type", "secret_name", "cookie_max_age", "", "_", "x", "session_id",
    ],
)  # fmt: skip
def test_a_name_about_a_secret_or_of_something_else_is_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_digest_has_one_form_and_tells_texts_apart() -> None:
    assert digest("a") == digest("a") != digest("b")
    assert digest("\ud800").startswith("~")
    assert len(digest("a" * 10_000)) == 33


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Bearer abc", True),
        ("bearer   abc", True),
        ("Basic YW5uOmh1c2g=", True),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x", True),
        ("Bearer", False),
        ("bearer-of-news", False),
        ("eyJ", False),
        ("ann", False),
        (5, False),
        (None, False),
    ],
)
def test_what_stands_in_an_authorization_header_is_a_credential(
    value: object, expected: bool
) -> None:
    assert is_credential(value) is expected
