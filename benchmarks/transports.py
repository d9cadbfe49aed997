"""What the transports of the front tier cost: `python -m benchmarks.transports`.

How soon a change is heard in another process, what listening processes cost a server's writers, and
what a process pays to hear others fill.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import hiredis
import redis

from benchmarks.measure import percentile
from benchmarks.topics.propagation import receive
from dualcache import Cache, FrontTier
from dualcache.core.revocation import Revocation, channel_of, to_message
from tests.ports import HOST
from tests.servers import Server, found_binaries

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

TRANSPORTS: Final = ("tracking", "broadcast", "pubsub")
LISTENERS: Final = (1, 10, 50, 200)
KEYS: Final = 1_000
SHARE: Final = 100
"""How many of the keys each listening process has in its front tier."""
WRITERS: Final = 4
PIPELINE: Final = 8
FILLS: Final = 10_000
CHANNEL: Final = channel_of("ours:")


def packed(*command: object) -> bytes:
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


class Peer:
    """A raw connection that speaks RESP3."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = hiredis.Reader()
        self.ask("HELLO", 3)

    def ask(self, *command: object) -> Any:
        self.socket.sendall(packed(*command))
        return self.read()

    def read(self) -> Any:
        while (reply := self.reader.gets()) is False:
            self.reader.feed(self.socket.recv(65536))
        return reply


def listen(port: int, transport: str, count: int, rereads: bool, ready: Connection) -> None:
    """Be so many listening processes; with `rereads` each reads again what was pushed."""
    chooser = selectors.DefaultSelector()
    for number in range(count):
        listener, data = Peer(port), None
        if transport == "broadcast":
            listener.ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "ours:")
        elif transport == "pubsub":
            listener.ask("SUBSCRIBE", CHANNEL)
        else:
            data = Peer(port)
            data.ask("CLIENT", "TRACKING", "ON", "REDIRECT", listener.ask("CLIENT", "ID"))
            mine = [f"ours:{(number * 37 + at) % KEYS}" for at in range(SHARE)]
            data.ask("MGET", *mine)
            chooser.register(data.socket, selectors.EVENT_READ, (data, None))
        chooser.register(listener.socket, selectors.EVENT_READ, (listener, data))
    ready.send("listening")
    while True:
        for key, _ in chooser.select():
            peer, data = key.data
            chunk = peer.socket.recv(1 << 18)
            if not chunk:
                return
            peer.reader.feed(chunk)
            names: list[bytes] = []
            while (message := peer.reader.gets()) is not False:
                if data is not None and isinstance(message, list) and message[0] == b"invalidate":
                    names += message[1] or ()
            if names and rereads and data is not None:
                data.socket.sendall(packed("MGET", *(name.decode() for name in names)))


def written(port: int, seconds: float, *, is_told: bool = False) -> float:
    """Write at full pace over several connections; return the SETs in a second."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(2):
        here, there = context.Pipe()
        arguments = (port, seconds, number, is_told, there)
        process = context.Process(target=write, args=arguments, daemon=True)
        process.start()
        pipes.append(here)
        processes.append(process)
    counts: list[int] = [receive(pipe) for pipe in pipes]
    for process in processes:
        process.join()
    return sum(counts) / seconds


def set_command(name: str, is_told: bool) -> bytes:
    """Spell a write, alone or in one transaction with the message that tells of it."""
    put = packed("SET", name, "x" * 200)
    if not is_told:
        return put
    message = to_message(Revocation(CHANNEL, (name,)))
    return packed("MULTI") + put + packed("PUBLISH", CHANNEL, message) + packed("EXEC")


def write(port: int, seconds: float, number: int, is_told: bool, told: Connection) -> None:
    peers = [Peer(port) for _ in range(WRITERS)]
    at, done, ends = number * 7919, 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        for peer in peers:
            at += 1
            names = [f"ours:{(at * 31 + n) % KEYS}" for n in range(PIPELINE)]
            commands = [set_command(name, is_told) for name in names]
            peer.socket.sendall(b"".join(commands))
        for peer in peers:
            for _ in range(PIPELINE):
                for _ in range(4 if is_told else 1):
                    peer.read()
                done += 1
    told.send(done)


def cost_to_writers(server: Server, seconds: float) -> None:
    print(f"\nSETs in a second, {KEYS} keys, beside so many listening processes")
    print("(in brackets the ratio to none, measured before and after)")
    context = multiprocessing.get_context("spawn")
    kinds = [("tracking", False), ("tracking", True), ("broadcast", False), ("pubsub", False)]
    for transport, rereads in kinds:
        line = []
        for count in LISTENERS:
            before = written(server.port, seconds)
            here, there = context.Pipe()
            arguments = (server.port, transport, count, rereads, there)
            process = context.Process(target=listen, args=arguments, daemon=True)
            process.start()
            receive(here)
            rate = written(server.port, seconds, is_told=transport == "pubsub")
            process.kill()
            process.join()
            alone = (before + written(server.port, seconds)) / 2
            line.append(f"{count}: {rate / 1000:.1f}k ({rate / alone:.2f})")
        name = f"{transport}{', read again at once' if rereads else ''}"
        name += ", each SET told" if transport == "pubsub" else ""
        print(f"  {name:<32} {'  '.join(line)}", flush=True)


def watch(told: Connection, url: str, transport: str, count: int) -> None:
    """Hit the front tier until a hit is none any more; tell when that was."""
    loads: list[int] = []
    cache = Cache(url, namespace="ours", front=FrontTier(transport=transport))  # type: ignore[arg-type]

    @cache(key="user:{n}", ttl=600)
    def user(n: int) -> int:
        loads.append(n)
        return n

    for number in range(count):
        for _ in range(200):
            user(number)
        told.send("watching")
        loaded = len(loads)
        while True:
            seen = time.perf_counter()
            user(number)
            if len(loads) > loaded:
                break
            time.sleep(0)  # lets the thread that listens run
        told.send(seen)
    cache.close()


def propagation(server: Server, count: int) -> None:
    print("\nfrom the invalidation's beginning to the last old hit in another process")
    context = multiprocessing.get_context("spawn")
    for transport in TRANSPORTS:
        cache = Cache(server.url, namespace="ours", publish=transport == "pubsub")
        here, there = context.Pipe()
        process = context.Process(
            target=watch, args=(there, server.url, transport, count), daemon=True
        )
        process.start()
        delays = []
        for number in range(count):
            receive(here)
            time.sleep(0.002)
            began = time.perf_counter()
            cache.invalidate(f"user:{number}")
            delays.append((receive(here) - began) * 1000)
        process.join()
        print(
            f"  {transport:<12} p50 {percentile(delays, 50):.3f} ms  "
            f"p99 {percentile(delays, 99):.3f} ms",
            flush=True,
        )
        cache.close()


def hear(told: Connection, url: str, transport: str, seconds: float) -> None:
    cache = Cache(url, namespace="ours", front=FrontTier(transport=transport))  # type: ignore[arg-type]
    cache.set("mine", 1)
    while not cache.stats().front.is_open:  # type: ignore[union-attr]
        cache.get("mine")
    cache.get("mine")
    told.send("hearing")
    began, cpu = time.perf_counter(), time.process_time()
    time.sleep(seconds)
    told.send((time.process_time() - cpu) / (time.perf_counter() - began))
    cache.close()


def cost_of_hearing(server: Server, seconds: float) -> None:
    print(f"\nprocessor time of a process while others fill {FILLS} other keys in a second")
    context = multiprocessing.get_context("spawn")
    client = redis.Redis(port=server.port)
    for transport in TRANSPORTS:
        here, there = context.Pipe()
        process = context.Process(
            target=hear, args=(there, server.url, transport, seconds), daemon=True
        )
        process.start()
        receive(here)
        ends, sent, began = time.perf_counter() + seconds + 0.2, 0, time.perf_counter()
        while time.perf_counter() < ends:
            pipeline = client.pipeline(transaction=False)
            for _ in range(20):
                sent += 1
                pipeline.set(f"ours:other:{sent % 5000}", b"x" * 200)
            pipeline.execute()
            time.sleep(max(0.0, sent / FILLS - (time.perf_counter() - began)))
        pace = sent / (time.perf_counter() - began)
        share = receive(here)
        process.join()
        print(f"  {transport:<12} {share * 100:.1f} % of a core ({pace:.0f} fills/s)", flush=True)
    client.close()


def main(arguments: list[str]) -> None:
    is_quick = "--quick" in arguments
    seconds = 0.3 if is_quick else 1.0
    wanted = [each for each in arguments if not each.startswith("-")]
    binary = next(each for each in found_binaries() if not wanted or each.name == wanted[0])
    with Server(binary) as server:
        print(f"{binary.name}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")
        propagation(server, 20 if is_quick else 500)
        cost_of_hearing(server, 3 * seconds)
        server.flush()
        cost_to_writers(server, seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
