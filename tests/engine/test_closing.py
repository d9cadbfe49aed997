"""Commands at which the connection is closed: found out, left out, tried again much later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dualcache.core.events import BackendDown
from dualcache.core.ops import (
    Batch,
    Commit,
    CommitReply,
    CommitWay,
    Delete,
    LoadScript,
    Look,
    Op,
    Ping,
    RawRead,
)
from dualcache.core.scans import ReadHeads, Scan, Unlink
from dualcache.engine.attempts import attempt
from dualcache.engine.closing import (
    CLOSED_MS,
    SEARCHES_TO_BE_SURE,
    is_closed,
    kinds_of,
    note_closed,
)
from dualcache.engine.commit import Change, commit
from dualcache.engine.commit_ways import RETRY_MS, can_commit, note_lacking, try_all_again
from dualcache.engine.health import Breaker
from dualcache.engine.recovery import ask
from dualcache.engine.upkeep import ping_server
from dualcache.errors import BackendRefused, BackendUnavailable
from tests.engine.conversation import Talk, cut, refused, script, surroundings

if TYPE_CHECKING:
    from dualcache.engine.env import Env

PROBE = Look("~p", ("~p",) * 63)
SCAN = Scan(0, "k*", 1000)
SMALLEST = Scan(0, "~p", 1)
HEADS = ReadHeads((b"k",) * 500)
UNLINK = Unlink((b"k",))


def denied() -> BackendRefused:
    error = BackendRefused("no", code="DC202")
    error.prefix = "BUSY"
    return error


def by(way: CommitWay) -> Commit:
    return Commit("k", b"old", b"new", 100, way)


@pytest.mark.parametrize(
    ("op", "kinds"),
    [
        (by(CommitWay.WATCH), {CommitWay.WATCH}),
        (LoadScript(), {CommitWay.SCRIPT}),
        (SCAN, {Scan}),
        (Unlink((b"k",)), {Unlink}),
        (Unlink((b"k",), is_blocking=True), set()),
        (ReadHeads((b"k",)), {ReadHeads}),
        (Batch((LoadScript(), by(CommitWay.SCRIPT))), {CommitWay.SCRIPT}),
        (Batch((Delete(("k",)), SCAN)), set()),
        (Delete(("k",)), set()),
        (Look("k"), set()),
    ],
)
def test_only_what_a_cache_can_do_without_may_be_lacking(op: Op[Any], kinds: set[Any]) -> None:
    assert kinds_of(op) == kinds


@pytest.mark.parametrize("asking", [ask, attempt])
def test_a_command_that_is_cut_twice_while_a_read_is_answered_is_lacking(asking: Any) -> None:
    env, events = surroundings()
    for _ in range(3):
        env.health.closed.clear()
        script(
            asking(UNLINK, env),
            (UNLINK, cut()),
            (UNLINK, cut()),
            (PROBE, RawRead(None)),
        ).raises(BackendRefused)
    assert events == []
    assert env.health.breaker.failures == 0


def cut_once_more(env: Env, asking: Any = attempt) -> Talk:
    """Return the conversation of a search that is cut twice while a read is answered."""
    env.health.breaker = Breaker()
    steps = ((SCAN, cut()), (SCAN, cut()), (SMALLEST, cut()), (PROBE, RawRead(None)))
    return script(asking(SCAN, env), *steps)


@pytest.mark.parametrize("asking", [ask, attempt])
def test_a_search_has_to_be_cut_again_and_again_until_it_is_lacking(asking: Any) -> None:
    env, events = surroundings()
    for _ in range(SEARCHES_TO_BE_SURE - 1):
        cut_once_more(env, asking).raises(BackendUnavailable)
        assert not env.health.breaker.is_closed
        assert not is_closed(SCAN, env)
    assert [type(event) for event in events] == [BackendDown, BackendDown]
    cut_once_more(env, asking).raises(BackendRefused)
    assert is_closed(SCAN, env)


@pytest.mark.parametrize("answers", [["page"], [cut(), "page"]])
def test_a_search_that_is_answered_is_not_lacking(answers: list[Any]) -> None:
    env, _ = surroundings()
    for _ in range(SEARCHES_TO_BE_SURE):
        cut_once_more(env).raises(BackendUnavailable)
        env.health.breaker = Breaker()
        script(attempt(SCAN, env), *[(SCAN, answer) for answer in answers]).returns("page")
    assert not is_closed(SCAN, env)


@pytest.mark.parametrize(
    ("op", "smallest"), [(SCAN, SMALLEST), (HEADS, ReadHeads((b"~p",)))], ids=["scan", "heads"]
)
@pytest.mark.parametrize("answer", ["page", denied()], ids=["answered", "refused"])
def test_a_long_reply_that_is_cut_again_and_again_is_an_outage(
    op: Op[Any], smallest: Op[Any], answer: Any
) -> None:
    # A link that ends after so many bytes: the deletions of a search that counts as lacking would
    # be set aside, and this process would read what it has invalidated.
    env, _ = surroundings()
    for _ in range(2 * SEARCHES_TO_BE_SURE):
        env.health.breaker = Breaker()
        steps = ((op, cut()), (op, cut()), (smallest, answer))
        script(attempt(op, env), *steps).raises(BackendUnavailable)
        assert not env.health.breaker.is_closed
    assert not is_closed(op, env)
    assert env.health.cut_searches == 0


class Link:
    """A link that lets so many bytes of replies pass a connection, its handshake included."""

    HANDSHAKE = 150

    def __init__(self, passes: int) -> None:
        self._passes = passes
        self._left = 0

    def run(self, flow: Any) -> Any:
        """Perform a flow behind the link; each op takes the bytes of its reply from it."""
        op = next(flow)
        while True:
            size = self._size_of(op)
            if self._left == 0:
                self._left = max(0, self._passes - self.HANDSHAKE)
            is_cut = self._left < size
            self._left = 0 if is_cut else self._left - size
            try:
                op = flow.throw(cut()) if is_cut else flow.send(RawRead(None))
            except StopIteration as end:
                return end.value

    def _size_of(self, op: Op[Any]) -> int:
        if isinstance(op, Look):
            return 4 + 3 * (1 + len(op.tags))  # the nulls of RESP3
        assert isinstance(op, Scan)
        return 35 if op.count == 1 else 900


@pytest.mark.parametrize("passes", range(150, 1_000, 10))
def test_no_length_of_a_link_makes_a_search_look_as_if_it_were_lacking(passes: int) -> None:
    # With the read before the smallest search, one that lets 350 to 380 bytes pass would.
    env, _ = surroundings()
    link = Link(passes)
    for _ in range(2 * SEARCHES_TO_BE_SURE):
        env.health.breaker = Breaker()
        with pytest.raises(BackendUnavailable):
            link.run(attempt(SCAN, env))
    assert not is_closed(SCAN, env)


def test_where_the_smallest_search_finds_the_server_gone_it_is_down() -> None:
    env, events = surroundings()
    steps = ((SCAN, cut()), (SCAN, cut()), (SMALLEST, refused()))
    script(attempt(SCAN, env), *steps).raises(BackendUnavailable)
    assert [type(event) for event in events] == [BackendDown]
    assert not is_closed(SCAN, env)


def test_a_read_that_is_refused_was_answered_too() -> None:
    env, _ = surroundings()
    script(attempt(UNLINK, env), (UNLINK, cut()), (UNLINK, cut()), (PROBE, denied())).raises(
        BackendRefused
    )
    assert is_closed(UNLINK, env)


def test_where_the_read_is_cut_too_the_server_is_down() -> None:
    env, events = surroundings()
    steps = ((SCAN, cut()), (SCAN, cut()), (SMALLEST, cut()), (PROBE, cut()))
    script(attempt(SCAN, env), *steps).raises(BackendUnavailable)
    assert [type(event) for event in events] == [BackendDown]
    assert not is_closed(SCAN, env)


def test_a_hiccup_is_no_command_that_is_lacking() -> None:
    env, _ = surroundings()
    script(attempt(SCAN, env), (SCAN, cut()), (SCAN, "page")).returns("page")
    assert env.health.breaker.failures == 0
    script(attempt(SCAN, env), (SCAN, cut()), (SCAN, refused())).raises(BackendUnavailable)
    assert not is_closed(SCAN, env)


def test_a_command_that_is_lacking_is_not_sent_for_a_while() -> None:
    now = [0]
    env, _ = surroundings(elapsed_ms=lambda: now[0])
    while not note_closed(SCAN, env):
        pass
    script(attempt(SCAN, env)).raises(BackendRefused)
    now[0] = CLOSED_MS
    script(attempt(SCAN, env), (SCAN, "page")).returns("page")


def test_a_value_is_stored_by_the_next_way_where_the_connection_is_closed_at_one() -> None:
    ways = (CommitWay.SCRIPT, CommitWay.WATCH)
    env, events = surroundings(ways=ways)
    change = Change("k", b"old", b"new", 100)
    script(
        commit((change,), env),
        (by(CommitWay.SCRIPT), CommitReply.NO_SCRIPT),
        (Batch((LoadScript(), by(CommitWay.SCRIPT))), cut()),
        (Batch((LoadScript(), by(CommitWay.SCRIPT))), cut()),
        (PROBE, RawRead(None)),
        (by(CommitWay.WATCH), CommitReply.STORED),
    ).returns([CommitReply.STORED])
    assert env.health.ways == (CommitWay.WATCH,)
    assert events == []


def test_a_way_at_which_the_connection_is_closed_is_not_tried_with_the_others() -> None:
    now = [0]
    ways: tuple[CommitWay, ...] = (CommitWay.IFEQ, CommitWay.SCRIPT, CommitWay.WATCH)
    env, _ = surroundings(ways=ways, elapsed_ms=lambda: now[0])
    note_closed(by(CommitWay.SCRIPT), env)
    note_lacking((CommitWay.IFEQ, CommitWay.SCRIPT), env)
    try_all_again(env)
    assert CommitWay.SCRIPT not in env.health.ways
    now[0] = CLOSED_MS + RETRY_MS
    assert can_commit(env)
    assert env.health.ways == ways


def test_a_ping_at_which_the_connection_is_closed_is_answered_by_a_read() -> None:
    env, _ = surroundings()
    script(ping_server(env), (Ping(), cut()), (Look("~p"), RawRead(None))).returns(True)
    script(ping_server(env), (Ping(), cut()), (Look("~p"), cut())).returns(False)
    script(ping_server(env), (Ping(), refused())).returns(False)
