"""The tests' own servers: empty when handed out, faults on demand, nothing left behind."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers import Server

if TYPE_CHECKING:
    from tests.servers import Binary


@pytest.mark.parametrize("_run", [1, 2])
def test_a_pooled_server_is_empty_when_handed_out(any_server: Server, _run: int) -> None:
    assert any_server.cli("DBSIZE") == 0
    any_server.cli("SET", "left", "behind")


def test_a_server_is_named_after_its_kind_and_release(any_server: Server) -> None:
    kind, release = any_server.name.split("-")
    assert kind in {"redis", "valkey"}
    assert release == ".".join(str(part) for part in any_server.version[:2])


def test_a_killed_server_refuses_and_comes_back_empty_on_its_port(any_own_server: Server) -> None:
    any_own_server.cli("SET", "k", "v")
    pid = any_own_server.pid
    any_own_server.kill()
    with pytest.raises(redis.ConnectionError):
        any_own_server.cli("PING")
    any_own_server.restart()
    assert any_own_server.pid != pid
    assert any_own_server.cli("GET", "k") is None


def test_a_paused_server_answers_only_after_it_is_resumed(own_server: Server) -> None:
    once = Retry(NoBackoff(), 0)
    own_server.pause()
    with redis.Redis(port=own_server.port, socket_timeout=0.05, retry=once) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_server.resume()
        assert own_server.cli("PING")


def test_a_server_may_have_a_unix_socket(server_binary: Binary) -> None:
    with (
        Server(server_binary, unixsocket=True) as server,
        redis.Redis.from_url(server.unix_url) as client,
    ):
        assert client.ping()
    assert not server.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel for it")
def test_a_server_dies_with_the_process_that_started_it() -> None:
    program = """
import os
from tests.servers import Server, found_binaries
server = Server(found_binaries()[0])
print(server.pid, server.folder, flush=True)
os._exit(0)
"""
    root = Path(__file__).parent.parent
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    pid, folder = ended.stdout.split()
    shutil.rmtree(folder)
    assert _ends(int(pid))


def _ends(pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(descriptor) as process:
        return bool(select.select([process], [], [], 10)[0])
