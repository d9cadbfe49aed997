"""The listener of the simulation: the real rules of the listener, on a connection of queues."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from dualcache.backends.redis.push.cluster_view import ClusterView
from dualcache.backends.redis.push.listener import Listener
from dualcache.backends.redis.push.protocol import PushProtocol
from dualcache.backends.redis.push.transports import PushTransport, transports_for
from dualcache.core.revocation import channel_of
from dualcache.options.target import parse_url
from tests.simulation.commands import Words
from tests.simulation.connections import END, Answer, Connection, Message, Push

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.simulation.process import Process
    from tests.simulation.scenario import Choice


NOWHERE: Final = parse_url("redis://nowhere")
"""The listener's target: nothing connects there."""
CHANNEL: Final = channel_of("")


class Link:
    """Stands for `push.connection.PushLink`: the same protocol, another socket."""

    def __init__(self, process: Process, transport: str, connection: Connection) -> None:
        (kind,) = transports_for(transport, is_publishing=False)
        assert issubclass(kind, PushTransport)
        self.process = process
        front = process.front_at(connection.node)
        node = connection.node
        self.view = ClusterView(node, front, partial(process.adopt, teller=node)) if node else None
        has = {} if self.view is None else {"has": self.view.has}
        self.transport = kind(front, "", lambda: "drawn", **has)
        self.protocol = PushProtocol(front, self.transport)
        self.now = process.front.now
        self.connection = connection
        self.opening: Generator[Any, Any, float] | None = None
        self.asked: list[Any] = []

    @property
    def client_id(self) -> int:
        return self.transport.client_id

    def view_cluster(self) -> None:
        """Look at the cluster, and have each proof do so again."""
        if self.view is None:
            return
        for question in (questions := self.view.questions()):
            words = Words(tuple(question.command))
            question.take(self.process.world.server.perform(words, self.connection))
        self.protocol.watch(questions)

    def send(self, words: tuple[Any, ...], note: Any = None) -> None:
        self.asked.append((words, note))
        self.connection.send(Words(words))

    def ask_proof(self, wake: Callable[[], None] | None) -> None:
        for words in self.protocol.proof(wake):
            self.send(words, self.now())

    def answered(self, reply: Any) -> None:
        del self.asked[0]
        self.protocol.answered(reply)

    def close(self) -> None:
        """Only another thread would wake the reader so."""

    def end(self) -> None:
        self.connection.leave()
        self.protocol.end()


class Listening:
    """One process's listener: opens a link, hears, asks for proofs, notices the end."""

    def __init__(
        self, process: Process, transport: str, max_staleness: float, node: str = ""
    ) -> None:
        self.process = process
        self.node = node
        self.name = f"{process.name}{node[:1]}"
        self.transport = transport
        self.link: Link | None = None
        self.listener = Listener(
            process.front_at(node),
            NOWHERE,
            prefix="",
            transports=transports_for(transport, is_publishing=False),
            max_staleness=max_staleness,
        )

    @property
    def connection(self) -> Connection:
        assert self.link is not None
        return self.link.connection

    @property
    def is_open(self) -> bool:
        return self.link is not None and self.link.opening is None

    @property
    def may_ask(self) -> bool:
        """Whether a proof may be asked for: one at a time."""
        return self.link is not None and self.is_open and not self.link.asked

    @property
    def can_hear(self) -> bool:
        return self.link is not None and bool(self.link.connection.answers)

    def steps(self) -> Iterator[Choice]:
        """Yield what may happen next between the listener and the server."""
        name = self.name
        if self.link is None:
            yield ("reopen", name)
            return
        if self.connection.is_silent:
            yield ("notice", name)
        elif self.connection.requests:
            yield ("serve link", name)
        if self.can_hear:
            yield ("hear", name)
        if self.connection.gossip and not self.connection.is_silent:
            yield ("gossip", name)

    def open(self) -> None:
        """Connect, and ask the first thing."""
        connection = self.process.connect(is_data=False, node=self.node)
        self.link = Link(self.process, self.transport, connection)
        self.link.view_cluster()
        self.link.opening = self.link.protocol.opening()
        self._go_on(self.link, None)

    def open_at_once(self) -> None:
        """Connect with nobody else about."""
        self.open()
        while self.link is not None and self.link.opening is not None:
            trip = self.connection.requests.popleft()
            del self.link.asked[0]
            reply = self.process.world.server.perform(trip.op, self.connection)
            self._go_on(self.link, reply)

    def hear(self) -> Any:
        """Take what came first: a push, an answer, or the end."""
        link = self.link
        assert link is not None
        item = link.connection.answers.popleft()
        if item is END:
            self.lose()
        elif type(item) is Message:
            link.protocol.pushed((b"message", CHANNEL.encode(), item.content))
        elif type(item) is Push:
            link.protocol.pushed((b"invalidate", item.names and [n.encode() for n in item.names]))
        else:
            assert type(item) is Answer
            if link.opening is None:
                link.answered(item.content)
            else:
                del link.asked[0]
                self._go_on(link, item.content)
        return item

    def take_gossip(self) -> None:
        """Let what another node has passed on come to this one."""
        self.connection.answer(self.connection.gossip.popleft())

    def lose(self) -> None:
        """The stream is lost, whoever noticed it."""
        link, self.link = self.link, None
        assert link is not None
        if link.opening is None:
            self.listener._end()
        else:
            link.end()

    def ask_proof(self, wake: Callable[[], None] | None) -> bool:
        if wake is None:
            assert self.link is not None
            self.link.ask_proof(None)
            return True
        return self.listener.ask_proof(wake)

    def state(self) -> Any:
        link = self.link
        if link is None:
            return None
        return (link.connection.state(), link.opening is None, tuple(link.asked))

    def _go_on(self, link: Link, reply: Any) -> None:
        assert link.opening is not None
        try:
            link.send(link.opening.send(reply))
        except StopIteration as end:
            link.opening = None
            self.listener._use(cast("Any", link), end.value)
