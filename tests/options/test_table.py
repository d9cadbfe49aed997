"""The table of options agrees with whatever spells options out: signatures, types, fields."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields

from dualcache import Cache, Settings, UsageError
from dualcache.async_cache import AsyncCache
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.entry import MISSING
from dualcache.core.policy import Policy
from dualcache.endpoints.options import POSITIONS, EndpointOptions, endpoint_options
from dualcache.functions.binding import Naming
from dualcache.options.option import Option, Part, Where, unchecked
from dualcache.options.settings import KNOWN_VARIABLES
from dualcache.options.table import OPTIONS, SPELLINGS, checked, names
from dualcache.options.target import Target
from dualcache.typing_options import (
    CacheOptions,
    DecoratorOptions,
    LoadOptions,
    ManyOptions,
    PolicyOptions,
    StoreOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECTION = (Part.CONNECTION, Part.TLS, Part.SENTINEL, Part.MEMORY)
INNER_FIELDS = {"label", "value_codec", "ttl_of", "tags_of", "counters", "owner", "front"}
"""Fields of `Policy` that no option is named after."""
OF_ONE = {"verify", "refresh_from", "cache_exceptions", "negative_ttl"}
"""Options of the load of one value."""
OPTION = pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)


def keywords(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only parameters of a function with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is each.KEYWORD_ONLY}


def table(where: Where, *parts: Part) -> dict[str, Any]:
    return {name: OPTIONS[name].default for name in names(where, *parts)}


# Each row


@OPTION
def test_a_row_may_be_written_somewhere_and_says_what_it_is_in_one_line(option: Option) -> None:
    assert option.where
    assert option.line
    assert option.line.isprintable()
    assert "|" not in option.line
    assert not option.line.endswith(".")


@OPTION
def test_a_row_names_other_rows_and_itself_as_they_are(option: Option) -> None:
    assert not option.needs or option.needs in OPTIONS
    assert option.name not in option.elsewhere
    assert not {*option.spellings} & OPTIONS.keys()


@OPTION
def test_a_default_passes_the_check_of_its_own_option(option: Option) -> None:
    if option.default is not None and option.default is not MISSING:
        clean = checked(option.name, option.default, owner="Cache()")
        assert type(checked(option.name, option.default)) is type(clean)


@pytest.mark.parametrize(
    ("unit", "clean"), [("ms", 60_000), ("s", 60.0)], ids=["milliseconds", "seconds"]
)
def test_what_counts_time_is_checked_as_a_duration(unit: str, clean: float) -> None:
    durations = [name for name, option in OPTIONS.items() if option.unit == unit]
    assert {name: checked(name, "1m") for name in durations} == dict.fromkeys(durations, clean)


@OPTION
def test_a_refusal_names_the_option_and_its_owner(option: Option) -> None:
    if option.check is not unchecked:
        with pytest.raises(UsageError) as caught:
            checked(option.name, -1.5j, owner="Cache()")
        assert caught.value.what.startswith(f"{option.name} of Cache() ")
        assert caught.value.help


# What spells options out


def test_the_arguments_of_a_cache_are_those_of_the_table() -> None:
    arguments = {"url": None, **keywords(Cache.__init__)}
    known = table(Where.CACHE)
    assert arguments.keys() | CacheOptions.__annotations__.keys() == known.keys()
    assert not arguments.keys() & CacheOptions.__annotations__.keys()
    # A ttl that is not written may come from the environment, so it has a default of its own.
    assert arguments.pop("ttl") is MISSING
    assert arguments == {name: known[name] for name in arguments}


@pytest.mark.parametrize("face", [Cache, AsyncCache])
@pytest.mark.parametrize("method", ["get_or_load", "get_or_load_many"])
def test_the_options_of_a_direct_load_are_those_of_the_table(face: type, method: str) -> None:
    written = keywords(getattr(face, method))
    known = table(Where.LOAD)
    assert written.keys() | PolicyOptions.__annotations__.keys() == known.keys()
    assert LoadOptions.__annotations__.keys() == known.keys()
    assert written == {"ttl": MISSING, "tags": known["tags"], "type": known["type"]}


@pytest.mark.parametrize("face", [Cache, AsyncCache])
@pytest.mark.parametrize("method", ["set", "set_many", "add"])
def test_the_options_of_a_direct_store_are_those_of_the_table(face: type, method: str) -> None:
    written = keywords(getattr(face, method))
    known = table(Where.STORE)
    assert written.keys() | StoreOptions.__annotations__.keys() == known.keys()
    assert written == {"ttl": MISSING, "tags": known["tags"]}


@pytest.mark.parametrize("face", [Cache, AsyncCache])
@pytest.mark.parametrize("method", ["incr", "decr"])
def test_the_options_of_a_counter_are_those_of_the_table(face: type, method: str) -> None:
    known = table(Where.COUNT)
    written = keywords(getattr(face, method))
    assert written == {name: MISSING if name == "ttl" else known[name] for name in known}


def test_the_options_of_the_decorator_are_those_of_the_table() -> None:
    known = {*names(Where.DECORATOR | Where.ENDPOINT), *SPELLINGS}
    assert DecoratorOptions.__annotations__.keys() == known


def test_the_options_of_a_function_of_many_are_those_of_the_table() -> None:
    # Of many values there is no single hit to check, nor a single answer.
    known = {*names(Where.DECORATOR | Where.MANY), *SPELLINGS} - OF_ONE
    assert ManyOptions.__annotations__.keys() == known


def test_an_option_has_one_type_wherever_it_is_written() -> None:
    spelled = (CacheOptions, LoadOptions, StoreOptions, DecoratorOptions, ManyOptions)
    for name in OPTIONS:
        types = {each.__annotations__[name] for each in spelled if name in each.__annotations__}
        # A decorator's tags may be a function of the result; its front tier may be its own.
        assert len(types) <= 1 or name in {"tags", "front"}, (name, types)
    assert DecoratorOptions.__annotations__["ttl"] == DecoratorOptions.__annotations__["expiration"]


def test_what_makes_keys_is_a_field_of_naming() -> None:
    assert Naming()._asdict() == table(Where.DECORATOR, Part.KEY)


def test_what_becomes_a_policy_is_a_field_of_it() -> None:
    options = {each.field for each in OPTIONS.values() if each.part is Part.POLICY}
    assert options == {*Policy.__struct_fields__} - INNER_FIELDS


def test_what_says_how_values_become_bytes_is_an_argument_of_the_value_codec() -> None:
    arguments = keywords(make_value_codec)
    del arguments["teller"], arguments["known"]  # the cache says these
    assert arguments == table(Where.CACHE | Where.DECORATOR, Part.VALUE)


def test_the_options_of_a_url_are_fields_of_the_target() -> None:
    known = table(Where.URL)
    own = {each.name: each.default for each in fields(Target) if each.name in known}
    assert own == known
    assert NODEFAULT not in own.values()
    assert known == table(Where.CACHE, *CONNECTION)


def test_an_endpoint_that_says_nothing_has_the_defaults_of_the_table() -> None:
    assert endpoint_options({"key_prefix": "post"}, "f()") == EndpointOptions("post")


def test_the_positions_of_the_endpoint_decorator_are_options() -> None:
    assert {*POSITIONS} <= {*names(Where.DECORATOR | Where.ENDPOINT), *SPELLINGS}


def test_the_environment_and_settings_say_the_same() -> None:
    known = names(Where.ENVIRONMENT)
    assert {*Settings.__struct_fields__} - {"warnings"} == {*known}
    assert {f"DUALCACHE_{name.upper()}" for name in known} <= {*KNOWN_VARIABLES}
