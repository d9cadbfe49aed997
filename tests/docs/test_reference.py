"""The reference is complete: every public name, option, method, handle, event and field."""

from __future__ import annotations

import re
from typing import Final

import pytest

import dualcache
from dualcache import Cache, DualCacheError, Entry, Event, FrontTier, Settings
from dualcache.async_cache import AsyncCache
from dualcache.codecs.forms import _NAMES as CODECS
from dualcache.functions.handles import HANDLES
from dualcache.observability.stats import (
    Counts,
    Distribution,
    FleetMinute,
    FleetStats,
    FrontNodeStats,
    FrontStats,
    Stats,
    TemplateStats,
)
from dualcache.options.front_tier import TRANSPORTS
from dualcache.options.option import Where
from dualcache.options.table import names
from tests.docs.option_tables import TABLES, OptionTable
from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs/reference.md").read_text("utf-8")
ERRORS: Final = (ROOT / "docs/errors.md").read_text("utf-8")
EVENTS: Final = [
    kind
    for name in dualcache.__all__
    if isinstance(kind := getattr(dualcache, name), type) and issubclass(kind, Event)
]


def section(heading: str) -> str:
    """Return what stands below a heading, down to the next one of its level or above."""
    level = heading.partition(" ")[0]
    _, found, rest = f"\n{PAGE}".partition(f"\n{heading}\n")
    assert found, f"no section {heading!r}"
    return re.split(rf"^#{{2,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> set[str]:
    """Return the names that the rows of its tables are about."""
    cells = re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`\.?(\w+)[`(]", cell)}


def words(text: str) -> set[str]:
    return set(re.findall(r"`\.?(\w+)[`(]", text))


def public(kind: type) -> set[str]:
    return {name for each in kind.__mro__[:-1] for name in vars(each) if not name.startswith("_")}


def test_every_public_name_is_explained() -> None:
    explained = words(PAGE) | words(ERRORS)
    assert sorted(set(dualcache.__all__) - explained) == []


def test_every_error_is_in_the_tree_of_the_errors_page() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", ERRORS, re.MULTILINE))
    kinds = {getattr(dualcache, name) for name in dualcache.__all__}
    errors = {k.__name__ for k in kinds if isinstance(k, type) and issubclass(k, DualCacheError)}
    assert listed == errors


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.heading)
def test_the_tables_of_options_are_those_of_the_code(table: OptionTable) -> None:
    """`python -m tests.docs.option_tables` writes them."""
    assert table.written() == table.rendered()


def test_every_method_of_both_faces_is_listed() -> None:
    listed = first_column(section("### Methods"))
    methods = public(Cache) | public(AsyncCache) | {"aio"}
    assert sorted(methods - listed) == []
    assert sorted(listed - methods) == []


@pytest.mark.parametrize(
    ("method", "where"), [("get_or_load", Where.LOAD), ("set", Where.STORE)], ids=["load", "store"]
)
def test_every_option_of_a_direct_call_is_named(method: str, where: Where) -> None:
    sentence = PAGE.partition(f"`options` of `{method}`")[2].partition(".")[0]
    assert words(sentence) >= {*names(where)} - {"ttl", "tags", "type"}


def test_every_handle_is_listed() -> None:
    assert first_column(section("### Handles")) == {*HANDLES, "__wrapped__"}


def test_every_field_of_a_front_tier_is_listed_with_every_transport() -> None:
    text = section("## The front tier")
    assert first_column(text) == set(FrontTier.__struct_fields__)
    assert set(re.findall(r'`"(\w+)"`', text.partition("| `transport` |")[2])) >= set(TRANSPORTS)


def test_every_reason_why_stored_bytes_are_unusable_is_listed() -> None:
    found: set[str] = set()
    stored_form = (ROOT / "dualcache/core/envelope.py", ROOT / "dualcache/core/codec_ids.py")
    for path in (*(ROOT / "dualcache/codecs").glob("*.py"), *stored_form):
        text = path.read_text("utf-8")
        found |= set(re.findall(r'(?:undecodable|_refused)\(\s*"(\w+)"', text))
        found |= set(re.findall(r'\["reason"\] = "(\w+)"', text))
    assert first_column(section("## Why stored bytes are unusable")) == found


def test_every_codec_is_listed() -> None:
    assert set(re.findall(r'`"(\w+)"`', section("## Codecs"))) == set(CODECS)


def test_every_event_is_listed_with_its_fields() -> None:
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", section("## Events"), re.MULTILINE)
    listed = {name: re.findall(r"`(\w+)`", fields) for name, fields in rows}
    fields = {kind.__name__: [*kind.__struct_fields__[1:]] for kind in EVENTS if kind is not Event}
    assert listed == fields


@pytest.mark.parametrize(
    "kind",
    [
        Entry,
        Counts,
        FleetMinute,
        FleetStats,
        Stats,
        TemplateStats,
        Distribution,
        FrontStats,
        FrontNodeStats,
        Settings,
    ],
)
def test_every_field_of_a_value_is_named(
    kind: type[Entry | Counts | Settings | Distribution],
) -> None:
    named = words(section("## Values")) | set(re.findall(r"\w+", PAGE.partition("`Settings(")[2]))
    assert sorted(set(kind.__struct_fields__) - named) == []
