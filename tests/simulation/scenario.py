"""A scenario: who acts, over which transport, and which troubles may come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.ops import Flow
    from tests.simulation.actor import Actor
    from tests.simulation.world import World

Choice = tuple[str, str]

LOCAL_TROUBLES: Final = frozenset(
    {"lost request", "lost reply", "cut", "timeout", "cancel", "raised", "bound", "renewal"}
)
SERVER_TROUBLES: Final = frozenset({"evict", "pause over", "age"})
TROUBLES: Final = LOCAL_TROUBLES | SERVER_TROUBLES
"""What a schedule of one tier may hold only so often."""
LINK_TROUBLES: Final = frozenset({"end of link", "silence", "reap", "flush"})
"""What may befall the listener's connection, an idle data connection, or the whole server."""


class Role(NamedTuple):
    """What one caller does: which flow it runs, in which process.

    A writer raises the version of the source before its flow begins; a fencer only waits, and who
    is beside others runs in the background: nobody gets its result.
    """

    name: str
    process: str
    flow: Callable[[World, Actor], Flow[Any]]
    is_writer: bool = False
    is_set: bool = False
    is_fencer: bool = False
    is_beside: bool = False


class Scenario(NamedTuple):
    """Who acts, and what may happen.

    `faults` bounds how many troubles one schedule has, of the kinds in `troubles`; `beats` how many
    proofs each listener asks for, `jumps` how often the clock goes on by `jump` seconds. There is a
    front tier where a `transport` is named. `is_shared`: the callers of a process share one
    connection, as on asyncio; else each has one while it needs it, as in threads.
    `shaky` are the processes whose links may break and who ask for proofs; none named: all.
    `is_one_by_one`: no two loads of a process run at a time, unless one has taken too long.
    `is_stored`: version 0 lies in Redis, with `tags`; `is_stale`: it has gone stale.
    `is_kept`: it is in each front tier as well. `others` are keys that are read in the end as well.
    `homes` are the nodes of a cluster that names live
    on, the first one for all that are not listed. `is_gossiping`: nodes pass on what is published.
    """

    roles: tuple[Role, ...]
    names: tuple[str, ...]
    troubles: frozenset[str] = frozenset()
    faults: int = 0
    is_sharded: bool = False
    transport: str = ""
    is_shared: bool = False
    is_one_by_one: bool = False
    is_stored: bool = False
    is_stale: bool = False
    is_kept: bool = False
    others: tuple[str, ...] = ()
    homes: tuple[tuple[str, str], ...] = ()
    is_gossiping: bool = False
    tags: tuple[str, ...] = ()
    ttl_ms: int = 60_000
    max_staleness: float = 5.0
    beats: int = 0
    shaky: str = ""
    jumps: int = 0
    jump: float = 6.0

    def nodes(self) -> tuple[str, ...]:
        """Return the nodes of the cluster; one without a name: there is one server."""
        return tuple(dict.fromkeys([node for _, node in self.homes])) or ("",)

    @property
    def key(self) -> str:
        return self.names[0]
