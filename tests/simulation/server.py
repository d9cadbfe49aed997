"""The server of the simulation: the real memory store, and whom it tells about changes.

It remembers which connection read which key, tells each once, and forgets a connection that ends.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.memory import MemoryStore
from dualcache.core.ops import Claim, Commit, Delete, Look, ProlongTag, ReadTags, TryLease
from dualcache.core.revocation import to_message
from dualcache.core.scans import ReadHeads, Scan, ScanPage, Unlink
from dualcache.core.slots import slot_of
from dualcache.errors import BackendRefused
from tests.simulation.commands import Words
from tests.simulation.connections import END, Connection, Message, Push
from tests.simulation.footprint import Footprint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.backends.memory import Cell
    from dualcache.core.revocation import Revocation
    from tests.simulation.commands import Command

LIFE_KEYS: Final = ("~e", "~e:0")
"""The keys that tell one life of the data of a node from another."""
VERSION: Final = slice(8, 16)
"""Where the version of an entry is in its header."""


class Server:
    """Performs commands on the real memory store, whose clock is `now_ms`.

    `names` are all keys that there can be, in the order of a scan. `ends_ms` tells when each entry
    ends that was ever stored, by its version. `homes` tells on which node of a cluster names live:
    one store stands for the stores of all nodes, each of which answers and pushes what it has.
    `is_gossiping`: what is published at one node comes to those who listen to another too, whenever
    it likes; else never, as where the link between the nodes is cut. `unaware` are the names that
    another node has by now, with the node that does not know and what it has there.
    """

    def __init__(
        self, names: Sequence[str], now_ms: Callable[[], float], *, is_sharded: bool = False
    ) -> None:
        self.store = MemoryStore(now_ms)
        self.is_sharded = is_sharded
        self.connections: dict[int, Connection] = {}
        self.footprint = Footprint()
        self.ends_ms: dict[bytes, float | None] = {}
        self.homes: dict[str, str] = {}
        self.is_gossiping = False
        self.unaware: dict[str, tuple[str, Cell | None]] = {}
        self.life = 0
        self.nodes: Sequence[str] = ("",)
        self._names = names
        self._readers: dict[str, set[int]] = {}

    # Connections

    def connect(self, number: int, label: str, *, is_data: bool) -> Connection:
        made = Connection(number, label, is_data=is_data, is_sharded=self.is_sharded)
        self.connections[number] = made
        if not is_data:
            self.footprint.writes.add("clients")
        return made

    def close(self, connection: Connection, *, is_told: bool) -> None:
        """End a connection; `is_told`: the client will read that it did."""
        self.footprint.writes.add("clients")
        if connection.is_open:
            del self.connections[connection.id]
            for readers in self._readers.values():
                readers.discard(connection.id)
        connection.is_open = False
        connection.requests.clear()
        if is_told:
            connection.answer(END)

    # Keys

    def content(self, name: str) -> bytes | None:
        cell = self._cell(name)
        return None if cell is None else cell.content

    def perform(self, command: Command, connection: Connection | None = None) -> Any:
        """Do one command; tell whoever is to be told what changed."""
        if type(command) is Words:
            assert connection is not None
            return self._about_connections(command.words, connection)
        names = names_of(command)
        self.footprint.reads.update(names)
        if self.is_elsewhere(command, connection):
            return moved_to(self.home_of(names[0]))
        if self.is_before_handover(command, connection):
            return self._read_before_handover(command, names)
        before = [self._cell(name) for name in names]
        reply = self._page(command) if type(command) is Scan else self.store.perform(command)
        for name, cell in zip(names, before, strict=True):
            now = self._cell(name)
            if now is not cell:
                if now is not None:
                    self.ends_ms[now.content[VERSION]] = now.ends_ms
                self._announce(name)
        notice = getattr(command, "notice", None)
        if notice is not None:
            self.publish(notice, "" if connection is None else connection.node)
        if connection is not None and connection.redirect is not None:
            for name in names_read(command):
                self._readers.setdefault(name, set()).add(connection.id)
        return reply

    def is_elsewhere(self, command: Command, connection: Connection | None) -> bool:
        """Tell whether a command concerns a name of another node than the one that is asked."""
        if not self.homes or connection is None or type(command) is Words:
            return False
        self.footprint.reads.add("homes")
        names = names_of(command)
        return any(self._seen_by(connection.node, name) != connection.node for name in names)

    def home_of(self, name: str) -> str:
        """Return the node of a name: the first one, if nothing else is said."""
        return self.homes.get(name) or self.nodes[0]

    def move(self, name: str, node: str) -> None:
        """Give a name to another node. The old one pushes nothing: no server promises that."""
        self.footprint.writes.add("homes")
        self.homes[name] = node
        self._readers.pop(name, None)

    def hand_over(self, name: str, node: str) -> None:
        """Give a name to another node at once; the old one hears of it when it is `told`."""
        self.unaware[name] = self.home_of(name), self._cell(name)
        self.move(name, node)

    def told(self) -> None:
        """Let every node know what it has lost."""
        self.footprint.writes.add("homes")
        self.unaware.clear()

    def is_paused(self, connection: Connection) -> bool:
        """Tell whether a node lets a write wait until it knows whose the name is."""
        command = connection.requests[0].commands[0]
        if type(command) is Words or names_read(command):
            return False
        return self._is_unaware(names_of(command), connection.node)

    def is_before_handover(self, command: Command, connection: Connection | None) -> bool:
        """Tell whether the node that is asked does not know that others have these names."""
        return connection is not None and self._is_unaware(names_of(command), connection.node)

    def _is_unaware(self, names: Sequence[str], node: str) -> bool:
        return any(self.unaware.get(name, ("", None))[0] == node for name in names if node)

    def _seen_by(self, node: str, name: str) -> str:
        """Return the node of a name, as this node sees it."""
        return node if self._is_unaware((name,), node) else self.home_of(name)

    def _read_before_handover(self, command: Command, names: Sequence[str]) -> Any:
        """Read what a node still has of names that another has by now; it pushes nothing of it."""
        cells = self.store._cells
        now = {name: cells.pop(name, None) for name in names}
        cells.update({name: cell for name in names if (cell := self.unaware[name][1]) is not None})
        reply = self.store.perform(command)
        for name, cell in now.items():
            cells.pop(name, None)
            if cell is not None:
                cells[name] = cell
        return reply

    def publish(self, notice: Revocation, node: str) -> None:
        """Tell the subscribers of a node; in a cluster it passes the message on."""
        message = Message(to_message(notice))
        for each in self.connections.values():
            if each.is_subscribed and each.node == node:
                self._tell(each.id, message)
            elif each.is_subscribed and self.is_gossiping and each.is_open:
                each.gossip.append(message)
                self.footprint.writes.add(f"pushes {each.id}")

    def flush(self) -> None:
        """Forget every key, and tell every listener so, once for each connection it serves."""
        self.life += 1
        self.store.close()
        self._readers.clear()
        for each in list(self.connections.values()):
            self._tell(each.id if each.is_broadcast else each.redirect, Push(None))

    def state(self) -> tuple[Any, ...]:
        cells = self.store._cells
        return (
            tuple(sorted((name, bytes(cells[name].content)) for name in cells)),
            tuple(sorted(self.homes.items())),
            tuple(sorted((name, node) for name, (node, _) in self.unaware.items())),
            tuple(sorted((name, tuple(sorted(ids))) for name, ids in self._readers.items() if ids)),
        )

    def _cell(self, name: str) -> Cell | None:
        return self.store._cells.get(name)

    def _announce(self, name: str) -> None:
        self.footprint.writes.add(name)
        self.footprint.reads.add("clients")
        push = Push((name,))
        for number in sorted(self._readers.pop(name, ())):
            self._tell(self.connections[number].redirect, push)
        for each in self.connections.values():
            if each.is_broadcast and each.node == self.home_of(name):
                self._tell(each.id, push)

    def _tell(self, number: int | None, push: Push | Message) -> None:
        if number in self.connections:
            self.connections[number].answer(push)
            self.footprint.writes.add(f"pushes {number}")

    def _about_connections(self, words: tuple[Any, ...], connection: Connection) -> Any:
        self.footprint.reads.add("clients")
        match words:
            case ("CLIENT", "ID"):
                return connection.id
            case ("SUBSCRIBE", _):
                self.footprint.writes.add("clients")
                connection.is_subscribed = True
            case ("GET", _):
                return b"life %d" % self.life
            case ("CLIENT", "TRACKING", "ON", "BCAST", *_):
                self.footprint.writes.add("clients")
                connection.is_broadcast = True
            case ("CLIENT", "TRACKING", "ON", "REDIRECT", number):
                if number not in self.connections:
                    return BackendRefused("there is no such client", code="DC000")
                connection.redirect = number
            case ("CLIENT", "LIST", "ID", *ids):
                return b"\n".join(b"id=%d" % each for each in ids if each in self.connections)
            case ("CLUSTER", "INFO"):
                return b"cluster_state:ok"
            case ("CLUSTER", "SLOTS"):
                self.footprint.reads.add("homes")
                return self.slots_seen_by(connection.node)
            case _:  # the rest changes nothing here
                pass
        return b"OK"

    def slots_seen_by(self, node: str) -> list[Any]:
        """Return the reply of a node to `CLUSTER SLOTS`."""
        homes = {name: self._seen_by(node, name) for name in self.homes}
        return slots_told({**dict(zip(LIFE_KEYS, self.nodes, strict=False)), **homes})

    def _page(self, op: Scan) -> ScanPage:
        # Pages of one key each, in an order of their own: all that SCAN promises, and no more.
        name = self._names[op.cursor]
        self.footprint.reads.add(name)
        is_found = self.content(name) is not None and fnmatchcase(name, op.pattern)
        cursor = (op.cursor + 1) % len(self._names)
        return ScanPage(cursor, (name.encode(),) if is_found else ())


def moved_to(node: str) -> BackendRefused:
    """Return the reply of a node to a command for a name of another."""
    made = BackendRefused("it has moved", code="DC000")
    made.prefix, made.moved_to = "MOVED", node
    return made


def slots_told(homes: Mapping[str, str]) -> list[Any]:
    """Return the reply to `CLUSTER SLOTS`: the slots of all names."""
    places = ((slot_of(name), node.split(":")) for name, node in sorted(homes.items()))
    return [[slot, slot, [host.encode(), int(port)]] for slot, (host, port) in places]


def names_of(command: Command) -> Sequence[str]:
    """Return the keys that a command may change; a read may find that one has expired."""
    match command:
        case TryLease(key=key) | Claim(key=key) | Commit(key=key) | ProlongTag(key=key):
            return (key,)
        case Delete(keys=keys) | Unlink(keys=keys):
            return [key if isinstance(key, str) else key.decode() for key in keys]
        case _:
            return names_read(command)


def names_read(command: Command) -> Sequence[str]:
    """Return the keys whose changes concern who gave this command."""
    match command:
        case Look(key=key, tags=tags):
            return (key, *tags)
        case ReadTags(tags=tags):
            return tags
        case ReadHeads(keys=keys):
            return [key.decode() for key in keys]
        case _:
            return ()
