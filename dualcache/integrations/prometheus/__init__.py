"""`register`: the metrics of caches for Prometheus.

`board.json` is a board for Grafana, and `alerts.yaml` has alerting rules.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from prometheus_client import REGISTRY

from dualcache.integrations.prometheus.collector import CacheCollector
from dualcache.integrations.prometheus.processes import Writer

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from dualcache import Cache

__all__ = ["register"]

_collectors: Final[WeakKeyDictionary[CollectorRegistry, CacheCollector]] = WeakKeyDictionary()
_writers: Final[list[Writer]] = []


def register(cache: Cache, *, registry: CollectorRegistry = REGISTRY) -> None:
    """Expose the metrics of a cache; a second call for it changes nothing.

    All caches of one registry share a collector; the label `namespace` distinguishes them. If
    `PROMETHEUS_MULTIPROC_DIR` is set, a thread of each process writes its metrics there every five
    seconds, for `MultiProcessCollector`.
    """
    collector = _collectors.get(registry)
    if collector is None:
        collector = _collectors[registry] = CacheCollector()
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            writer = Writer(collector)
            _writers.append(writer)
            writer.start()
        else:
            registry.register(collector)
    if collector.add(cache):
        cache.measure_operations()
