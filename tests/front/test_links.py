"""Links half open, processes that stand still: nothing is served beyond the bound."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.behaviour.seen import ROOT
from tests.colours import colour_of_every_io
from tests.front.every_server import own_server, redis_server
from tests.front.test_loss import LATE, recovered, stale_for
from tests.front.tiers import (
    STALENESS,
    eventually,
    front_hits,
    hands_of,
    held,
    is_open,
    listener_id,
    losses,
    old_copy,
    redirect_listener,
    tracked_ids,
)
from tests.patience import patient
from tests.proxy import BLACK_HOLE, NONE, Faults, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.servers import Server

__all__ = ["colour_of_every_io", "own_server", "redis_server"]  # in the place of other fixtures

DIRECTIONS: dict[str, tuple[Faults, Faults]] = {
    "requests": (BLACK_HOLE, NONE),
    "replies": (NONE, BLACK_HOLE),
}


@pytest.fixture
def data(redis_server: Server) -> Iterator[Proxy]:
    """The way of the data connections alone, where a test lets the listener go directly."""
    with Proxy(redis_server.port) as way:
        yield way


def test_a_listener_that_hears_and_cannot_ask_closes_the_tier_until_it_can(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    with Proxy(redis_server.port) as listening:
        cache = held(colour, redis_server.url, transport)
        redirect_listener(cache, listening.port)
        old_copy(colour, cache)
        listening.fault(requests=BLACK_HOLE)
        eventually(lambda: losses(cache) > 0, "a loss", hands_of(cache), step=0.1)
        assert not is_open(cache)
        listening.heal()
        recovered(colour, cache)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_changes_are_heard_while_the_data_link_alone_is_half_open(
    colour: Colour, redis_server: Server, data: Proxy, transport: Any, direction: str
) -> None:
    cache = held(colour, data.url, transport, socket_timeout=0.1, max_staleness=60)
    redirect_listener(cache, redis_server.port)
    old_copy(colour, cache)
    requests, replies = DIRECTIONS[direction]
    data.fault(requests=requests, replies=replies)
    hits = front_hits(cache)
    assert colour.call(cache, "get", "k") == "old"
    assert front_hits(cache) == hits + 1
    redis_server.cli("SET", "k", "foreign")
    colour.call(cache, "fence")
    assert colour.call(cache, "get", "k") is None
    data.heal()
    eventually(lambda: colour.call(cache, "ping"), "an answer", hands_of(cache), step=0.1)
    recovered(colour, cache)


def test_a_data_link_that_is_reset_is_a_loss_where_it_was_tracked(
    colour: Colour, redis_server: Server, data: Proxy
) -> None:
    cache = held(colour, data.url, "tracking")
    redirect_listener(cache, redis_server.port)
    old_copy(colour, cache)
    before = losses(cache)
    data.reset()
    assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
    eventually(lambda: losses(cache) > before, "a loss", hands_of(cache), step=0.1)
    recovered(colour, cache)


def test_a_tracked_connection_that_only_the_server_knows_to_be_gone_is_a_loss(
    colour: Colour, redis_server: Server, data: Proxy
) -> None:
    cache = held(colour, data.url, "tracking", socket_timeout=0.1)
    redirect_listener(cache, redis_server.port)
    old_copy(colour, cache)
    before = losses(cache)
    data.black_hole()
    for client_id in tracked_ids(cache):
        redis_server.cli("CLIENT", "KILL", "ID", client_id)
    assert stale_for(colour, cache, lambda: redis_server.cli("SET", "k", "foreign")) < LATE
    eventually(lambda: losses(cache) > before, "a loss", hands_of(cache), step=0.1)
    data.heal()
    eventually(lambda: colour.call(cache, "ping"), "an answer", hands_of(cache), step=0.1)
    recovered(colour, cache)


def test_a_listener_killed_again_and_again_never_leaves_an_old_copy(
    colour: Colour, redis_server: Server, transport: Any
) -> None:
    cache = held(colour, redis_server.url, transport, max_staleness=60)
    for _ in range(8):
        old_copy(colour, cache)
        pipeline = redis_server.client().pipeline(transaction=True)
        pipeline.execute_command("CLIENT", "KILL", "ID", listener_id(cache))
        pipeline.set("k", "foreign")
        pipeline.execute()
        # The end of the connection is all that this process is told.
        eventually(lambda: colour.call(cache, "get", "k") is None, "the end of the old copy")


def test_a_fence_while_the_server_stands_still_ends_and_nothing_old_is_served(
    colour: Colour, own_server: Server, transport: Any
) -> None:
    cache = held(colour, own_server.url, transport, max_staleness=60, socket_timeout=0.1)
    old_copy(colour, cache)
    hits = front_hits(cache)
    own_server.pause()
    try:
        colour.call(cache, "fence")
        assert colour.call(cache, "get", "k") is None
        assert front_hits(cache) == hits
    finally:
        own_server.resume()
    recovered(colour, cache)


STOPPED = """
import itertools, sys, time
from dualcache import Cache, FrontTier
STALENESS = float(sys.argv[3])
cache = Cache(sys.argv[1], front=FrontTier(transport=sys.argv[2]), max_staleness=STALENESS)
cache.set("k", "old")
@cache(key="{key}")
def load(key: str) -> str:
    return "loaded"
def look(number):
    return load("k") if number % 200 < 100 else cache.get("k")
def watch():
    last = time.monotonic()
    is_told = False
    for number in itertools.count():
        now = time.monotonic()
        found = look(number)
        if not is_told:
            if found != "old":  # this machine is so busy that the process stood still by itself
                cache.set("k", "old")
            elif cache.stats().front.hits > 2:
                is_told = True
                print("ready", flush=True)
        elif now - last > STALENESS:
            return "late" if found == "old" else "in time"
        elif found != "old":
            return "in time"
        last = now
print(watch(), flush=True)
cache.close()
"""


def test_a_process_that_stood_still_serves_nothing_older_than_the_bound(
    redis_server: Server, transport: str
) -> None:
    arguments = [patient(redis_server.url), transport, str(STALENESS)]
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", STOPPED, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGSTOP)
        redis_server.cli("SET", "k", "foreign")
        threading.Event().wait(1.5 * STALENESS)  # it has to stand still for that long
        os.kill(child.pid, signal.SIGCONT)
        told, complaints = child.communicate(timeout=60)
    finally:
        child.kill()
        child.wait()
    assert (told, complaints, child.returncode) == ("in time\n", "", 0)
