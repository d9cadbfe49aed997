"""Options that are none are refused with the one that was meant; spellings become names."""

from __future__ import annotations

import pytest

from dualcache.errors import UsageError
from dualcache.options.option import Where
from dualcache.options.table import OPTIONS, names
from dualcache.options.written import (
    by_name,
    check_negative,
    chosen,
    lonely,
    meant,
    refuse_single_loads,
    refuse_unknown,
)

KNOWN = ("ttl", "tags", "jitter", "max_connections")


def test_known_options_pass() -> None:
    refuse_unknown(KNOWN, KNOWN, owner="Cache()")


def test_an_unknown_option_is_named_with_the_nearest_known_one() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_unknown(["ttl", "tag"], KNOWN, owner="Cache()")
    assert str(caught.value) == (
        "[DC151] Cache() has no option tag\n"
        "  known     jitter, max_connections, tags, ttl\n"
        "  help      did you mean tags?"
    )


def test_an_unknown_option_that_is_near_to_nothing_still_gets_a_fix() -> None:
    with pytest.raises(UsageError) as caught:
        refuse_unknown(["x"], (), owner="Cache()")
    assert caught.value.details == (("known", "none"),)
    assert caught.value.help.startswith("remove it")


@pytest.mark.parametrize(
    ("written", "known", "option"),
    [
        ("expires", KNOWN, "ttl"),
        ("Default_timeout", KNOWN, "ttl"),
        ("prefix", names(Where.CACHE), "namespace"),
        ("prefix", names(Where.DECORATOR | Where.ENDPOINT), "key_prefix"),
        ("key_builder", names(Where.DECORATOR), "key"),
        ("key_builder", ("vary", "jitter"), "vary"),
        ("maxsize", ("ttl", "front"), "front"),
        ("expires", ("tags",), None),
        ("jiter", KNOWN, "jitter"),
        ("jiter", ("names", "that", "jitters", "stand", "in", "no", "table"), "jitters"),
    ],
)
def test_what_was_meant_is_found_among_the_known_ones(
    written: str, known: tuple[str, ...], option: str | None
) -> None:
    assert meant(written, known) == option


def test_another_spelling_becomes_the_name_of_the_option() -> None:
    assert by_name({"expiration": 5, "tags": ()}, owner="f()") == {"ttl": 5, "tags": ()}


@pytest.mark.parametrize("order", [("ttl", "expiration"), ("expiration", "ttl")])
def test_two_spellings_of_one_option_are_refused(order: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=r"f\(\) has both ttl and expiration") as caught:
        by_name(dict.fromkeys(order, 5), owner="f()")
    assert caught.value.code == "DC159"


def test_an_option_without_the_one_that_it_needs_is_found() -> None:
    known = names(Where.ENDPOINT)
    assert lonely({"query": True, "resource_id_type": int}, known) is OPTIONS["resource_id_type"]
    assert lonely({"query": True, "key_prefix": None}, known) is OPTIONS["query"]
    assert lonely({"query": True, "key_prefix": "user"}, known) is None


def test_of_the_options_that_were_written_the_wanted_ones_are_chosen() -> None:
    assert chosen({"ttl": 5, "key": "k"}, ("ttl", "jitter")) == {"ttl": 5}


@pytest.mark.parametrize(
    "name",
    ["timeout", "hard_timeout", "verify", "refresh_from", "cache_exceptions", "negative_ttl"],
)
def test_keys_that_are_loaded_together_take_no_option_of_one_load(name: str) -> None:
    refuse_single_loads(("ttl",), owner="many()")
    with pytest.raises(UsageError, match=f"takes no {name}") as caught:
        refuse_single_loads(("ttl", name), owner="many()")
    assert caught.value.code == "DC416"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ({"cache_exceptions": KeyError}, "DC426"),
        ({"negative_ttl": "5s", "cache_exceptions": None}, "DC426"),
        ({"negative_ttl": "5s", "cache_exceptions": ()}, "DC425"),
        ({"negative_ttl": "5s", "cache_exceptions": (KeyError, StopAsyncIteration)}, "DC425"),
    ],
)
def test_exceptions_to_remember_are_exceptions_and_it_is_said_for_how_long(
    written: dict[str, object], code: str
) -> None:
    with pytest.raises(UsageError, match=r"f\(\)") as caught:
        check_negative(written, owner="f()")
    assert caught.value.code == code


def test_options_of_negative_entries_come_together_or_not_at_all() -> None:
    check_negative({}, owner="f()")
    check_negative({"cache_exceptions": [KeyError], "negative_ttl": 5}, owner="f()")
