"""What a server remembers, keeps and does for clients that it tracks, by connections of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from benchmarks.listening import totals
from benchmarks.results import Row
from benchmarks.transports import Peer
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench

CHUNK: Final = 100
TRACKING: Final = "tracking"


def rows(bench: Bench) -> list[Row]:
    parts: tuple[Callable[[Bench, Server], list[Row]], ...] = (
        memory_of_connections,
        proofs,
        pushes_by_connections,
        memory_of_table,
    )
    found: list[Row] = []
    for part in parts:
        with Server(bench.binary, "--maxclients", "4000") as server:
            found += part(bench, server)
    return found


def memory_of_connections(bench: Bench, server: Server) -> list[Row]:
    count = bench.some(10, 500)
    before = totals([server])
    peers = [Peer(server.port) for _ in range(count)]
    grown = (totals([server]).used_bytes - before.used_bytes) / 1024 / count
    close(peers)
    return [Row("server, memory of a connection", "idle", "kB", (grown,))]


def proofs(bench: Bench, server: Server) -> list[Row]:
    """Ask as a listener by tracking asks three times within `max_staleness`."""
    listener, data = Peer(server.port), Peer(server.port)
    client_id = data.ask("CLIENT", "ID")
    count = bench.some(20, 2_000)
    found = []
    for _ in range(bench.some(1, 5)):
        began = totals([server]).cpu_seconds
        for _ in range(count):
            listener.ask("CLIENT", "LIST", "ID", client_id)
            listener.ask("PING")
        found.append((totals([server]).cpu_seconds - began) * 1e6 / count)
    close([listener, data])
    return [Row("server, processor time of a sign of life", TRACKING, "µs", tuple(found))]


def pushes_by_connections(bench: Bench, server: Server) -> list[Row]:
    """Let several data connections of one process read one key, which is then changed once."""
    found = []
    for count in bench.some((1, 2), (1, 2, 4, 8, 16)):
        listener, writer = Peer(server.port), Peer(server.port)
        readers = [tracked(server, listener.ask("CLIENT", "ID")) for _ in range(count)]
        writer.ask("SET", "shop:user:1", "x")
        for reader in readers:
            reader.ask("GET", "shop:user:1")
        writer.ask("SET", "shop:user:1", "y")
        listener.socket.sendall(b"PING\r\n")
        pushes = 0
        while listener.read() != b"PONG":
            pushes += 1
        case = "pushes for a change, over data connections of one process that have read"
        found.append(Row(case, TRACKING, "pushes", (pushes,), x=count))
        close([listener, writer, *readers])
    return found


def memory_of_table(bench: Bench, server: Server) -> list[Row]:
    """Let more and more processes read the same keys; then let all of them go."""
    names = [f"shop:user:{number:06}" for number in range(bench.some(500, 20_000))]
    listener = Peer(server.port)
    readers: list[Peer] = []
    grown = 0
    found = []
    for count in bench.some((1, 2), (1, 2, 4, 8, 16, 32, 64)):
        added = [Peer(server.port) for _ in range(count - len(readers))]
        for reader in added:
            read(reader, names)  # not tracked yet: the buffers of its connection grow now
            track(reader, listener.ask("CLIENT", "ID"))
        before = totals([server])
        for reader in added:
            read(reader, names)
        readers += added
        after = totals([server])
        assert after.tracked == count * len(names)
        grown += after.used_bytes - before.used_bytes
        case = "server, memory of the tracking table for a key, over processes"
        found.append(Row(case, TRACKING, "bytes", (grown / len(names),), x=count))
    close(readers)
    while server.cli("INFO", "clients")["connected_clients"] > 2:  # the listener, and this one
        pass
    left = 100 * totals([server]).tracked / (len(readers) * len(names))
    close([listener])
    case = "tracking table, what is left when the processes have gone"
    return [*found, Row(case, TRACKING, "of 100", (left,))]


def tracked(server: Server, listener_id: Any) -> Peer:
    peer = Peer(server.port)
    track(peer, listener_id)
    return peer


def track(peer: Peer, listener_id: Any) -> None:
    peer.ask("CLIENT", "TRACKING", "ON", "REDIRECT", listener_id)


def read(peer: Peer, names: Sequence[str]) -> None:
    for at in range(0, len(names), CHUNK):
        peer.ask("MGET", *names[at : at + CHUNK])


def close(peers: Sequence[Peer]) -> None:
    for peer in peers:
        peer.socket.close()
