"""A Sentinel that names a server of our choice: TLS links, and servers that do not run."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Generator


class Answers(socketserver.StreamRequestHandler):
    """Answers as a Sentinel does, whose master is the port of the server; `AUTH` is for `spw`."""

    def handle(self) -> None:
        is_known = False
        while line := self.rfile.readline():
            parts = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                parts.append(self.rfile.read(size + 2)[:-2].decode())
            if parts[0].upper() == "AUTH":
                is_known = parts[-1] == "spw"
                reply = "+OK\r\n" if is_known else "-WRONGPASS no\r\n"
            elif not is_known:
                reply = "-NOAUTH Authentication required.\r\n"
            else:
                port = self.server.master_port  # type: ignore[attr-defined]
                told = {"name": "mymaster", "ip": HOST, "port": port, "flags": "master"}
                told |= {"num-other-sentinels": 0, "quorum": 1}
                flat = [str(word) for pair in told.items() for word in pair]
                words = "".join(f"${len(word)}\r\n{word}\r\n" for word in flat)
                reply = f"*1\r\n*{len(flat)}\r\n{words}"
            self.wfile.write(reply.encode())


class FakeSentinel(socketserver.ThreadingTCPServer):
    """One such Sentinel; a real one names only what it can reach by itself."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, master_port: int) -> None:
        super().__init__((HOST, 0), Answers)
        self.master_port = master_port
        self.port = self.server_address[1]


@contextmanager
def naming(master_port: int) -> Generator[FakeSentinel]:
    """Run a Sentinel that names the server at a port."""
    with FakeSentinel(master_port) as sentinel:
        serve = sentinel.serve_forever
        thread = threading.Thread(target=serve, args=[0.02], name="proxy", daemon=True)
        thread.start()
        try:
            yield sentinel
        finally:
            sentinel.shutdown()
            thread.join()
