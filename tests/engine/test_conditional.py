from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.entry import NOT_MODIFIED, Tag
from dualcache.core.flight import EndFlight, Load
from dualcache.core.ops import (
    Commit,
    CommitReply,
    CommitWay,
    Loaded,
    Look,
    LookAndLease,
    RawRead,
    TryLease,
)
from dualcache.core.policy import no_loader
from dualcache.engine.load import get_or_load, refresh
from dualcache.engine.write import set_value
from dualcache.errors import UsageError
from tests.engine.conversation import (
    KEY,
    LED,
    NEW,
    NOW_MS,
    call,
    cold,
    cut,
    script,
    stored,
    surroundings,
    token,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.entry import Entry

TAGS = [Tag("~t:a", token(50))]
BEFORE: dict[str, Any] = {"tags": TAGS, "fresh_ms": 1_000, "created_ms": NOW_MS - 1_500}
OLD = stored("old", **BEFORE)
LOOK = (Look, RawRead(OLD, (token(50),), 59_500))
LEASED = (LookAndLease, RawRead(OLD, (token(50),), 59_500))
STORED, REFUSED = CommitReply.STORED, CommitReply.REFUSED
REPLIED_NOT_MODIFIED = Loaded(NOT_MODIFIED, 5.0)
RELEASED = (Commit, STORED)


def newer(entry: Entry) -> Any:
    raise AssertionError("performed by the script")


OPTIONS: dict[str, Any] = {"ttl_ms": 1_000, "stale_if_error_ms": 60_000, "refresh_from": newer}


def not_modified(given: list[Entry]) -> Callable[[Load], Loaded]:
    """Reply that the old entry is still right, and note which one was given."""

    def load(op: Load) -> Loaded:
        assert op.function is newer
        given.append(op.args[0])
        return REPLIED_NOT_MODIFIED

    return load


@pytest.mark.parametrize("reply", [STORED, REFUSED], ids=["still there", "invalidated meanwhile"])
def test_the_old_value_is_stored_over_the_very_entry_with_the_ids_from_before_the_load(
    reply: CommitReply,
) -> None:
    env, _ = surroundings()
    given: list[Entry] = []
    again = stored("old", 4, tags=TAGS, fresh_ms=1_000, load_ms=5)
    outcome = script(
        get_or_load(call("~t:a", **OPTIONS), env),
        LOOK,
        LED,
        LEASED,
        (TryLease, True),
        (Load, not_modified(given)),
        # The compare is with what was there when the load began: nothing is brought back.
        (Commit(KEY, OLD, again, 61_000, CommitWay.IFEQ), reply),
        RELEASED,
        (EndFlight, None),
    ).ends()
    assert outcome.value == "old"
    (entry,) = given
    assert (entry.value, entry.age, entry.ttl, entry.stale) == ("old", 1.5, 59.5, True)
    assert entry.tags == ("a",)


def test_what_the_loader_returns_is_stored_in_its_place() -> None:
    env, _ = surroundings()
    outcome = script(
        get_or_load(call("~t:a", **OPTIONS), env),
        LOOK,
        LED,
        LEASED,
        (TryLease, True),
        NEW,
        (Commit, STORED),
        RELEASED,
        (EndFlight, None),
    ).ends()
    assert outcome.value == "new"


def test_an_entry_whose_tag_has_died_is_not_given() -> None:
    env, _ = surroundings()
    read = RawRead(OLD, (token(51),), 59_500)
    script(
        get_or_load(call("~t:a", **OPTIONS), env),
        (Look, read),
        LED,
        (LookAndLease, read),
        (Commit, STORED),
        (Load, the_function_itself),
        (Commit, STORED),
        (EndFlight, None),
    ).ends()


def the_function_itself(op: Load) -> Loaded:
    assert (op.function, op.args) == (no_loader, ())
    return Loaded("new", 5.0)


def test_without_a_backend_the_function_itself_runs() -> None:
    env, _ = surroundings()
    script(
        get_or_load(cold(**OPTIONS), env),
        LED,
        (LookAndLease, cut()),
        (LookAndLease, cut()),
        (Load, the_function_itself),
        (EndFlight, None),
    ).ends()


@pytest.mark.parametrize(("left_ms", "ttl"), [(500, 0.5), (None, None)], ids=["ends", "for ever"])
def test_a_refresh_gives_the_fresh_entry_with_what_it_has_left(
    left_ms: int | None, ttl: float | None
) -> None:
    env, _ = surroundings()
    given: list[Entry] = []
    outcome = script(
        refresh(call(**OPTIONS), env),
        (Look, RawRead(stored("old"), (), left_ms)),
        (Commit, STORED),
        (Load, not_modified(given)),
        (Commit, STORED),
    ).ends()
    assert outcome.value == "old"
    assert (given[0].ttl, given[0].stale) == (ttl, False)


@pytest.mark.parametrize("is_stale", [False, True], ids=["miss", "stale"])
def test_not_modified_without_an_old_entry_is_a_mistake(*, is_stale: bool) -> None:
    env, _ = surroundings()
    plain = call(*["~t:a"] * is_stale, **{**OPTIONS, "refresh_from": None})
    before: list[Any] = (
        [LOOK, LED, LEASED, (TryLease, True)]
        if is_stale
        else [(Look, RawRead(None)), LED, (LookAndLease, leased)]
    )
    outcome = script(
        get_or_load(plain, env),
        *before,
        (Load, REPLIED_NOT_MODIFIED),
        (Commit, STORED),
        (EndFlight, None),
    ).ends()
    assert isinstance(outcome.error, UsageError)
    assert outcome.error.code == "DC424"


def leased(op: LookAndLease) -> RawRead:
    return RawRead(op.filling)


def test_not_modified_shows_itself_by_the_name_it_is_imported_by() -> None:
    assert repr(NOT_MODIFIED) == "NOT_MODIFIED"


def test_not_modified_is_no_value() -> None:
    env, _ = surroundings()
    with pytest.raises(UsageError, match="DC424"):
        script(set_value(call(), NOT_MODIFIED, env)).ends()
