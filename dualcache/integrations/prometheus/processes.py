"""Metrics of several processes: each writes its own into the directory that one of them exposes."""

from __future__ import annotations

import os
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from prometheus_client import values

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from dualcache.integrations.prometheus.collector import CacheCollector

__all__ = ["WRITE_SECONDS", "Writer"]

WRITE_SECONDS: Final = 5.0
"""How often each process writes."""
_GAUGES: Final = {"dualcache_backend_up": "livemin", "dualcache_front_up": "livemin"}
"""How gauges of several processes become one; the others are added up."""


class Writer:
    """Writes the metrics of a collector, in a thread; a forked child starts another one."""

    def __init__(self, collector: CacheCollector) -> None:
        self._collector = collector
        self._values: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._stop = Event()
        self._thread: Thread | None = None
        own = ref(self)
        os.register_at_fork(after_in_child=lambda: _restart(own()))

    def start(self) -> None:
        """Begin to write every few seconds."""
        self._stop = Event()
        self._thread = Thread(target=self._work, name="dualcache-metrics", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write once more, then end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.write()

    def write(self) -> None:
        """Write the current metrics."""
        for metric in self._collector.collect():
            for name, labels, value in _samples(metric):
                key = (name, tuple(labels.values()))
                held = self._values.get(key)
                if held is None:
                    held = self._values[key] = _value(metric, name, labels)
                held.set(value)

    def _work(self) -> None:
        while not self._stop.wait(WRITE_SECONDS):
            self.write()


def _restart(writer: Writer | None) -> None:
    if writer is not None:
        writer.start()


def _samples(metric: Metric) -> list[tuple[str, dict[str, str], float]]:
    """Return what is written of a metric: buckets as counts of their own, and no total count."""
    found: list[tuple[str, dict[str, str], float]] = []
    below = 0.0
    for sample in metric.samples:
        value = float(sample.value)
        if sample.name.endswith("_bucket"):
            value, below = value - below, value
            if sample.labels["le"] == "+Inf":
                below = 0.0
        elif metric.type == "histogram" and sample.name.endswith("_count"):
            continue  # it is made of the buckets
        found.append((sample.name, sample.labels, value))
    return found


def _value(metric: Metric, name: str, labels: dict[str, str]) -> Any:
    mode = _GAUGES.get(metric.name, "livesum") if metric.type == "gauge" else ""
    return values.ValueClass(
        metric.type,
        metric.name,
        name,
        tuple(labels),
        tuple(labels.values()),
        metric.documentation,
        multiprocess_mode=mode,
    )
