"""What the page on configuration lists is what there is, and what a server needs to allow."""

from __future__ import annotations

import ast
import re
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import pytest
from redis.exceptions import ResponseError

from dualcache import BackendDown, Cache, Event, Hit, Loaded, StoresStopped
from dualcache.options.settings import KNOWN_VARIABLES
from tests.bodies import WAIT_SECONDS
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour
    from tests.servers import Server

PAGE: Final = (ROOT / "docs/configuration.md").read_text("utf-8")
RIGHTS, FRONT_RIGHTS, CHANNEL_RIGHTS = (
    re.findall(r" \+(\S+)", line) for line in re.findall("^ACL SETUSER.*", PAGE, re.MULTILINE)
)
ONLY_FOR_SCRIPTS: Final = {"evalsha", "eval", "script|load"}
ONLY_FOR_WATCHES: Final = {"watch", "unwatch", "multi", "exec"}
HANDSHAKE: Final = {"select"}


def commands_of(server: Server, *modules: str) -> set[str]:
    """Find every command that modules spell: words in capitals that the server knows.

    What is sent often is written in RESP, a word behind its length.
    """
    found: set[str] = set()
    for module in modules:
        for node in ast.walk(
            ast.parse((ROOT / "dualcache/backends/redis" / module).read_text("utf-8"))
        ):
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
                found.update(re.findall(r"\$\d+\r\n([a-z]+)\r\n", node.value.decode().lower()))
            parts = node.args if isinstance(node, ast.Call) else getattr(node, "elts", ())
            words = [word.value for word in parts if isinstance(word, ast.Constant)]
            if words and isinstance(words[0], str) and words[0].isupper():
                is_container = words[0] in {"SCRIPT", "CLIENT"}
                found.add("|".join(map(str, words[: 1 + is_container])).lower())
    return {word for word in found if is_command(server, word)}


def is_command(server: Server, word: str) -> bool:
    try:
        server.cli("ACL", "SETUSER", "nobody", f"+{word}")
    except ResponseError:
        return False
    server.cli("ACL", "DELUSER", "nobody")
    return True


def test_the_rights_are_those_of_all_commands_that_are_sent(redis_server: Server) -> None:
    modules = ("wire/ops.py", "wire/leases.py", "wire/scans.py", "wire/watch.py")
    assert set(RIGHTS) == commands_of(redis_server, *modules) | HANDSHAKE


def test_the_rights_for_a_front_tier_are_those_of_all_that_it_sends_besides(
    redis_server: Server,
) -> None:
    modules = ("listener.py", "connection.py", "protocol.py", "tracking.py", "transports.py")
    sent = commands_of(redis_server, *[f"push/{name}" for name in modules])
    assert {*FRONT_RIGHTS, *CHANNEL_RIGHTS} == sent - set(RIGHTS)
    assert set(CHANNEL_RIGHTS) > commands_of(redis_server, "wire/publish.py") - set(RIGHTS)


def used_with(
    rights: set[str],
    colour: Colour,
    server: Server,
    use: Callable[[Cache, Colour], None] | None = None,
    front: int | None = None,
) -> tuple[list[Event], set[bytes]]:
    """Do everything as a user with these rights; return the events, and what was refused."""
    rules = ["on", ">hush", "~shop:*", "resetchannels", "-@all", *(f"+{one}" for one in rights)]
    server.cli("ACL", "SETUSER", "shop-cache", *rules)
    server.cli("ACL", "LOG", "RESET")
    url = server.url.replace("//", "//shop-cache:hush@")
    cache = colour.cache(url, namespace="shop", socket_timeout=5, front=front)
    events: list[Event] = []
    cache.on_event(events.append)
    (use or use_everything)(cache, colour)
    refused = [entry[b"object"] for entry in map(as_dict, server.cli("ACL", "LOG"))]
    return events, {command.partition(b"|")[0] for command in refused}


def outcomes_of(events: list[Event]) -> set[str]:
    return {event.outcome for event in events if isinstance(event, Loaded)}


def named(value: object) -> str:
    """Name a case: the same in every process, whatever the order of a set there."""
    return "+".join(sorted(value)) or "none" if isinstance(value, set) else str(value)


@pytest.mark.parametrize("left_out", [set(), ONLY_FOR_SCRIPTS, ONLY_FOR_WATCHES], ids=named)
def test_a_user_with_these_rights_can_do_everything(
    left_out: set[str], colour: Colour, any_own_server: Server
) -> None:
    events, refused = used_with(set(RIGHTS) - left_out, colour, any_own_server)
    assert [event for event in events if isinstance(event, BackendDown)] == []
    assert outcomes_of(events) == {"stored"}
    assert any(isinstance(event, Hit) for event in events)
    assert refused <= {right.partition("|")[0].encode() for right in left_out}


def test_a_server_that_compares_in_set_needs_neither_scripts_nor_transactions(
    colour: Colour, any_own_server: Server
) -> None:
    rights = set(RIGHTS) - ONLY_FOR_SCRIPTS - ONLY_FOR_WATCHES - {"getrange"}
    try:
        any_own_server.cli("SET", "probe", "1", "IFEQ", "0")
    except ResponseError:
        events, _ = used_with(rights, colour, any_own_server, load_once)
        assert [
            type(event) for event in events if isinstance(event, StoresStopped | BackendDown)
        ] == [StoresStopped]
    else:
        events, _ = used_with(rights, colour, any_own_server)
        assert outcomes_of(events) == {"stored"}


def without(part: str) -> str:
    """Return the reason why nothing is pushed where a part of CLIENT is not allowed."""
    return "; ".join(f"{name}: DC203, grant +client|{part}" for name in ("tracking", "broadcast"))


@pytest.mark.parametrize(
    ("left_out", "transport", "reason"),
    [
        (set(), "tracking", "a push was seen"),
        ({"client|list"}, "broadcast", "tracking: DC203, grant +client|list"),
        ({"client|tracking"}, "ttl", without("tracking")),
        (set(FRONT_RIGHTS), "ttl", without("id")),
    ],
    ids=named,
)
def test_a_front_tier_hears_changes_as_the_rights_allow(
    left_out: set[str], transport: str, reason: str, colour: Colour, any_own_server: Server
) -> None:
    with_front: list[Cache] = []

    def use(cache: Cache, colour: Colour) -> None:
        with_front.append(cache)
        load = cache(key="kept:{item}")(colour.function(lambda item: item))
        until(lambda: colour.run(load, 1) and colour.run(load.peek, 1).tier == "front")
        colour.call(cache, "fence")
        use_everything(cache, colour)

    rights = {*RIGHTS, *FRONT_RIGHTS} - left_out
    events, refused = used_with(rights, colour, any_own_server, use, front=100)
    assert [event for event in events if isinstance(event, BackendDown)] == []
    told = with_front[0].stats().front
    assert told is not None
    assert (told.transport, told.reason, told.is_open) == (transport, reason, True)
    assert refused <= {right.partition("|")[0].encode() for right in left_out}


def until(holds: Callable[[], bool]) -> None:
    """Go on until something holds."""
    ends = monotonic() + WAIT_SECONDS
    while not holds():
        assert monotonic() < ends


def load_once(cache: Cache, colour: Colour) -> None:
    colour.call(cache, "get_or_load", "a", lambda: 1)


def use_everything(cache: Cache, colour: Colour) -> None:
    """Send every kind of command that the cache has."""

    def body(item: int) -> str:
        return str(item) * size

    size = 1
    hour = cache(key="hour:{item}", tags=["items"], ttl="1h")(colour.function(body))
    forever = cache(key="ever:{item}", tags=["items"], ttl=None)(colour.function(body))
    lasting = cache(key="long:{item}", tags=["items"], ttl="30d", stale_if_error="1d")(
        colour.function(body)
    )
    for function in (hour, lasting, forever, hour, lasting, forever):
        colour.run(function, 1)
    size = 10_000
    for function in (hour, lasting, forever):
        colour.run(function.refresh, 1)
        size = 20_000
        colour.run(function.refresh, 1)
        colour.run(function.peek, 1)
    colour.call(cache, "set", "a", 1, tags=["items"])
    colour.call(cache, "set_many", {"b": 2, "c": 3})
    colour.call(cache, "get_many", ["a", "b"])
    done = colour.call(cache, "invalidate", "a", tags=["items"], patterns=["b*"])
    assert (done.removed, done.pending) == (3, 0)
    assert colour.call(cache, "clear").pending == 0
    assert colour.call(cache, "ping")


def as_dict(reply: Any) -> dict[bytes, Any]:
    """Return an entry of ACL LOG, which comes as a mapping or as a flat list."""
    if isinstance(reply, dict):
        return {as_bytes(name): as_bytes(value) for name, value in reply.items()}
    return dict(zip(map(as_bytes, reply[::2]), map(as_bytes, reply[1::2]), strict=True))


def as_bytes(text: Any) -> Any:
    return text.encode() if isinstance(text, str) else text


def test_every_variable_is_listed() -> None:
    table = PAGE.partition("## The environment")[2].partition("##")[0]
    listed = re.findall(r"`(\w+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE)))
    assert sorted(listed) == sorted(KNOWN_VARIABLES)
