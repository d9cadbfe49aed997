"""The doctor finds each fault on a real server, and says it in one line."""

from __future__ import annotations

import shutil
from time import time
from typing import TYPE_CHECKING

import pytest

from dualcache import Cache, FrontTier
from dualcache.doctor import Finding, Level, examine
from dualcache.doctor import program as of_program
from tests.fleets.waiting import until
from tests.patience import patient
from tests.ports import free_port
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Binary

GOOD, WARNING, FAULT, UNKNOWN = Level.GOOD, Level.WARNING, Level.FAULT, Level.UNKNOWN


def found_by(cache: Cache, now: Callable[[], float] = time) -> list[Finding]:
    with cache:
        return [*examine(cache, now=now)]


def found(url: str, namespace: str = "shop", **options: object) -> dict[str, Finding]:
    """Return the findings by the names of their checks."""
    if "socket_timeout" not in options:
        url = patient(url)
    return {one.check: one for one in found_by(Cache(url, namespace=namespace, **options))}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def odd_server(server_binary: Binary) -> Iterator[Server]:
    """A server to configure, for all tests of this file; each leaves it as it was."""
    with Server(server_binary) as server:
        yield server


@pytest.fixture
def configured(odd_server: Server) -> Iterator[Callable[..., str]]:
    """Set options of the server, and get its URL."""
    before: dict[str, str] = {}

    def configure(**options: str) -> str:
        for name, value in options.items():
            setting = name.replace("_", "-")
            told = odd_server.client().config_get(setting)
            before[setting] = str(next(iter(told.values())))
            odd_server.cli("CONFIG", "SET", setting, value)
        return odd_server.url

    odd_server.flush()
    yield configure
    for name, value in before.items():
        odd_server.cli("CONFIG", "SET", name, value)


@pytest.fixture
def user(odd_server: Server) -> Iterator[Callable[..., str]]:
    """Make a user of the server, and get its URL."""

    def make(*rules: str) -> str:
        odd_server.cli("ACL", "SETUSER", "app", "reset", "on", ">pw", *rules)
        return odd_server.url.replace("//", "//app:pw@")

    yield make
    odd_server.cli("ACL", "DELUSER", "app")


def test_a_server_in_good_order_has_no_fault_and_no_warning(configured: Callable[..., str]) -> None:
    url = configured(maxmemory="1gb", maxmemory_policy="allkeys-lfu")
    with Cache(patient(url), namespace="shop") as cache:
        cache.set("a", 1, tags=["t"])
        seen = found(url)
    odd = {one.check: one.cause for one in seen.values() if one.level is not GOOD}
    odd.pop("latency", None)  # as the machine is
    assert odd == {}
    assert {*seen} == {
        "url", "dns", "tcp", "tls", "auth", "latency", "clock", "server", "resp3", "tracking",
        "ifeq", "scripts", "maxmemory", "policy", "evictions", "connections", "tracking-table",
        "buffers", "persistence", "replicas", "rights", "foreign-keys", "ttl", "pickle",
        "versions", "hiredis", "secret",
    }  # fmt: skip
    assert seen["foreign-keys"].cause == "none under shop:, of 1 looked at"


def test_a_finding_that_is_not_good_says_what_to_do(user: Callable[..., str]) -> None:
    for one in found(user("~shop:*", "+ping", "+get")).values():
        assert one.level is GOOD or one.fix or one.level is UNKNOWN, one
        assert "\n" not in one.cause + one.fix


def test_memory_without_a_limit_and_without_eviction(configured: Callable[..., str]) -> None:
    seen = found(configured(maxmemory="0", maxmemory_policy="noeviction"))
    assert seen["maxmemory"].level is WARNING
    assert seen["maxmemory"].cause.startswith("no limit, ")
    assert seen["policy"].level is WARNING
    assert seen["policy"].cause == "noeviction: a full server stores nothing new"


def test_a_full_server_that_evicts_nothing_is_a_fault(configured: Callable[..., str]) -> None:
    seen = found(configured(maxmemory="1mb", maxmemory_policy="noeviction"))
    assert seen["policy"].level is FAULT


def test_evictions_that_end_entries_early(
    configured: Callable[..., str], odd_server: Server
) -> None:
    url = configured(maxmemory="2mb", maxmemory_policy="allkeys-lru")
    for number in range(40):
        odd_server.cli("SET", f"shop:~x{number}", "x" * 100_000)
    assert found(url)["evictions"].level is WARNING


def test_a_host_that_nobody_knows_and_a_port_where_nobody_listens() -> None:
    seen = found("redis://no-such-host.invalid/0")
    assert [*seen] == ["url", "dns"]
    assert seen["dns"].level is FAULT
    seen = found(f"redis://127.0.0.1:{free_port()}/0")
    assert [*seen] == ["url", "tcp"]
    assert "connection refused" in seen["tcp"].cause


def test_a_socket_that_is_not_there() -> None:
    seen = found("unix:///no/such/socket?db=0")
    assert seen["tcp"].cause == "/no/such/socket is not there"


@pytest.mark.parametrize("rule", ["+del", "+scan", "+pttl", "+set", "+unlink"])
def test_a_right_that_is_missing(rule: str, any_own_server: Server) -> None:
    """Redis 7 and Valkey are asked by ACL DRYRUN, older ones by trying."""
    with Cache(patient(any_own_server.url), namespace="shop") as cache:
        rules = [right.rule for right in cache.rights() if right.rule != rule]
    asking = ["+acl|whoami", "+acl|dryrun"] if any_own_server.version >= (7,) else []
    any_own_server.cli("ACL", "SETUSER", "app", "on", ">pw", *rules, *asking)
    told = found_by(Cache(patient(any_own_server.url.replace("//", "//app:pw@")), namespace="shop"))
    missing = [one for one in told if one.check == "rights" and one.level is not UNKNOWN]
    assert [one.cause.partition(" ")[0] for one in missing] == [rule]
    assert missing[0].level is (WARNING if rule == "+unlink" else FAULT)
    assert missing[0].fix == f"ACL SETUSER app {rule}"


def test_the_least_rights_are_enough_for_every_check_of_rights(
    user: Callable[..., str], odd_server: Server
) -> None:
    with Cache(patient(odd_server.url), namespace="shop", front=FrontTier()) as cache:
        rules = [right.rule for right in cache.rights()]
    assert {"+client|tracking", "+role"} <= {*rules}
    seen = found(user(*rules), front=10)
    assert seen["server"].level is UNKNOWN
    assert seen["rights"].level in {GOOD, UNKNOWN}
    assert [one for one in seen.values() if one.level is FAULT] == []


def test_statistics_that_cannot_be_shared(user: Callable[..., str]) -> None:
    url = user("~*", "+@all", "-hvals")
    seen = found_by(Cache(patient(url), namespace="shop", fleet_stats=True))
    missing = [one for one in seen if one.check == "rights" and one.level is WARNING]
    assert [one.cause for one in missing] == [
        "+hvals is missing: the counters of others are not seen"
    ]


def test_a_server_that_compares_in_no_way(user: Callable[..., str]) -> None:
    seen = found(user("~shop:*", "+@all", "-@scripting", "-client", "-config"))
    assert seen["scripts"].level is WARNING
    assert seen["tracking"].level is WARNING
    assert seen["tracking-table"].level is UNKNOWN


@pytest.mark.parametrize(
    ("ahead", "level", "side"),
    [(0.0, GOOD, "the same"), (10.0, WARNING, "10 s behind"), (-3_600.0, FAULT, "3600 s ahead of")],
)
def test_a_clock_that_is_wrong(ahead: float, level: Level, side: str, redis_server: Server) -> None:
    told = found_by(Cache(patient(redis_server.url), namespace="shop"), lambda: time() + ahead)
    (clock,) = [one for one in told if one.check == "clock"]
    assert clock.level is level
    assert side in clock.cause


def test_another_program_in_the_namespace(
    configured: Callable[..., str], odd_server: Server
) -> None:
    url = configured()
    odd_server.cli("SET", "shop:session:1\x1b", "theirs")
    odd_server.cli("LPUSH", "shop:queue", "job")
    seen = found(url)["foreign-keys"]
    assert seen.level is WARNING
    assert seen.cause.startswith("2 keys are not dualcache's, as shop:queue: clear()")
    assert found(url, namespace="other")["foreign-keys"].level is GOOD
    assert "give the cache a namespace" in found(url, namespace="")["foreign-keys"].fix


def test_entries_without_an_end_and_pickles(configured: Callable[..., str]) -> None:
    url = configured()
    with Cache(url, namespace="shop", codec="pickle", secret="s" * 32) as cache:
        cache.set("a", 1, ttl=None)
        cache.set("b", 2)
        cache.invalidate("held", hold=60)
    seen = found(url)
    assert seen["ttl"].cause == "1 of 2 entries have none: they stay until evicted"
    assert seen["pickle"].level is WARNING


def test_a_secret_that_can_be_guessed(redis_server: Server) -> None:
    assert found(redis_server.url, secret=["x" * 32, "short"])["secret"].level is WARNING
    assert found(redis_server.url, secret="x" * 32)["secret"].level is GOOD


def test_how_a_front_tier_hears_of_changes(
    redis_server: Server, odd_server: Server, user: Callable[..., str]
) -> None:
    assert found(redis_server.url, front=10)["front"].cause.startswith("changes are heard by ")
    deaf = found(user("~*", "+@all", "-client", "-subscribe", "-publish"), front=10)["front"]
    assert deaf.level is WARNING
    assert "+client|id" in deaf.cause


def test_hits_that_differ_are_told(redis_server: Server) -> None:
    numbers = iter(range(100))
    # A check pauses for eight time-outs, so they stay short. A call that timed out is repeated.
    with Cache(redis_server.url, namespace="shop") as cache:

        @cache(key="drifting", verify=1.0)
        def drifting() -> int:
            return next(numbers)

        until(lambda: (drifting(), cache.stats().findings)[1], "the difference is found")
        (told,) = [one for one in examine(cache) if one.check == "verify"]
    assert told.level is WARNING
    assert told.cause.startswith("drifting")


def test_hiredis_that_is_missing(redis_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_program, "find_spec", lambda _: None)
    assert found(redis_server.url)["hiredis"].level is WARNING


def test_a_replica_in_the_place_of_the_master(redis_server: Server, own_server: Server) -> None:
    own_server.cli("REPLICAOF", redis_server.host, str(redis_server.port))
    replica = found(own_server.url)
    assert replica["replicas"].level is FAULT or replica["answer"].level is FAULT


def test_a_snapshot_that_fails(own_server: Server) -> None:
    own_server.cli("CONFIG", "SET", "save", "3600 1")
    shutil.rmtree(own_server.folder)
    own_server.cli("BGSAVE")
    until(
        lambda: own_server.cli("INFO", "persistence")["rdb_last_bgsave_status"] == "err",
        "the snapshot fails",
    )
    seen = found(own_server.url)["persistence"]
    assert seen.level is FAULT
    assert seen.cause == "the last snapshot failed, so the server refuses writes"


def test_memory_has_nothing_to_examine() -> None:
    seen = found("memory://")
    assert seen["url"].level is WARNING
    assert [*seen] == ["url", "versions", "hiredis", "secret"]


def test_a_server_elsewhere_without_tls_and_password_is_warned_of(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dualcache.doctor.reaching.LOCAL", ("/",))
    seen = found(redis_server.url)
    assert (seen["tls"].level, seen["auth"].level) == (WARNING, WARNING)
