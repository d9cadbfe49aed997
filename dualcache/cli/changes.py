"""Changes in a namespace as the server pushes them: a listener for each server that keeps entries.

Broadcast tracking, and neither keyspace notifications nor MONITOR: it has to be switched on for one
connection only, names the keys of one prefix, and costs nothing when nobody watches. A push says
that a key changed, not how, so the key is looked at afterwards.
"""

from __future__ import annotations

from queue import Empty, Queue
from threading import Event as Signal
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from redis.exceptions import RedisError, ResponseError

from dualcache import UsageError, read_head
from dualcache.cli.printing import seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache

CHANNEL: Final = "__redis__:invalidate"
PATIENCE_SECONDS: Final = 0.2
"""How long a listener waits for a push before it looks whether it is to end."""
HEAD_BYTES: Final = 48
KINDS: Final = {"value": "stored", "filling": "loading", "tombstone": "held", "expired": "expired"}


class Change(NamedTuple):
    """What happened to a key or a tag."""

    what: str
    name: str
    detail: str = ""


class Listener:
    """Two connections to one server: one hears the changes, for the other they are tracked."""

    def __init__(self, client: Any, prefix: str) -> None:
        self.client = client
        pool = client.connection_pool
        # The older protocol has pushes as messages of a channel, which every redis-py reads alike.
        options = {**pool.connection_kwargs, "protocol": 2}
        if "connection_pool" in options or "sentinel" in type(pool).__name__.lower():
            options["connection_pool"] = pool
        self._hearing = pool.connection_class(**options)
        self._told = pool.connection_class(**options)
        try:
            self._begin(prefix)
        except BaseException:
            self.close()
            raise

    def _begin(self, prefix: str) -> None:
        self._hearing.connect()
        self._told.connect()
        number = self.ask(self._hearing, "CLIENT", "ID")
        self.ask(self._hearing, "SUBSCRIBE", CHANNEL)
        tracking = ["CLIENT", "TRACKING", "ON", "REDIRECT", number, "BCAST"]
        self.ask(self._told, *tracking, *(["PREFIX", prefix] if prefix else []))

    def ask(self, connection: Any, *command: object) -> Any:
        """Send a command; raise what the server answers with."""
        connection.send_command(*command)
        return connection.read_response()

    def heard(self) -> list[bytes] | None:
        """Wait a little for a push; `None`: all keys, an empty list: there was none."""
        if not self._hearing.can_read(timeout=PATIENCE_SECONDS):
            return []
        told = self._hearing.read_response()
        return told[2] if told[0] in {b"message", "message"} else []

    def close(self) -> None:
        self._hearing.disconnect()
        self._told.disconnect()


class Watcher:
    """Listens to all servers of a cache; a thread for each, which ends with it.

    Of the keys that one push names, the first `most` are looked at, and the others only counted.
    """

    def __init__(self, cache: Cache, most: int | None = None) -> None:
        self._most = most
        self._prefix = f"{cache.namespace}:" if cache.namespace else ""
        client: Any = cache.client
        primaries = client.get_primaries() if hasattr(client, "get_primaries") else ()
        self._clients = [node.redis_connection for node in primaries] or [client]
        self._queue: Queue[Change] = Queue()
        self._is_over = Signal()
        self._threads: list[Thread] = []

    def __enter__(self) -> Watcher:
        listeners = [self._listener(client) for client in self._clients]
        for each in listeners:
            thread = Thread(target=self._listen, args=(each,), name="dualcache-watch", daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for each in self._threads:
            each.join()

    def changes(self, until: float | None) -> Iterator[Change]:
        """Yield changes as they come, up to a moment of the monotonic clock."""
        while until is None or monotonic() < until:
            try:
                yield self._queue.get(timeout=PATIENCE_SECONDS)
            except Empty:
                continue

    def _listener(self, client: Any) -> Listener:
        try:
            return Listener(client, self._prefix)
        except ResponseError as error:
            raise UsageError(
                "this server does not send changes: it refuses CLIENT TRACKING … BCAST",
                code="DC496",
                details=[("answer", str(error).split(";")[0][:80])],
                help="allow +client|id +client|tracking +subscribe &__redis__:invalidate",
            ) from error

    def _listen(self, listener: Listener) -> None:
        """Put what one server tells into the queue, until the end; connect anew where it breaks."""
        try:
            while not self._is_over.is_set():
                try:
                    keys = listener.heard()
                    for change in self._looked_at(listener.client, keys):
                        self._queue.put(change)
                except RedisError:
                    listener = self._again(listener)
        finally:
            listener.close()

    def _again(self, listener: Listener) -> Listener:
        """Return a listener that is connected anew, as soon as there is one."""
        listener.close()
        self._queue.put(Change("lost", "", "the connection broke: changes may be missing"))
        while not self._is_over.wait(PATIENCE_SECONDS):
            try:
                return Listener(listener.client, self._prefix)
            except RedisError:
                continue
        return listener

    def _looked_at(self, client: Any, keys: list[bytes] | None) -> list[Change]:
        """Say what happened to keys, by what is there now."""
        if keys is None:
            return [Change("flushed", "", "all keys were deleted")]
        if not keys:
            return []
        most = self._most or len(keys)
        keys, others = keys[:most], keys[most:]
        trip = client.pipeline(transaction=False)
        for key in keys:
            trip.getrange(key, 0, HEAD_BYTES - 1)
            trip.pttl(key)
        answers = trip.execute(raise_on_error=False)
        found = zip(keys, answers[::2], answers[1::2], strict=True)
        changes = (self._change(key, raw, left) for key, raw, left in found)
        told = [change for change in changes if change is not None]
        if others:
            told.append(Change("more", "", f"{len(others)} other keys changed"))
        return told

    def _change(self, key: bytes, raw: Any, left: Any) -> Change | None:
        name = key.decode("utf-8", "surrogateescape").removeprefix(self._prefix)
        is_gone = left == -2
        if name.startswith("~t:"):
            return Change("tag invalidated", name[3:]) if is_gone else None
        if name.startswith("~b:"):
            return Change("gone", name[3:], "with its variants") if is_gone else None
        if name.startswith("~"):
            return None
        if is_gone:
            return Change("gone", name)
        head = read_head(raw) if isinstance(raw, bytes) else None
        if head is None:
            return Change("foreign", name)
        ttl = "for ever" if left == -1 else f"ttl {seconds(left / 1000)}"
        return Change(KINDS[head.kind], name, ttl if head.kind == "value" else "")
