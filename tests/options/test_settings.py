from __future__ import annotations

from datetime import timedelta

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.errors import UsageError
from dualcache.options.settings import KNOWN_VARIABLES, Settings, likely_address, read_environment
from dualcache.options.target import parse_url

SECRET = "s3cr3t:/?#@%é "


def refusal(**environ: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_environment(environ)
    (name,) = environ
    assert name in caught.value.what
    assert caught.value.__context__ is None
    return caught.value


def test_an_environment_that_says_nothing_gives_the_defaults() -> None:
    assert read_environment({"PATH": "/bin", "REDIS_URL": "redis://other"}) == Settings()
    assert Settings() == Settings(
        url=None, namespace="", ttl=None, front=None, enabled=True, warnings=()
    )


def test_an_address_for_other_programs_is_found_and_not_read() -> None:
    environ = {"CACHE_URL": "valkey://one", "REDIS_URL": "rediss://two", "VALKEY_URL": ""}
    assert likely_address(environ) == "REDIS_URL"
    assert likely_address({"CACHE_URL": "locmem://"}) is None
    assert read_environment(environ) == Settings()


def test_every_variable_of_dualcache_is_read() -> None:
    environ = {
        "DUALCACHE_URL": "redis://one",
        "DUALCACHE_NAMESPACE": "shop",
        "DUALCACHE_TTL": "5m",
        "DUALCACHE_FRONT": "1000",
        "DUALCACHE_ENABLED": "no",
    }
    assert read_environment(environ) == Settings(
        url="redis://one", namespace="shop", ttl=300.0, front=1000, enabled=False
    )


class Shouting(pydantic.BaseModel):
    REDIS_CACHE_HOST: str = "cache"
    REDIS_CACHE_PORT: int = 6390
    REDIS_CACHE_PASSWORD: pydantic.SecretStr = pydantic.SecretStr("pw")
    DUALCACHE_ENABLED: bool = False
    DEBUG: bool = True


class Quiet(pydantic.BaseModel):
    redis_cache_url: pydantic.RedisDsn = pydantic.RedisDsn("redis://cache/1")
    dualcache_ttl: timedelta = timedelta(minutes=5)
    dualcache_front: int | None = 1000
    dualcache_namspace: str = "shop"


class Plain:
    REDIS_CACHE_HOST = "cache"

    @property
    def REDIS_CACHE_URL(self) -> str:  # noqa: N802  as settings are written
        return f"redis://{self.REDIS_CACHE_HOST}:7"


def test_settings_of_pydantic_and_of_other_classes_are_read() -> None:
    assert read_environment(Shouting()) == Settings(url="redis://:pw@cache:6390/0", enabled=False)
    quiet = read_environment(Quiet())
    assert (quiet.url, quiet.ttl, quiet.front) == ("redis://cache:6379/1", 300.0, 1000)
    (warning,) = quiet.warnings
    assert "did you mean DUALCACHE_NAMESPACE?" in warning
    assert read_environment(Plain()).url == "redis://cache:7"


def test_values_of_a_mapping_may_be_what_they_are() -> None:
    found = read_environment(
        {"REDIS_CACHE_PORT": 6390, "REDIS_CACHE_DB": None, "DUALCACHE_TTL": 1.5, 5: "ignored"}
    )
    assert found == Settings(url="redis://localhost:6390/0", ttl=1.5)
    with pytest.raises(UsageError, match="REDIS_CACHE_PORT of the environment is of type list"):
        read_environment({"REDIS_CACHE_PORT": [6390]})


@pytest.mark.parametrize("settings", [object(), "redis://cache", 5, Shouting])
def test_settings_that_say_nothing_of_a_cache_are_refused(settings: object) -> None:
    with pytest.raises(UsageError, match="none of the known variables") as caught:
        read_environment(settings)
    assert caught.value.code == "DC132"


def test_a_ttl_without_a_unit_counts_seconds() -> None:
    assert read_environment({"DUALCACHE_TTL": "90"}).ttl == 90.0


@pytest.mark.parametrize("text", ["0", "off", "No", "false", "none", ""])
def test_the_front_tier_can_be_written_off(text: str) -> None:
    assert read_environment({"DUALCACHE_FRONT": text}).front is None


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_environment(dict.fromkeys(KNOWN_VARIABLES, " ")) == Settings()


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"REDIS_CACHE_HOST": "cache"}, "redis://cache:6379/0"),
        ({"REDIS_CACHE_PORT": "6390"}, "redis://localhost:6390/0"),
        ({"REDIS_CACHE_DB": "3"}, "redis://localhost:6379/3"),
        ({"REDIS_CACHE_PASSWORD": "a/b"}, "redis://:a%2Fb@localhost:6379/0"),
        ({"REDIS_CACHE_PASSWORD": "", "REDIS_CACHE_DB": "1"}, "redis://localhost:6379/1"),
        ({"REDIS_CACHE_HOST": "::1"}, "redis://[::1]:6379/0"),
        ({"REDIS_CACHE_HOST": "[::1]"}, "redis://[::1]:6379/0"),
        ({"REDIS_CACHE_URL": "redis://whole", "REDIS_CACHE_HOST": "part"}, "redis://whole"),
        ({"REDIS_CACHE_URL": "redis://theirs", "DUALCACHE_URL": "memory://"}, "memory://"),
    ],
)
def test_the_variables_of_the_endpoint_decorator_make_a_url(
    environ: dict[str, str], url: str
) -> None:
    assert read_environment(environ).url == url


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd")))
def test_any_password_comes_out_of_the_url_as_it_went_in(password: str) -> None:
    url = read_environment({"REDIS_CACHE_PASSWORD": password, "REDIS_CACHE_DB": "0"}).url
    assert url is not None
    assert parse_url(url).password == (password if password.strip() else None)


def test_octets_that_are_no_text_are_refused_and_not_shown() -> None:
    url = read_environment({"REDIS_CACHE_PASSWORD": "s3cr3t\udc80"}).url
    assert url is not None
    with pytest.raises(UsageError) as caught:
        parse_url(url)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_CACHE_PORT", "abc"),
        ("REDIS_CACHE_PORT", "0"),
        ("REDIS_CACHE_PORT", "65536"),
        ("REDIS_CACHE_DB", "-1"),
        ("REDIS_CACHE_HOST", "redis://cache"),
        ("REDIS_CACHE_HOST", "a@b"),
        ("REDIS_CACHE_HOST", "a\nb"),
        ("DUALCACHE_TTL", "soon"),
        ("DUALCACHE_TTL", "-5"),
        ("DUALCACHE_FRONT", "many"),
        ("DUALCACHE_FRONT", "-1"),
        ("DUALCACHE_ENABLED", "perhaps"),
        ("DUALCACHE_NAMESPACE", "a:b"),
    ],
)
def test_a_value_that_cannot_be_right_names_its_variable(name: str, value: str) -> None:
    assert refusal(**{name: value}).help


def test_no_error_shows_a_password() -> None:
    environ = {"REDIS_CACHE_PASSWORD": SECRET, "REDIS_CACHE_PORT": SECRET}
    with pytest.raises(UsageError) as caught:
        read_environment(environ)
    assert "s3cr3t" not in str(caught.value)


def test_the_repr_shows_no_url() -> None:
    assert "s3cr3t" not in repr(read_environment({"REDIS_CACHE_PASSWORD": SECRET}))


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("DUALCACHE_ULR", "DUALCACHE_ULR is not known to dualcache; did you mean DUALCACHE_URL?"),
        ("REDIS_CACHE_PASWORD", "did you mean REDIS_CACHE_PASSWORD?"),
        ("DUALCACHE_", "DUALCACHE_ is not known to dualcache"),
    ],
)
def test_an_unknown_variable_is_a_warning_that_names_the_nearest(name: str, warning: str) -> None:
    (found,) = read_environment({name: SECRET}).warnings
    assert warning in found
    assert "s3cr3t" not in found


def test_an_unknown_variable_that_is_near_to_nothing_is_a_warning_too() -> None:
    (found,) = read_environment({"DUALCACHE_QQQQQQQQQQQQQQQQQQQ": "1"}).warnings
    assert found.endswith("is not known to dualcache")


def test_warnings_come_in_order_of_name() -> None:
    warnings = read_environment({"REDIS_CACHE_B": "", "DUALCACHE_A": "1"}).warnings
    assert [text.split()[3] for text in warnings] == ["DUALCACHE_A", "REDIS_CACHE_B"]


def test_the_variable_of_the_test_suite_is_known_and_ignored() -> None:
    assert read_environment({"DUALCACHE_TEST_SERVERS": "/somewhere"}) == Settings()
