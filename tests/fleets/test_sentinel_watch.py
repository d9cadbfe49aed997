"""What watches the master: its thread, its bounds, and what would go wrong without its rules."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, MasterChanged
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.sentinel.watch import MasterWatch
from dualcache.engine.acknowledged import Acknowledged
from dualcache.engine.master import Master
from tests.behaviour.seen import Seen, run_script
from tests.fleets.fake_sentinel import naming
from tests.fleets.waiting import until
from tests.front.tiers import eventually, kept, opened
from tests.ports import HOST, free_port

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.fleets.sentinels import Sentinels
    from tests.servers import Server

STALENESS = 0.9


def watches() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "dualcache-sentinel"]


def test_a_cache_that_nobody_closed_leaves_no_thread(sentinels: Sentinels) -> None:
    before = watches()
    cache = Cache(sentinels.url(), front=10)
    cache.set("k", 1)
    watching = [each for each in watches() if each not in before]
    assert watching
    del cache

    def is_gone() -> bool:
        gc.collect()  # as often as it takes: a thread may hold the cache for a moment
        return not any(each.is_alive() for each in watching)

    until(is_gone, "no thread that watches")


def test_a_closed_cache_may_be_used_again(colour: Colour, sentinels: Sentinels) -> None:
    cache = colour.cache(sentinels.url())
    assert colour.call(cache, "set", "k", 1)
    colour.run(cache.aio.aclose if colour.is_async else cache.close)
    assert not watches()
    assert colour.call(cache, "get", "k") == 1
    assert watches()


def test_a_process_ends_without_a_word_though_it_closed_nothing(sentinels: Sentinels) -> None:
    run_script(
        """
import asyncio, sys
from dualcache import Cache
cache = Cache(sys.argv[1], front=10, socket_timeout=5, socket_connect_timeout=5)
assert cache.set("k", 1)
async def main():
    assert await cache.aio.get("k") == 1
asyncio.run(main())
""",
        sentinels.url(),
    )


def test_parent_and_child_go_on_after_a_fork(sentinels: Sentinels) -> None:
    run_script(
        """
import os, sys
from dualcache import Cache
cache = Cache(sys.argv[1], front=10, socket_timeout=5, socket_connect_timeout=5)
assert cache.set("k", 1)
pid = os.fork()
assert cache.get("k") == 1
assert cache.set("k", 1)
cache.close()
if pid:
    assert os.waitpid(pid, 0)[1] == 0
else:
    os._exit(0)
""",
        sentinels.url(),
    )


def test_loops_one_after_another_find_the_master(sentinels: Sentinels) -> None:
    run_script(
        """
import asyncio, sys
from dualcache import Cache
cache = Cache(sys.argv[1], socket_timeout=5, socket_connect_timeout=5)
async def main(n):
    assert await cache.aio.set("k", n)
    assert await cache.aio.get("k") == n
for n in range(3):
    asyncio.run(main(n))
cache.close()
""",
        sentinels.url(),
    )


def demoted(colour: Colour, fleet: Sentinels, front: int | None) -> Any:
    """Fail over under a reader; return a call that reads, having invalidated at the new master."""
    cache = colour.cache(fleet.url(), front=front, max_staleness=STALENESS)
    runs = [0]

    def body() -> int:
        runs[0] += 1
        return runs[0]

    load = cache(key="k", ttl=60)(colour.function(body))
    assert colour.run(load) == 1
    if front is not None:
        kept(colour, cache, load)
    fleet.master.cli("SET", "last", "1")  # WAIT is about the writes of its own connection
    fleet.master.cli("WAIT", 2, 5_000)
    fleet.failover()
    fleet.master.cli("DEL", "k")
    return lambda: colour.run(load)


@pytest.mark.parametrize("front", [None, 100], ids=["one_tier", "two_tiers"])
def test_without_a_look_at_the_address_a_demoted_master_is_read_on(
    colour: Colour, own_sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch, front: int | None
) -> None:
    def told(self: Master, address: Any, asked_at: float) -> bool:
        self.address = address if self.address is None else self.address
        self.confirmed_at, self.trusted_until = asked_at, asked_at + 60
        return False

    monkeypatch.setattr(Master, "told", told)
    read = demoted(colour, own_sentinels, front)
    known = time.monotonic()
    while time.monotonic() < known + 1.5 * STALENESS:
        assert read() == 1  # long invalidated


def test_a_proof_of_a_demoted_master_counts_from_the_last_answer_of_sentinels(
    colour: Colour, own_sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sentinels that answer no more: only the bound on the proofs closes the tier.
    monkeypatch.setattr(MasterWatch, "leave_if_overdue", lambda _: None)
    for is_bounded in (True, False):
        if not is_bounded:
            monkeypatch.setattr(PushProtocol, "_known_at", lambda self: self._front.now())
        cache = colour.cache(own_sentinels.url(), front=100, max_staleness=STALENESS)
        colour.call(cache, "set", "k", 1)
        opened(colour, cache)
        for each in own_sentinels.sentinels:
            own_sentinels.pause(each)
        coherence = cache._runtime.backend.front.coherence  # type: ignore[union-attr]
        silent = time.monotonic()

        if is_bounded:
            eventually(lambda: coherence.open_until < time.monotonic(), "a closed tier")  # noqa: B023  used up here
        else:
            eventually(lambda: time.monotonic() > silent + 1.5 * STALENESS, "the bound is over")  # noqa: B023
            eventually(lambda: coherence.open_until > time.monotonic(), "a tier that is open")  # noqa: B023
        for each in own_sentinels.sentinels:
            own_sentinels.resume(each)


def test_without_the_repetition_a_lost_deletion_brings_the_old_value_back(
    colour: Colour, own_sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Acknowledged, "changed", lambda *_: [])
    cache = colour.cache(own_sentinels.url(), max_staleness=STALENESS)
    seen = Seen(cache)
    assert colour.call(cache, "set", "k", 1)
    for replica in own_sentinels.replicas:
        until(lambda replica=replica: replica.cli("EXISTS", "k"), "a copy")  # type: ignore[misc]
        own_sentinels.pause(replica)
    own_sentinels.master.cli("CLIENT", "KILL", "TYPE", "replica")
    assert colour.call(cache, "invalidate", "k").pending == 0
    old = own_sentinels.kill_master()
    for node in own_sentinels.nodes:
        if node.is_running:
            own_sentinels.resume(node)
    own_sentinels.replace(old)
    eventually(lambda: colour.call(cache, "get", "k") == 1, "the value that was invalidated")
    assert seen.count(MasterChanged)


def test_a_sentinel_that_names_a_dead_server_is_asked_after_the_others(
    colour: Colour, redis_server: Server
) -> None:
    # As one does that promoted it: until it is back, whatever the others have decided since.
    with naming(free_port()) as stuck, naming(redis_server.port) as other:
        url = f"redis+sentinel://{HOST}:{stuck.port},{HOST}:{other.port}/mymaster"
        cache = colour.cache(url, sentinel_password="spw", socket_connect_timeout=5)
        assert not colour.call(cache, "ping")
        eventually(lambda: colour.call(cache, "ping"), "the server that the other one names")
        assert [colour.call(cache, "ping") for _ in range(3)] == [True] * 3
