"""A connection that many tasks share, before a peer that answers as it is told."""

from __future__ import annotations

import asyncio
import ssl
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import hiredis
import pytest
from msgspec.structs import replace
from redis._parsers import _AsyncHiredisParser, _AsyncRESP3Parser

from dualcache.backends.redis.async_connection import MultiplexedConnection
from dualcache.backends.redis.async_reader_task import ReaderTaskIO
from dualcache.backends.redis.async_transport import TransportIO
from dualcache.backends.redis.handshake import Handshake
from dualcache.errors import BackendRefused, BackendUnavailable
from dualcache.options.target import parse_url
from tests.colours import without_transport
from tests.ports import HOST
from tests.tls import AUTHORITY, CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]

HELLO: Final = b"%1\r\n$5\r\nproto\r\n:3\r\n"
PUSH: Final = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
ASK: Final = b"*1\r\n$4\r\nPING\r\n"
PATIENT: Final = {"socket_timeout": 20, "socket_connect_timeout": 20}

LOOPS: Final = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": lambda: pytest.importorskip("uvloop").new_event_loop(),
}
WAYS: Final = ("hiredis", "own parser", "reader task")


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    """Run an `async def` on a loop of either kind; fail on what that would only log."""

    def run(work: Callable[[], Awaitable[Any]]) -> Any:
        troubles: list[Any] = []

        async def watched() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: troubles.append(context))
            return await work()

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            result = runner.run(watched())
        assert not troubles
        return result

    return run


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How the bytes of a connection are read."""
    if request.param == "own parser":
        # As before hiredis 3.2; redis-py reads by its own parser then, as where there is none.
        monkeypatch.delattr(hiredis, "PushNotification")
    elif request.param == "reader task":
        without_transport(monkeypatch)
    return str(request.param)


class Peer:
    """A server for one connection: it welcomes it, and says then what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, data: bytes) -> None:
        assert await self.reader.readexactly(len(data)) == data

    def reset(self) -> None:
        self.writer.transport.abort()

    def pause(self) -> None:
        """Stop reading, so that the sockets between fill up."""
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    @property
    def _transport(self) -> Any:
        return self.writer.transport


class Site:
    """A connection to a `Peer`."""

    def __init__(self, connection: MultiplexedConnection, peer: Peer) -> None:
        self.connection = connection
        self.peer = peer

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        *,
        is_tls: bool = False,
        welcome: bytes = HELLO,
        meanwhile: Callable[[Peer, Any], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[Self]:
        """Connect; `meanwhile` comes between the handshake and the take-over."""
        peers: asyncio.Queue[Peer] = asyncio.Queue()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"HELLO\r\n$1\r\n3\r\n")
            writer.write(welcome)
            peers.put_nowait(Peer(reader, writer))

        tls = server_tls() if is_tls else None
        server = await asyncio.start_server(serve, HOST, 0, ssl=tls)
        port = server.sockets[0].getsockname()[1]
        url = f"rediss://{HOST}:{port}?ssl_ca_certs={AUTHORITY}" if is_tls else ""
        target = parse_url(url or f"redis://{HOST}:{port}", **PATIENT)
        if not hasattr(hiredis, "PushNotification"):
            target = replace(target, redis_arguments={"parser_class": _AsyncRESP3Parser})
        loop = asyncio.get_running_loop()
        opened = await Handshake(target).open_async(target)
        peer = await peers.get()
        if meanwhile is not None:
            await meanwhile(peer, opened)
        connection = MultiplexedConnection(
            opened,
            target,
            loop,
            began=loop.time(),
            on_end=lambda _: None,
            on_slow=lambda _: None,
        )
        try:
            yield cls(connection, peer)
        finally:
            connection.fail(BackendUnavailable("the test ends", code="DC200"))
            await connection.ended()
            peer.reset()
            server.close()
            await server.wait_closed()

    def ask(self, count: int = 1) -> asyncio.Future[Any]:
        return self.connection.exchange(ASK, count)


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    return context


async def settled() -> None:
    """Let what has been sent on this machine come in."""
    for _ in range(5):
        await asyncio.sleep(0.001)


# Replies


KNOWS_PUSHES: Final = hasattr(_AsyncHiredisParser, "set_invalidation_push_handler")
"""Whether redis-py tells pushes from replies where hiredis is installed: since its version 6."""
REPLIES: Final = (b"$5\r\nvalue\r\n", b"*2\r\n$1\r\na\r\n_\r\n", PUSH, b"-ERR no\r\n", b":7\r\n")


def test_replies_split_at_every_position_are_read(run: Run, way: str) -> None:
    # The reader task reads by redis-py's own hiredis parser.
    said = [each for each in REPLIES if each is not PUSH or way != "reader task" or KNOWS_PUSHES]
    whole = b"".join(said)

    async def ask() -> None:
        async with Site.opened() as site:
            kind = ReaderTaskIO if way == "reader task" else TransportIO
            assert type(site.connection._io) is kind
            for at in range(len(whole)):
                asked = [site.ask(), site.ask(), site.ask(2)]
                site.peer.say(whole[:at])
                await asyncio.sleep(0.0005)
                site.peer.say(whole[at:])
                (value,), (array,), (error, number) = await asyncio.gather(*asked)
                assert (value, array, number) == (b"value", [b"a", None], 7)
                assert isinstance(error, BackendRefused)

    run(ask)


def test_a_reply_without_a_question_ends_the_connection(run: Run, way: str) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            first, second = site.ask(), site.ask()
            site.peer.say(b":1\r\n:2\r\n:3\r\n")
            assert await first + await second == (1, 2)
            await site.connection.ended()
            assert not site.connection.is_up
            with pytest.raises(BackendUnavailable):
                site.ask()

    run(ask)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n:x\r\n"])
def test_what_is_no_reply_ends_the_connection(run: Run, way: str, said: bytes) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            asked = [site.ask(), site.ask()]
            site.peer.say(said)
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [each for each in found if each == (1,)] == [(1,)] * said.startswith(b":")
            assert isinstance(found[1], BackendUnavailable)
            assert found[1].code == "DC204"
            assert found[0] is not found[1]

    run(ask)


def test_a_caller_that_was_cancelled_takes_its_reply_along(run: Run, way: str) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            asked = [site.ask(), site.ask(2), site.ask()]
            asked[1].cancel()
            site.peer.say(b":1\r\n:2\r\n")
            await settled()
            asked.append(site.ask())
            site.peer.say(b":3\r\n:4\r\n:5\r\n")
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert [found[0], *found[2:]] == [(1,), (4,), (5,)]

    run(ask)


@pytest.mark.parametrize("count", [1, 64])
def test_a_reply_of_64_megabytes_is_read(run: Run, way: str, count: int) -> None:
    size = 64 * 1024 * 1024 // count
    element = b"$%d\r\n%b\r\n" % (size, b"x" * size)

    async def ask() -> None:
        async with Site.opened() as site:
            asked, after = site.ask(), site.ask()
            site.peer.say(b"*%d\r\n" % count)
            for _ in range(count):
                site.peer.say(element)
            site.peer.say(b":1\r\n")
            ((elements,), (one,)) = await asyncio.gather(asked, after)
            assert one == 1
            assert [len(each) for each in elements] == [size] * count
            assert site.connection._io.heard_bytes > size * count

    run(ask)


# Writes


@pytest.fixture
def paused_way(way: str) -> str:
    """As `way`, where a full socket is noticed."""
    if way == "reader task" and (3, 12) <= sys.version_info < (3, 13, 2):
        pytest.skip("redis-py writes by `writelines`, after which this asyncio does not pause")
    return way


def test_a_peer_that_does_not_read_holds_new_callers_up_until_it_does(
    run: Run, paused_way: str
) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            asked: list[asyncio.Future[Any]] = []
            large = b"x" * 1_000_000
            site.peer.pause()
            while site.connection.takes_more:
                asked.append(site.connection.exchange(large, 1))
                await asyncio.sleep(0)
            waiting = [asyncio.create_task(site.connection.room()) for _ in range(3)]
            asked.append(site.ask())  # whoever had room before it came to this
            await settled()
            assert not any(task.done() for task in waiting)
            waiting.pop().cancel()
            site.peer.resume()
            await site.peer.hear(large * (len(asked) - 1) + ASK)
            await asyncio.gather(*waiting)
            site.peer.say(b"".join(b":%d\r\n" % n for n in range(len(asked))))
            assert await asyncio.gather(*asked) == [(n,) for n in range(len(asked))]

    run(ask)


def test_who_waits_for_room_is_not_cancelled_when_the_connection_fails(
    run: Run, paused_way: str
) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            asked: list[asyncio.Future[Any]] = []
            site.peer.pause()
            while site.connection.takes_more:
                asked.append(site.connection.exchange(b"x" * 1_000_000, 1))
                await asyncio.sleep(0)
            waiting = asyncio.create_task(site.connection.room())
            await asyncio.sleep(0)
            site.connection.fail(BackendUnavailable("cut", code="DC200"))
            await waiting
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(each) for each in found} == {BackendUnavailable}

    run(ask)


# The end of a connection


@pytest.mark.parametrize("end", ["eof", "reset"])
@pytest.mark.parametrize("is_tls", [False, True])
def test_an_end_in_the_middle_of_a_reply_fails_all_that_wait(
    run: Run, way: str, *, end: str, is_tls: bool
) -> None:
    async def ask() -> None:
        async with Site.opened(is_tls=is_tls) as site:
            asked = [site.ask(), site.ask(2), site.ask()]
            site.peer.say(b":1\r\n*2\r\n$5\r\nval")
            await settled()
            if end == "eof":
                site.peer.writer.close()  # of TLS, this says goodbye
            else:
                site.peer.reset()
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert found[0] == (1,)
            assert [type(each) for each in found[1:]] == [BackendUnavailable] * 2
            assert not site.connection.is_up

    run(ask)


def test_a_write_after_a_reset_does_not_leave_the_socket_watched(run: Run, way: str) -> None:
    async def keep(_: Peer, opened: Any) -> None:
        writers.append(opened._writer)

    async def ask() -> None:
        async with Site.opened(meanwhile=keep) as site:
            transport = writers[0].transport
            number = transport.get_extra_info("socket").fileno()
            transport.abort()  # as a reset does; the reader task sees it in a later turn
            with pytest.raises(BackendUnavailable):
                await site.ask()
            # uvloop watches sockets by its own means.
            loop = asyncio.get_running_loop()
            assert not isinstance(loop, asyncio.SelectorEventLoop) or not loop.remove_writer(number)

    writers: list[asyncio.StreamWriter] = []
    run(ask)


def test_a_reader_that_is_interrupted_ends_the_connection(run: Run) -> None:
    async def ask() -> None:
        async with Site.opened() as site:
            connection_io: Any = site.connection._io
            asked = [site.ask(), site.ask()]

            def interrupted() -> Any:
                raise KeyboardInterrupt

            connection_io._gets = interrupted
            with pytest.raises(KeyboardInterrupt):
                connection_io.data_received(b":1\r\n")
            found = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(each) for each in found} == {BackendUnavailable}

    run(ask)


def test_a_caller_who_is_interrupted_while_it_sends_ends_the_connection(
    run: Run, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        async with Site.opened() as site:

            def interrupted(_: list[bytes]) -> None:
                raise KeyboardInterrupt

            monkeypatch.setattr(site.connection._io, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                site.ask()
            assert not site.connection.is_up

    run(ask)


# The take-over


EARLY: Final = {
    "a push": (PUSH, b""),
    "a part of a push": (PUSH[:9], PUSH[9:]),
    "a push and a part of one": (PUSH + PUSH[:20], PUSH[20:]),
}


@pytest.mark.parametrize("early", EARLY)
@pytest.mark.parametrize("is_with_welcome", [False, True])
def test_what_came_before_the_take_over_is_not_lost(
    run: Run, way: str, early: str, *, is_with_welcome: bool
) -> None:
    before, after = EARLY[early]
    is_read_by_redis_py = way == "reader task" or (way == "hiredis" and is_with_welcome)
    if is_read_by_redis_py and not KNOWS_PUSHES:
        pytest.skip("redis-py 5 takes a push for a reply where hiredis is installed")

    async def say(peer: Peer, _: Any) -> None:
        if not is_with_welcome:
            peer.say(before)
            await settled()

    async def ask() -> None:
        welcome = HELLO + before if is_with_welcome else HELLO
        async with Site.opened(welcome=welcome, meanwhile=say) as site:
            asked = site.ask()
            site.peer.say(after + b":1\r\n")
            assert await asked == (1,)

    run(ask)


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("what", ["reply", "eof", "closing"])
def test_a_connection_that_ended_before_the_take_over_is_down(
    run: Run, way: str, what: str, *, is_tls: bool
) -> None:
    async def end(peer: Peer, opened: Any) -> None:
        if what == "reply":
            peer.say(b":1\r\n")
        elif what == "eof":
            peer.writer.close()
        else:
            opened._writer.close()
        if what != "closing":
            await settled()

    async def ask() -> None:
        async with Site.opened(is_tls=is_tls, meanwhile=end) as site:
            await settled()
            assert not site.connection.is_up

    run(ask)


def test_a_loop_that_makes_futures_of_its_own_is_asked_for_them() -> None:
    class Own(asyncio.Future[Any]):
        """A future of another loop."""

    class Loop(asyncio.SelectorEventLoop):
        def create_future(self) -> asyncio.Future[Any]:
            return Own(loop=self)

    async def ask() -> None:
        async with Site.opened() as site:
            asked = site.ask()
            site.peer.say(b"+PONG\r\n")
            assert await asked == (b"PONG",)
            assert type(asked) is Own

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(ask())
