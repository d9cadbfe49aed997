"""The order of the checks: first the way to the server, because all others need it."""

from __future__ import annotations

from itertools import chain
from time import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisClusterException, RedisError

from dualcache.doctor.asking import nodes_of
from dualcache.doctor.contents import examine_contents
from dualcache.doctor.findings import Level, warning
from dualcache.doctor.keeping import examine_keeping
from dualcache.doctor.memory import examine_memory
from dualcache.doctor.program import examine_front, examine_program
from dualcache.doctor.reaching import examine_way, no_cluster
from dualcache.doctor.rights import examine_rights
from dualcache.doctor.server import examine_server
from dualcache.doctor.timing import examine_timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dualcache import Cache
    from dualcache.doctor.findings import Finding


def examine(
    cache: Cache, *, origin: str = "", now: Callable[[], float] = time
) -> Iterator[Finding]:
    """Check the server of a cache and its use, and yield a finding for each check.

    `origin` says where the URL comes from, for the first finding. `now` is this machine's clock in
    seconds; the server's is compared with it. If the server cannot be used, the checks end with the
    one that says why.
    """
    backend = cache.stats().backend
    if backend.startswith(("memory:", "null:")):
        yield warning(
            "url",
            f"{backend}: each process has a separate cache" + (f" ({origin})" if origin else ""),
            "give a URL, or set DUALCACHE_URL, if several processes share entries",
        )
        yield from examine_program(cache)
        return
    for finding in examine_way(cache, backend, origin):
        yield finding
        if finding.level is Level.FAULT:
            return
    try:  # the client of a cluster connects when it is made
        nodes = nodes_of(cache)
    except (RedisError, RedisClusterException) as error:
        yield no_cluster(error)
        return
    for node in nodes:
        found = chain(
            examine_timing(node, now),
            examine_server(node, cache.namespace),
            examine_memory(node),
            examine_keeping(node),
            examine_rights(node, cache.rights(), cache.namespace),
        )
        yield from (each._replace(node=node.label) for each in found)
    yield from examine_front(cache)
    yield from examine_contents(nodes, cache.namespace)
    yield from examine_program(cache)
