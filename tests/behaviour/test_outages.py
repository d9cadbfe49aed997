from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import (
    BackendDown,
    BackendUnavailable,
    BackendUp,
    Hit,
    Invalidated,
    Loaded,
    Miss,
    PendingOverflowed,
    Replayed,
    StoresStopped,
)
from dualcache.engine import health
from tests.behaviour.seen import Seen
from tests.patience import hasty
from tests.ports import HOST, free_port
from tests.proxy import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from tests.colours import Colour, SyncColour
    from tests.proxy import Proxy
    from tests.servers import Server

CALLS = 300


class Clock:
    """A clock that stands still until it is moved; pauses of the breaker end by moving it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Listener:
    """Accepts connections, counts them, and either hangs or says the same to every command."""

    def __init__(self, says: bytes = b"") -> None:
        self.accepted = 0
        self.received = 0
        self._says = says
        self._open: list[socket.socket] = []
        self._socket = socket.create_server((HOST, 0), backlog=512)
        self.url = f"redis://{HOST}:{self._socket.getsockname()[1]}/0?protocol=2"
        self._thread = threading.Thread(target=self._serve, name="proxy", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._socket.accept()[0]
                self.accepted += 1
                self._open.append(client)
                threading.Thread(target=self._talk, args=[client], name="proxy").start()

    def _talk(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(65536):
                self.received += 1
                if self._says:
                    client.sendall(self._says)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for client in self._open:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            client.close()
        self._thread.join(10)


@pytest.fixture
def listening() -> Iterator[Callable[[bytes], Listener]]:
    made: list[Listener] = []

    def listen(says: bytes = b"") -> Listener:
        made.append(Listener(says))
        return made[-1]

    yield listen
    for each in made:
        each.close()


def counted(colour: Colour, cache: Cache, **options: Any) -> tuple[Any, list[int]]:
    """Return a cached function that returns its argument, and the list of its loads."""
    loads: list[int] = []

    def body(n: int) -> dict[str, int]:
        loads.append(n)
        return {"n": n}

    return cache(key="k:{n}", **options)(colour.function(body)), loads


def test_three_hundred_calls_under_refusal_cost_one_attempt_to_connect(colour: Colour) -> None:
    clock = Clock()
    cache = colour.cache(f"redis://{HOST}:{free_port()}", clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    assert [colour.run(load, n) for n in range(CALLS)] == [{"n": n} for n in range(CALLS)]
    assert loads == list(range(CALLS))
    assert [event.reason for event in seen.of(BackendDown)] == ["DC200"]
    assert cache.stats().is_available is False
    assert colour.call(cache, "get", "k:1", "default") == "default"
    assert colour.call(cache, "set", "k:1", 1) is False
    assert colour.call(cache, "ping") is False


def test_three_hundred_calls_under_a_hang_cost_a_few_budgets(
    colour: Colour, listening: Callable[..., Listener]
) -> None:
    server = listening()
    limits = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05}
    cache = colour.cache(server.url, clock=Clock(), call_timeout=30, **limits)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    assert [colour.run(load, n) for n in range(CALLS)] == [{"n": n} for n in range(CALLS)]
    assert loads == list(range(CALLS))
    assert [event.reason for event in seen.of(BackendDown)] == ["DC201"]
    assert server.received <= 3


def test_loads_run_once_per_process_while_the_backend_is_down(colour: Colour) -> None:
    cache, gate = colour.cache(f"redis://{HOST}:{free_port()}"), colour.gate()
    loads = []
    colour.call(cache, "get", "opens the breaker")

    async def body() -> list[int]:
        loads.append(1)
        await gate.passed()
        return [1]

    load = cache(key="k")(colour.function(body))
    seen = Seen(cache)
    callers = [colour.start(load) for _ in range(20)]
    seen.wait_for(Miss, 20)
    gate.open()
    results = [caller.result() for caller in callers]
    assert results == [[1]] * 20
    assert len({id(result) for result in results}) == 20
    # Those who came while it loaded share the next: what others invalidated cannot be known.
    # A thread that stands still after its miss comes late, and may share yet another one.
    assert len(loads) <= (2 if colour.is_async else 10)


@pytest.mark.parametrize("kind", ["function", "get_or_load", "get_or_load_many"])
def test_whoever_comes_during_a_load_shares_the_next_one_while_the_backend_is_down(
    colour: Colour, kind: str
) -> None:
    cache, gate = colour.cache(f"redis://{HOST}:{free_port()}"), colour.gate()
    loads: list[int] = []
    colour.call(cache, "get", "opens the breaker")

    async def body() -> int:
        loads.append(len(loads))
        number = loads[-1]
        await gate.passed()
        return number

    async def many(names: list[str]) -> dict[str, int]:
        return dict.fromkeys(names, await body())

    one, several = colour.function(body), colour.function(many)
    load = cache(key="k")(one)
    calls: dict[str, Callable[[], Any]] = {
        "function": load,
        "get_or_load": lambda: colour.face(cache).get_or_load("k", one),
        "get_or_load_many": lambda: colour.face(cache).get_or_load_many(["k"], several),
    }
    seen = Seen(cache)
    early = colour.start(load)
    gate.wait_until_entered()
    late = [colour.start(calls[kind]) for _ in range(5)]
    if kind != "get_or_load_many":  # which counts what it loads
        seen.wait_for(Miss, 6)
    gate.open()
    assert early.result() == 0
    results = [each.result() for each in late]
    values = [each["k"] if isinstance(each, dict) else each for each in results]
    assert min(values) >= 1  # what was invalidated elsewhere before they came cannot be in it
    assert loads == list(range(max(values) + 1))


@pytest.mark.parametrize(
    "names", [{"keys": ["k"]}, {"tags": ["t"]}, {"patterns": ["k*"]}], ids=["key", "tag", "pattern"]
)
def test_an_invalidation_here_ends_the_sharing_of_older_loads_while_the_backend_is_down(
    colour: Colour, names: dict[str, list[str]]
) -> None:
    cache, gate = colour.cache(f"redis://{HOST}:{free_port()}"), colour.gate()
    loads: list[int] = []
    colour.call(cache, "get", "opens the breaker")

    async def body() -> int:
        loads.append(len(loads))
        number = loads[-1]
        if number == 0:
            await gate.passed()
        return number

    load = cache(key="k", tags=["t"])(colour.function(body))
    early = colour.start(load)
    gate.wait_until_entered()
    options = {key: value for key, value in names.items() if key != "keys"}
    done = colour.call(cache, "invalidate", *names.get("keys", ()), **options)
    assert done.pending == 1
    assert colour.start(load).result() == 1
    gate.open()
    assert early.result() == 0


def test_a_server_that_was_down_from_the_start_is_used_once_it_is_up(
    colour: Colour, own_server: Server
) -> None:
    own_server.kill()
    clock = Clock()
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    own_server.start()
    colour.run(load, 1)
    assert loads == [1, 1]
    clock.advance(2)
    colour.run(load, 1)
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1, 1]
    assert (seen.count(BackendDown), seen.count(BackendUp)) == (1, 1)
    assert cache.stats().is_available is True


def test_a_restart_between_two_calls_is_not_noticed(colour: Colour, own_server: Server) -> None:
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    own_server.restart()
    colour.run(load, 1)
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1]
    assert [event.outcome for event in seen.of(Loaded)] == ["stored", "stored"]
    assert seen.count(BackendDown) == 0


def test_a_paused_server_is_used_again_once_it_goes_on(colour: Colour, own_server: Server) -> None:
    clock = Clock()
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 0)
    own_server.pause()
    with hasty(colour, cache):
        assert [colour.run(load, n) for n in range(CALLS)] == [{"n": n} for n in range(CALLS)]
    assert seen.count(BackendDown) == 1
    own_server.resume()
    clock.advance(2)
    colour.run(load, 0)
    assert loads.count(0) == 2
    assert seen.count(BackendUp) == 1
    assert seen.of(Hit)


def test_a_hiccup_is_one_failure_however_many_callers_meet_it(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    for n in range(8):
        colour.call(cache, "set", f"k:{n}", n)
    colour.gather(*[lambda n=n: colour.face(cache).get(f"k:{n}") for n in range(8)])
    own_server.pause()
    reads = [lambda n=n: colour.face(cache).get(f"k:{n}", "miss") for n in range(8)]
    # So long that all have asked before the first one fails.
    with hasty(colour, cache, 1):
        assert colour.gather(*reads) == ["miss"] * 8
    own_server.resume()
    assert seen.count(BackendDown) == 0
    assert colour.call(cache, "get", "k:1") == 1


def test_an_outage_that_many_callers_meet_begins_with_the_first_pause(
    colour: Colour, own_server: Server
) -> None:
    clock = Clock()
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    colour.call(cache, "set", "k", 1)
    own_server.pause()
    with hasty(colour, cache):
        for _ in range(3):
            colour.gather(*[lambda: colour.face(cache).get("k")] * 10)
    own_server.resume()
    assert seen.count(BackendDown) == 1
    clock.advance(0.6)
    assert colour.call(cache, "get", "k") == 1


def test_more_threads_than_connections_are_no_outage(
    threads: SyncColour, redis_server: Server
) -> None:
    # So long that a busy machine does not make a wait for a connection a failure.
    patient = {"socket_timeout": 30, "call_timeout": 60}
    cache = threads.cache(redis_server.url, max_connections=4, strict=True, **patient)
    seen = Seen(cache)
    load, loads = counted(threads, cache, tags=["t:{n}"])
    for n in range(20):
        threads.run(load, n)
    loads.clear()

    def read() -> None:
        for n in range(300):
            load(n % 20)

    def delete() -> None:
        for n in range(50):
            cache.invalidate(f"other:{n}")

    threads.gather(*[read] * 24, *[delete] * 2)
    assert loads == []
    assert seen.count(BackendDown) == 0


def test_who_gets_no_connection_loads_without_storing(
    threads: SyncColour, redis_server: Server, proxy: Proxy
) -> None:
    cache = threads.cache(proxy.url, max_connections=1, socket_timeout=30)
    seen = Seen(cache)
    load, _ = counted(threads, cache)
    threads.run(load, 1)
    proxy.fault(replies=Faults(holds=True))  # the one connection is busy
    holder = threads.start(functools.partial(load, 1))
    connections: Any = cache._runtime.backend._server._sync
    connections._pool._seconds = 0.1
    while connections._pool.free:
        assert not holder.done
    others = [threads.start(functools.partial(load, n)) for n in range(2, 5)]
    assert [other.result() for other in others] == [{"n": n} for n in range(2, 5)]
    assert not holder.done
    proxy.heal()
    assert holder.result() == {"n": 1}
    assert seen.count(BackendDown) == 0


def test_killed_connections_are_replaced_without_an_event(
    colour: Colour, redis_server: Server
) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for _ in range(5):
        colour.run(load, 1)
        redis_server.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert loads == [1]
    assert seen.count(BackendDown) == 0


def test_a_server_without_a_place_for_us_is_an_outage(colour: Colour, own_server: Server) -> None:
    clock = Clock()
    own_server.cli("CONFIG", "SET", "maxclients", "1")
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    assert [colour.run(load, 1), colour.run(load, 1)] == [{"n": 1}] * 2
    assert seen.count(BackendDown) == 1
    own_server.cli("CONFIG", "SET", "maxclients", "100")
    clock.advance(2)
    colour.run(load, 1)
    colour.run(load, 1)
    assert loads == [1, 1, 1]


# What could not be deleted


def revoked(cache: Cache, colour: Colour) -> dict[str, Callable[[], Any]]:
    return {
        "key": lambda: colour.call(cache, "invalidate", "k:1"),
        "tag": lambda: colour.call(cache, "invalidate", tags=["t"]),
        "pattern": lambda: colour.call(cache, "invalidate", patterns=["k:*"]),
        "clear": lambda: colour.call(cache, "clear"),
        "set": lambda: colour.call(cache, "set", "k:1", {"n": 2}),
        "decorator": lambda: colour.run(cache.invalidates("k:{n}")(colour.function(saving)), 1),
        "handle": lambda: None,
    }


def saving(n: int) -> None: ...


@pytest.mark.parametrize("way", ["key", "tag", "pattern", "clear", "set", "decorator"])
@pytest.mark.parametrize("trouble", ["refused", "hung"])
def test_an_invalidation_during_an_outage_is_replayed_before_the_next_read(
    colour: Colour, redis_server: Server, proxy: Proxy, way: str, trouble: str
) -> None:
    clock = Clock()
    cache = colour.cache(proxy.url, namespace="n", clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache, tags=["t"])
    colour.run(load, 1)
    if trouble == "refused":
        proxy.refuse()
        proxy.reset()
    else:
        proxy.black_hole()
    with hasty(colour, cache) if trouble == "hung" else contextlib.nullcontext():
        done = revoked(cache, colour)[way]()
        assert getattr(done, "pending", 1) == 1 if way != "set" else done is False
        assert cache.stats().pending >= 1
        colour.run(load, 1)
    assert loads == [1, 1]
    if trouble == "hung":
        proxy.reset()
    proxy.heal()
    clock.advance(3)
    colour.run(load, 1)
    assert loads == [1, 1, 1]
    colour.run(load, 1)
    assert loads == [1, 1, 1]
    assert cache.stats().pending == 0
    assert sum(event.delivered for event in seen.of(Replayed)) >= 1
    assert (seen.count(BackendDown), seen.count(BackendUp)) == (1, 1)


def test_strict_raises_having_kept_the_invalidation(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    clock = Clock()
    cache = colour.cache(proxy.url, clock=clock, strict=True)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    proxy.refuse()
    proxy.reset()
    with pytest.raises(BackendUnavailable) as caught:
        colour.call(cache, "invalidate", "k:1")
    assert caught.value.code == "DC207"
    assert cache.stats().pending == 1
    proxy.heal()
    clock.advance(3)
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1, 1]


def test_reads_stay_off_after_an_overflow_until_a_clear_is_delivered(
    colour: Colour,
    redis_server: Server,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "MOST_PENDING", 5)
    clock = Clock()
    cache = colour.cache(proxy.url, namespace="n", clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    proxy.refuse()
    proxy.reset()
    for n in range(1, 8):
        assert colour.call(cache, "invalidate", f"k:{n}").pending == 1
    assert seen.count(PendingOverflowed) >= 1
    proxy.heal()
    clock.advance(3)
    for _ in range(2):
        colour.run(load, 1)
    assert loads == [1, 1, 1]
    assert cache.stats().is_available is False
    assert colour.call(cache, "clear").pending == 0
    for _ in range(2):
        colour.run(load, 1)
    assert loads == [1, 1, 1, 1]
    assert cache.stats().is_available is True


def test_a_deletion_whose_reply_is_lost_is_pending_and_repeated(
    colour: Colour, redis_server: Server, proxy: Proxy
) -> None:
    clock = Clock()
    cache = colour.cache(proxy.url, clock=clock)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    proxy.fault(replies=Faults(holds=True))
    with hasty(colour, cache):
        assert colour.call(cache, "invalidate", "k:1").pending == 1
    proxy.reset()
    proxy.heal()
    clock.advance(3)
    colour.run(load, 1)
    assert loads == [1, 1]


def test_log_lines_tell_each_change_of_state_once(
    colour: Colour, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    caplog.set_level("INFO", "dualcache")
    cache = colour.cache(own_server.url, clock=clock)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    own_server.kill()
    for n in range(50):
        colour.run(load, n)
        colour.call(cache, "get", "x")
    colour.call(cache, "invalidate", "k:1")
    own_server.start()
    clock.advance(3)
    for n in range(5):
        colour.run(load, n)
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    where = f"dualcache: {own_server.url}"
    down = f"{where} cannot be reached (connection refused); functions run without the cache"
    assert levels == [
        ("WARNING", f"{down}; next try in 0.5 s"),
        ("INFO", f"{where} answers again; functions use the cache"),
        ("INFO", f"{where} got 1 invalidation kept during the outage"),
    ]


def test_a_log_line_says_how_long_a_silent_server_was_waited_for(
    colour: Colour, own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    cache = colour.cache(own_server.url, clock=Clock(), socket_timeout=0.25)
    load, _ = counted(colour, cache)
    colour.run(load, 1)
    own_server.pause()
    for n in range(4):
        colour.run(load, n)
    own_server.resume()
    (line,) = caplog.messages
    assert line == (
        f"dualcache: {own_server.url} does not answer (timed out after 250 ms); functions run "
        "without the cache; next try in 0.5 s"
    )


def test_a_log_line_is_complete_where_logging_is_not_configured(own_server: Server) -> None:
    own_server.kill()
    url = f"{own_server.url}?socket_connect_timeout=30"
    program = f"from dualcache import Cache; Cache({url!r}).get('k')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.startswith(f"dualcache: {own_server.url} cannot be reached (connection ")


# What the server refuses


def test_a_full_server_stops_stores_and_nothing_else(colour: Colour, own_server: Server) -> None:
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    own_server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own_server.cli("CONFIG", "SET", "maxmemory", "1")
    assert colour.run(load, 1) == {"n": 1}
    assert loads == [1]
    for _ in range(3):
        assert colour.run(load, 2) == {"n": 2}
    assert loads == [1, 2, 2, 2]
    assert colour.call(cache, "set", "k:3", 3) is False
    assert colour.call(cache, "invalidate", "k:1").removed == 1
    assert colour.call(cache, "get", "k:1") is None
    assert [event.reason for event in seen.of(StoresStopped)] == ["OOM"]
    assert seen.count(BackendDown) == 0
    own_server.cli("CONFIG", "SET", "maxmemory", "0")
    colour.run(load, 2)
    colour.run(load, 2)
    assert loads == [1, 2, 2, 2, 2]


def test_a_set_that_a_full_server_refuses_deletes_what_was_there(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(own_server.url)
    colour.call(cache, "set", "k", "old")
    own_server.cli("CONFIG", "SET", "maxmemory", "1")
    assert colour.call(cache, "set", "k", "new") is False
    assert colour.call(cache, "get", "k") is None


def test_a_replica_is_read_and_its_refusal_to_write_is_told_once(
    colour: Colour, own_server: Server, redis_server: Server
) -> None:
    cache = colour.cache(own_server.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    # A master that cannot be reached: the replica keeps what it has, and takes no writes.
    own_server.cli("REPLICAOF", HOST, free_port())
    assert colour.run(load, 1) == {"n": 1}
    for _ in range(3):
        assert colour.run(load, 2) == {"n": 2}
    assert loads == [1, 2, 2, 2]
    assert [event.reason for event in seen.of(StoresStopped)] == ["READONLY"]
    assert colour.call(cache, "invalidate", "k:1").pending == 1


SAID = {
    b"-LOADING Redis is loading the dataset in memory\r\n": ("LOADING", False),
    b"-BUSY Redis is busy running a script.\r\n": ("BUSY", False),
    b"-CLUSTERDOWN Hash slot not served\r\n": ("CLUSTERDOWN", False),
    b"-MASTERDOWN Link with MASTER is down\r\n": ("MASTERDOWN", False),
    b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n": ("TRYAGAIN", False),
    b"-NOAUTH Authentication required.\r\n": ("NOAUTH", True),
    b"-NOPERM this user has no permissions\r\n": ("NOPERM", True),
    b"-MOVED 3999 127.0.0.1:6381\r\n": ("MOVED", True),
    b"-CROSSSLOT Keys in request don't hash to the same slot\r\n": ("CROSSSLOT", True),
    # A Sentinel's port.
    b"-ERR unknown command 'GET', with args beginning with: 'k'\r\n": ("DC202", True),
}


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.split()[0].decode())
def test_an_error_of_the_server_is_an_outage_told_once(
    colour: Colour, listening: Callable[..., Listener], said: bytes
) -> None:
    reason, is_configuration = SAID[said]
    server = listening(said)
    url = server.url.replace("/0", "")
    cache = colour.cache(url, clock=Clock())
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    assert [colour.run(load, n) for n in range(CALLS)] == [{"n": n} for n in range(CALLS)]
    assert len(loads) == CALLS
    (down,) = seen.of(BackendDown)
    assert (down.reason, down.is_configuration) == (reason, is_configuration)
    assert server.received <= 6


def test_a_busy_server_is_an_outage_and_recovers(colour: Colour, own_server: Server) -> None:
    clock = Clock()
    own_server.cli("CONFIG", "SET", "lua-time-limit", "50")
    cache = colour.cache(own_server.url, clock=clock)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    colour.run(load, 1)
    runaway = socket.create_connection((HOST, own_server.port))
    runaway.sendall(b"EVAL 'while true do end' 0\r\n")
    for _ in range(3):
        assert colour.run(load, 1) == {"n": 1}
    assert seen.count(BackendDown) == 1
    with contextlib.suppress(OSError):
        own_server.client().script_kill()
    runaway.recv(1000)
    runaway.close()
    clock.advance(3)
    count = len(loads)
    colour.run(load, 1)
    assert len(loads) == count
    assert seen.count(BackendUp) == 1


@pytest.mark.parametrize("password", ["", "wr0ng-s3cret"])
def test_a_missing_or_wrong_password_is_told_once_as_configuration(
    colour: Colour, own_server: Server, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    own_server.cli("CONFIG", "SET", "requirepass", "right-s3cret")
    auth = f":{password}@" if password else ""
    cache = colour.cache(f"redis://{auth}{HOST}:{own_server.port}", clock=clock)
    seen = Seen(cache)
    load, _ = counted(colour, cache)
    for n in range(CALLS):
        assert colour.run(load, n) == {"n": n}
    (down,) = seen.of(BackendDown)
    assert down.is_configuration
    assert down.retry_ms >= 10_000
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "refuses this program" in line.getMessage()
    own_server.cli("AUTH", "right-s3cret")
    asked = own_server.cli("INFO", "commandstats")
    calls = sum(asked.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("auth", "hello"))
    assert calls <= 4
    assert "s3cret" not in caplog.text + repr(cache) + repr(cache.aio) + repr(cache.stats())
    clock.advance(5)
    colour.run(load, 1)
    assert seen.count(BackendDown) == 1


def acl_url(server: Server, *rules: str) -> str:
    server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", *rules)
    return f"redis://app:pw@{HOST}:{server.port}"


def test_a_server_that_forbids_scripts_stores_by_transactions(
    colour: Colour, any_own_server: Server
) -> None:
    url = acl_url(any_own_server, "+@all", "-eval", "-evalsha", "-script")
    cache = colour.cache(url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for _ in range(3):
        for n in range(3):
            colour.run(load, n)
    assert loads == [0, 1, 2]
    assert {event.outcome for event in seen.of(Loaded)} == {"stored"}
    assert seen.count(BackendDown) == 0


def test_a_server_that_forbids_our_commands_is_told_as_configuration(
    colour: Colour, own_server: Server
) -> None:
    cache = colour.cache(acl_url(own_server, "+@all", "-get", "-mget"), clock=Clock())
    seen = Seen(cache)
    load, _ = counted(colour, cache)
    for n in range(20):
        assert colour.run(load, n) == {"n": n}
    (down,) = seen.of(BackendDown)
    assert (down.reason, down.is_configuration) == ("NOPERM", True)


def test_the_least_rights_suffice(colour: Colour, any_own_server: Server) -> None:
    commands = ["get", "mget", "set", "del", "unlink", "pttl", "pexpire", "evalsha", "eval"]
    commands += ["script|load", "ping", "select", "scan", "getrange"]
    url = acl_url(any_own_server, *[f"+{command}" for command in commands])
    cache = colour.cache(url, namespace="n")
    seen = Seen(cache)
    load, loads = counted(colour, cache, tags=["t"])
    for _ in range(2):
        colour.run(load, 1)
    assert loads == [1]
    colour.call(cache, "set", "x", 1)
    assert colour.call(cache, "invalidate", "x", tags=["t"], patterns=["k*"]).pending == 0
    assert colour.call(cache, "clear").pending == 0
    assert colour.run(load.peek, 1) is None
    assert seen.count(BackendDown) == 0


def test_forgotten_scripts_are_given_again(colour: Colour, redis_server: Server) -> None:
    cache = colour.cache(redis_server.url)
    seen = Seen(cache)
    load, loads = counted(colour, cache)
    for n in range(4):
        colour.run(load, n)
        redis_server.cli("SCRIPT", "FLUSH")
        colour.run(load, n)
    assert loads == [0, 1, 2, 3]
    assert {event.outcome for event in seen.of(Loaded)} == {"stored"}


def test_a_server_without_config_and_info_serves(colour: Colour, any_own_server: Server) -> None:
    url = acl_url(any_own_server, "+@all", "-config", "-info", "-client", "-command", "-debug")
    cache = colour.cache(url)
    load, loads = counted(colour, cache)
    for _ in range(3):
        colour.run(load, 1)
    assert loads == [1]
    assert isinstance(colour.call(cache, "invalidate", "k:1"), Invalidated)
