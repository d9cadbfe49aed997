from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import ssl
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
import redis.asyncio
from redis import exceptions as theirs

from dualcache.backends.redis.connections import (
    make_async_client,
    make_async_connection,
    make_client,
    make_connection,
)
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.given_client import check_client
from dualcache.errors import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    UsageError,
)
from dualcache.options.target import Target, parse_url
from tests.patience import patient
from tests.ports import free_port
from tests.servers import Binary, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.proxy import Proxy

BOTH = pytest.mark.parametrize("colour", ["sync", "async"])
SECRET = "s3cr3t"
PATIENT = "?socket_timeout=20&socket_connect_timeout=20"


async def _done(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


def ask(target: Target, colour: str, *commands: tuple[Any, ...]) -> list[Any]:
    """Connect as a driver would, send each command, return the replies, disconnect."""

    async def talk() -> list[Any]:
        make: Callable[[Target], Any] = make_connection
        if colour == "async":
            make = make_async_connection
        connection = make(target)
        try:
            await _done(connection.connect())
            replies: list[Any] = []
            for command in commands:
                await _done(connection.send_command(*command))
                replies.append(await _done(connection.read_response()))
            return replies
        finally:
            await _done(connection.disconnect())

    return asyncio.run(talk())


def use(target: Target, colour: str, call: Callable[[Any], Any]) -> Any:
    """Run `call` with the client that users get, and close it."""

    async def talk() -> Any:
        if colour == "sync":
            with make_client(target) as client:
                return call(client)
        async with make_async_client(target) as client:
            return await _done(call(client))

    return asyncio.run(talk())


def calls(server: Server) -> dict[str, int]:
    """Count the commands that the server has seen, apart from those of the fixture."""
    seen = server.cli("INFO", "commandstats")
    counts = {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in seen.items()}
    return {name: count for name, count in counts.items() if name != "config|resetstat"}


def error_of_class(kind: Any, word: str) -> Exception:
    """Make an error as redis-py's parser does: since version 8 it keeps the server's word."""
    from redis._parsers.base import BaseParser

    found = BaseParser.parse_error(f"{word} x")
    assert isinstance(found, kind)
    assert isinstance(found, Exception)
    return found


def failure(what: Callable[[], object]) -> BackendError:
    with pytest.raises(Exception) as caught:
        what()
    return classify(caught.value)


# --- connecting ---------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("options", "handshake"),
    [
        ("", {"hello": 1}),
        ("?db=3", {"hello": 1, "select": 1}),
        ("?protocol=2", {}),
        ("?client_name=app", {"hello": 1, "client|setname": 1}),
    ],
)
def test_a_handshake_takes_no_more_trips_than_needed(
    own_server: Server, colour: str, options: str, handshake: dict[str, int]
) -> None:
    own_server.cli("PING")
    own_server.cli("CONFIG", "RESETSTAT")
    target = parse_url(patient(f"redis://{own_server.host}:{own_server.port}{options}"))
    assert ask(target, colour, ("GET", "k")) == [None]
    seen = {name: count for name, count in calls(own_server).items() if count}
    seen.pop("config", None)
    seen.pop("info", None)
    if "client" in seen:  # before 7.0 the subcommands are counted together
        seen["client|setname"] = seen.pop("client")
    assert seen == handshake | {"get": 1}


@BOTH
def test_the_handshake_is_as_short_on_every_server(any_server: Server, colour: str) -> None:
    target = parse_url(patient(any_server.url))
    any_server.cli("CONFIG", "RESETSTAT")
    ask(target, colour, ("GET", "k"))
    assert not any(name.startswith("client") for name in calls(any_server))
    assert calls(any_server)["hello"] == 1


@BOTH
def test_replies_are_bytes(redis_server: Server, colour: str) -> None:
    target = parse_url(patient(redis_server.url))
    assert ask(target, colour, ("SET", "k", b"\xff"), ("GET", "k")) == [b"OK", b"\xff"]
    assert use(target, colour, lambda client: client.get("k")) == b"\xff"


@BOTH
def test_db_and_user_reach_the_server(own_server: Server, colour: str) -> None:
    own_server.cli("ACL", "SETUSER", "me", "on", ">p@:/ w", "~*", "+@all")
    url = f"redis://me:p%40%3A%2F%20w@{own_server.host}:{own_server.port}/5"
    (who, where) = ask(parse_url(patient(url)), colour, ("ACL", "WHOAMI"), ("SET", "k", "v"))
    assert (who, where) == (b"me", b"OK")
    assert own_server.cli("INFO", "keyspace").keys() == {"db5"}


@BOTH
def test_a_unix_socket_is_reached(server_binary: Binary, colour: str) -> None:
    with Server(server_binary, unixsocket=True) as server:
        target = parse_url(patient(server.unix_url), db=2)
        assert ask(target, colour, ("SET", "k", "v")) == [b"OK"]
        assert use(target, colour, lambda client: client.get("k")) == b"v"


@BOTH
def test_nothing_connects_when_a_connection_or_a_client_is_made(colour: str) -> None:
    target = parse_url(f"redis://127.0.0.1:{free_port()}")

    async def make() -> None:
        made: list[Any] = [make_connection(target), make_client(target)]
        if colour == "async":
            made = [make_async_connection(target), make_async_client(target)]
        assert made

    asyncio.run(make())


def test_commands_of_a_driver_are_never_sent_twice() -> None:
    target = parse_url("redis://cache?retry_on_timeout=yes&health_check_interval=9")
    for connection in (make_connection(target), make_async_connection(target)):
        assert connection.retry._retries == 0
        assert connection.health_check_interval == 0


def test_a_handshake_is_packed_in_python() -> None:
    # hiredis crashes where a signal handler raises while it packs a command.
    connection = make_connection(parse_url("redis://h"))
    packed = b"".join(connection.pack_command("CLIENT SETINFO", "LIB-NAME", b"a b", 3, "é"))
    parts = b"*6 $6 CLIENT $7 SETINFO $8 LIB-NAME $3 a_b $1 3 $2 \xc3\xa9 "
    assert packed == parts.replace(b" ", b"\r\n").replace(b"_", b" ")
    assert "hiredis" not in type(connection._command_packer).__module__


def test_a_shared_connection_reads_without_a_time_out() -> None:
    connection = make_async_connection(parse_url("redis://cache?socket_connect_timeout=2"))
    assert (connection.socket_timeout, connection.socket_connect_timeout) == (None, 2.0)


def test_tls_options_reach_the_connection() -> None:
    url = "rediss://cache?ssl_cert_reqs=none&ssl_min_version=TLSv1.3&ssl_ca_certs=/etc/ca.pem"
    made: Any = make_connection(parse_url(url))
    assert isinstance(made, redis.SSLConnection)
    assert (made.cert_reqs, made.check_hostname) == (ssl.CERT_NONE, False)
    assert (made.ssl_min_version, made.ca_certs) == (ssl.TLSVersion.TLSv1_3, "/etc/ca.pem")
    shared: Any = make_async_connection(parse_url("rediss://cache"))
    assert isinstance(shared, redis.asyncio.SSLConnection)
    assert (shared.ssl_context.cert_reqs, shared.check_hostname) == (ssl.CERT_REQUIRED, True)


# --- clients ------------------------------------------------------------------------------------


@BOTH
def test_the_pool_waits_for_a_connection_and_no_longer_than_the_time_out(
    redis_server: Server, colour: str
) -> None:
    target = parse_url(redis_server.url, max_connections=1, socket_timeout=0.5)

    async def exhaust() -> None:
        client: Any = make_client(target) if colour == "sync" else make_async_client(target)
        taking = client.connection_pool.get_connection
        wanted = inspect.signature(taking).parameters["command_name"]
        of_old = ["PING"] if wanted.default is wanted.empty else []
        held = await _done(taking(*of_old))
        with pytest.raises(theirs.ConnectionError) as caught:
            await _done(client.ping())
        assert isinstance(classify(caught.value), BackendUnavailable)
        await _done(client.connection_pool.release(held))
        assert await _done(client.ping())
        await _done(client.close() if colour == "sync" else client.aclose())

    asyncio.run(exhaust())


@BOTH
@pytest.mark.parametrize(("option", "sent"), [("no", 1), ("yes", 2)])
def test_a_client_tries_again_after_a_time_out_only_if_told(
    own_server: Server, colour: str, option: str, sent: int
) -> None:
    target = parse_url(own_server.url, retry_on_timeout=option, socket_timeout=0.5)
    error = failure(lambda: use(target, colour, lambda client: client.blpop("k", 5)))
    assert isinstance(error, BackendTimeout)
    assert calls(own_server)["blpop"] == sent


@BOTH
def test_a_client_of_ours_passes_the_check_for_clients(colour: Any) -> None:
    target = parse_url("redis://cache")

    async def check() -> None:
        client = make_client(target) if colour == "sync" else make_async_client(target)
        check_client(client, colour)

    asyncio.run(check())


@BOTH
def test_a_client_of_the_other_colour_is_refused_with_the_fix(colour: Any) -> None:
    other: Any = redis.asyncio.Redis() if colour == "sync" else redis.Redis()
    with pytest.raises(UsageError) as caught:
        check_client(other, colour)
    assert caught.value.code == "DC176"
    assert ("redis.Redis" if colour == "sync" else "redis.asyncio.Redis") in caught.value.help


@BOTH
def test_a_client_that_decodes_is_refused_with_the_fix(colour: Any) -> None:
    make: Any = redis.Redis if colour == "sync" else redis.asyncio.Redis
    with pytest.raises(UsageError) as caught:
        check_client(make(decode_responses=True), colour)
    assert caught.value.code == "DC177"
    assert "decode_responses" in caught.value.help


@pytest.mark.parametrize("client", [None, "redis://cache", object()])
def test_what_is_no_client_is_refused(client: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_client(client, "sync")
    assert type(client).__name__ in caught.value.what


# --- what goes wrong ----------------------------------------------------------------------------


@BOTH
def test_a_refused_port_fails_at_once(colour: str) -> None:
    target = parse_url(f"redis://127.0.0.1:{free_port()}")
    errors = [
        failure(lambda: ask(target, colour)),
        failure(lambda: use(target, colour, lambda client: client.ping())),
    ]
    for error in errors:  # neither waited until the time was over
        assert isinstance(error, BackendUnavailable)
        assert vars(error)["is_configuration"] is False


def test_a_hanging_server_is_asked_once_and_waited_for(proxy: Proxy) -> None:
    target = parse_url(proxy.url, socket_timeout=0.1)
    proxy.black_hole()
    started = time.monotonic()
    error = failure(lambda: ask(target, "sync", ("GET", "k")))
    assert isinstance(error, BackendTimeout)
    assert time.monotonic() - started >= 0.1
    proxy.wait_for_links(1)
    assert proxy.accepted == 1


@BOTH
def test_a_client_asks_a_hanging_server_once(proxy: Proxy, colour: str) -> None:
    target = parse_url(proxy.url, socket_timeout=0.1)
    proxy.black_hole()
    started = time.monotonic()
    error = failure(lambda: use(target, colour, lambda client: client.get("k")))
    assert isinstance(error, BackendTimeout)
    assert time.monotonic() - started >= 0.1
    proxy.wait_for_links(1)
    assert proxy.accepted == 1


@BOTH
@pytest.mark.parametrize("how", ["connection", "client"])
def test_a_wrong_password_is_sent_once(own_server: Server, colour: str, how: str) -> None:
    own_server.cli("ACL", "SETUSER", "me", "on", ">right", "~*", "+@all")
    target = parse_url(patient(f"redis://me:{SECRET}@{own_server.host}:{own_server.port}"))
    own_server.cli("CONFIG", "RESETSTAT")
    if how == "connection":
        error = failure(lambda: ask(target, colour))
    else:
        error = failure(lambda: use(target, colour, lambda client: client.ping()))
    assert isinstance(error, BackendRefused)
    assert (error.prefix, error.code) == ("WRONGPASS", "DC203")
    assert vars(error)["is_configuration"] is True
    assert SECRET not in str(error)
    assert calls(own_server)["hello"] == 1


@BOTH
def test_a_missing_password_is_told_from_a_wrong_one(own_server: Server, colour: str) -> None:
    url = patient(own_server.url)
    own_server.cli("CONFIG", "SET", "requirepass", "right")
    error = failure(lambda: ask(parse_url(url, protocol=2), colour, ("GET", "k")))
    assert isinstance(error, BackendRefused)
    assert (error.prefix, vars(error)["is_configuration"]) == ("NOAUTH", True)
    error = failure(lambda: ask(parse_url(url), colour))
    assert vars(error)["is_configuration"] is True


@BOTH
def test_a_db_that_the_server_lacks_is_a_matter_of_configuration(
    redis_server: Server, colour: str
) -> None:
    error = failure(lambda: ask(parse_url(patient(redis_server.url), db=9_999), colour))
    assert isinstance(error, BackendRefused)
    assert (error.prefix, vars(error)["is_configuration"]) == ("ERR", True)


@pytest.mark.parametrize("protocol", [2, 3])
def test_refusals_keep_their_prefix_on_every_server(any_own_server: Server, protocol: int) -> None:
    server = any_own_server
    target = parse_url(patient(server.url), protocol=protocol)

    def prefix(*command: Any) -> str:
        error = failure(lambda: ask(target, "sync", command))
        assert isinstance(error, BackendRefused)
        assert SECRET not in str(error)
        return error.prefix

    server.cli("RPUSH", "list", "x")
    assert prefix("GET", "list") == "WRONGTYPE"
    assert prefix("EVALSHA", "0" * 40, 0) == "NOSCRIPT"
    assert prefix("EVAL", "return redis.call('GET', KEYS[1])", 1, "list") == "WRONGTYPE"
    assert prefix("EVAL", f"return redis.error_reply('{SECRET.upper()} x')", 0) == "ERR"
    assert prefix("NOSUCHCOMMAND", SECRET) == "ERR"
    server.cli("CONFIG", "SET", "maxmemory", "1")
    assert prefix("SET", "k", SECRET) == "OOM"
    assert prefix("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, "k", SECRET) == "OOM"
    server.cli("CONFIG", "SET", "maxmemory", "0")
    server.cli("ACL", "SETUSER", "default", "-incr")
    assert prefix("INCR", SECRET) == "NOPERM"
    server.cli("ACL", "SETUSER", "default", "+incr")
    server.cli("REPLICAOF", "127.0.0.1", str(free_port()))
    assert prefix("SET", "k", SECRET) == "READONLY"


def test_a_refusal_inside_a_pipeline_shows_no_argument(redis_server: Server) -> None:
    redis_server.cli("RPUSH", "list", "x")

    def run(client: redis.Redis) -> None:
        pipeline = client.pipeline(transaction=False)
        pipeline.append("list", f"{SECRET} of pipeline caused error: OOM")
        pipeline.execute()

    error = failure(lambda: use(parse_url(patient(redis_server.url)), "sync", run))
    assert isinstance(error, BackendRefused)
    assert error.prefix == "WRONGTYPE"
    assert SECRET not in f"{error}{error.args}"


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], Target]]:
    """Start a server that answers whatever it hears with the same bytes, and hangs up."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> Target:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            peer, _ = listener.accept()
            with peer, contextlib.suppress(OSError):  # it may have hung up first
                peer.recv(65_536)
                peer.sendall(answer)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(65_536)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return parse_url(f"redis://127.0.0.1:{listener.getsockname()[1]}{PATIENT}")

    yield start
    for thread in threads:
        thread.join()
    for listener in listeners:
        listener.close()


@BOTH
@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":x\r\n", b"%1\r\n+a\r\n"]
)
def test_a_server_that_speaks_something_else_is_unavailable(
    answering: Callable[[bytes], Target], colour: str, answer: bytes
) -> None:
    error = failure(lambda: ask(answering(answer), colour, ("GET", "k")))
    assert isinstance(error, BackendUnavailable)


@BOTH
def test_a_server_that_hangs_up_is_unavailable(
    answering: Callable[[bytes], Target], colour: str
) -> None:
    error = failure(lambda: ask(answering(b""), colour))
    assert isinstance(error, BackendUnavailable)
    assert (vars(error)["is_configuration"], vars(error)["is_garbled"]) == (False, False)


@BOTH
def test_tls_spoken_to_a_plain_port_is_a_matter_of_configuration(
    answering: Callable[[bytes], Target], colour: str
) -> None:
    plain = answering(b"-ERR this is no TLS\r\n")
    error = failure(lambda: ask(parse_url(f"rediss://127.0.0.1:{plain.port}{PATIENT}"), colour))
    assert isinstance(error, BackendUnavailable)
    assert (error.code, vars(error)["is_configuration"]) == ("DC203", True)


# --- classify -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (theirs.TimeoutError("x"), BackendTimeout),
        (TimeoutError(), BackendTimeout),
        (theirs.ConnectionError("x"), BackendUnavailable),
        (theirs.MaxConnectionsError("x"), BackendUnavailable),
        (ConnectionRefusedError(), BackendUnavailable),
        (ConnectionResetError(), BackendUnavailable),
        (EOFError(), BackendUnavailable),
        (asyncio.IncompleteReadError(b"", 1), BackendUnavailable),
        (socket.gaierror(), BackendUnavailable),
        (OSError(), BackendUnavailable),
        (theirs.ResponseError("x"), BackendRefused),
        (error_of_class(theirs.BusyLoadingError, "LOADING"), BackendRefused),
    ],
)
def test_what_goes_wrong_has_one_of_three_kinds(error: Exception, kind: type[BackendError]) -> None:
    made = classify(error)
    assert type(made) is kind
    assert vars(made)["is_garbled"] is False
    assert vars(made)["is_configuration"] is False


@pytest.mark.parametrize(
    "error",
    [
        TypeError(SECRET),
        ValueError(SECRET),
        UnicodeDecodeError("utf-8", SECRET.encode(), 0, 1, "x"),
        RecursionError(),
        theirs.InvalidResponse(SECRET),
        KeyError(SECRET),
    ],
)
def test_nonsense_on_the_wire_is_marked(error: Exception) -> None:
    made = classify(error)
    assert isinstance(made, BackendUnavailable)
    assert (made.code, vars(made)["is_garbled"]) == ("DC204", True)
    assert SECRET not in f"{made}{made.args}"


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("OOM command not allowed", "OOM"),
        ("READONLY You can't write", "READONLY"),
        ("NOPERM this user", "NOPERM"),
        ("NOSCRIPT No matching script", "NOSCRIPT"),
        ("LOADING Redis is loading", "LOADING"),
        ("CLUSTERDOWN Hash slot not served", "CLUSTERDOWN"),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
        ("MOVED 1 127.0.0.1:7000", "MOVED"),
        ("ASK 1 127.0.0.1:7000", "ASK"),
        ("TRYAGAIN Multiple keys", "TRYAGAIN"),
        ("CROSSSLOT Keys", "CROSSSLOT"),
        ("EXECABORT Transaction discarded", "EXECABORT"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("WRONGPASS invalid username-password pair", "WRONGPASS"),
        ("DENIED Redis is running in protected mode", "DENIED"),
        ("NOPROTO unsupported protocol version", "NOPROTO"),
        ("ERR invalid password", "WRONGPASS"),
        ("ERR wrong number of arguments for 'auth' command", "WRONGPASS"),
        ("WRONGTYPE Operation against a key", "WRONGTYPE"),
        ("BUSY Redis is busy running a script", "BUSY"),
        ("MISCONF Redis is configured to save", "MISCONF"),
        ("NOREPLICAS Not enough good replicas", "NOREPLICAS"),
        ("ERR syntax error", "ERR"),
        ("S3CR3T by a script", "ERR"),
        ("ERR Error running script (call to f_0): @user_script:1: -OOM command", "OOM"),
        ("ERR Error running script (call to f_0): @user_script: 1: WRONGTYPE x", "WRONGTYPE"),
        ("ERR Error running script (call to f_0): @user_script:1: S3CR3T x", "ERR"),
    ],
)
def test_a_refusal_is_told_by_its_prefix(text: str, prefix: str) -> None:
    from redis._parsers.base import BaseParser

    made = classify(BaseParser.parse_error(text))
    assert isinstance(made, BackendRefused)
    assert made.prefix == prefix
    about_us = {"NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "NOPROTO", "MOVED", "CROSSSLOT"}
    assert vars(made)["is_configuration"] is (prefix in about_us)
    assert made.is_lacking is (prefix == "NOPERM" or "syntax error" in text)
    assert bool(made.help) is (prefix in about_us or made.is_lacking)
    assert made.what == f"the server refused with {prefix}"


@pytest.mark.parametrize(
    ("text", "is_lacking"),
    [
        ("ERR unknown command 'EVALSHA'", True),
        ("ERR unknown subcommand 'tracking'. Try CLIENT HELP.", True),
        ("ERR syntax error", True),
        ("ERR command 'client|tracking' is not allowed", True),
        ("ERR unsupported command 'watch'", True),
        ("ERR This command is not supported in this plan", True),
        ("NOPERM this user has no permissions to run the 'get' command", True),
        ("ERR max requests limit exceeded", False),
        ("ERR Error running script: attempt to index a nil value", False),
        ("ERR value is not an integer or out of range", False),
        ("READONLY You can't write against a read only replica.", False),
    ],
)
def test_only_some_words_say_that_a_server_lacks_a_command(text: str, is_lacking: bool) -> None:
    from redis._parsers.base import BaseParser

    made = classify(BaseParser.parse_error(text))
    assert isinstance(made, BackendRefused)
    assert made.is_lacking is is_lacking


def test_too_many_clients_is_no_refusal_of_a_command() -> None:
    from redis._parsers.base import BaseParser

    made = classify(BaseParser.parse_error("ERR max number of clients reached"))
    assert isinstance(made, BackendUnavailable)


def test_a_server_without_resp3_is_a_matter_of_configuration() -> None:
    made = classify(theirs.ResponseError("unknown command `HELLO`, with args beginning with: `3`"))
    assert "protocol=2" in made.help
    assert vars(made)["is_configuration"] is True


@pytest.mark.parametrize(
    ("cause", "is_configuration"),
    [
        (ssl.SSLCertVerificationError("x"), True),
        (ssl.SSLError("x"), False),
        (ssl.SSLEOFError("x"), False),
    ],
)
def test_a_certificate_that_fails_is_told_from_a_link_that_is_cut(
    cause: Exception, *, is_configuration: bool
) -> None:
    for error in (cause, _raised_over(cause)):
        made = classify(error)
        assert isinstance(made, BackendUnavailable)
        assert vars(made)["is_configuration"] is is_configuration


def _raised_over(cause: Exception) -> Exception:
    """Chain as redis-py does, by raising in the handler without `from`."""
    error = theirs.ConnectionError("x")
    error.__context__ = cause
    return error


def test_a_chain_of_causes_without_end_is_left() -> None:
    first, second = OSError(), OSError()
    first.__context__, second.__context__ = second, first
    assert isinstance(classify(first), BackendUnavailable)


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = BackendTimeout("late", code="DC201")
    assert classify(error) is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), asyncio.CancelledError()])
def test_what_is_no_error_is_raised_again(error: BaseException) -> None:
    with pytest.raises(type(error)):
        classify(error)


def test_redis_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, dualcache.backends.redis.connections; "
        "assert not {'redis', 'asyncio', 'ssl', 'socket'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
