"""Metrics of several processes, added up by the collector of prometheus-client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, multiprocess

from tests.behaviour.seen import run_script
from tests.integrations.prometheus.test_metrics import scraped

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os
import warnings

# Python 3.12 and later warn of a fork beside threads: a process that writes has one.
warnings.simplefilter("ignore", DeprecationWarning)

from dualcache import Cache, FrontTier
from dualcache.integrations import prometheus

cache = Cache("memory://", namespace="shop", front=FrontTier())
prometheus.register(cache)
prometheus.register(cache)

@cache(key="k:{n}")
def load(n): return n

def work():
    for n in (1, 1, 2):
        load(n)
    for writer in prometheus._writers:
        writer.stop()

pid = os.fork()
work()
if pid:
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_each_process_writes_and_one_of_them_shows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    run_script(PROGRAM)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]
    found = scraped(registry)
    requests = {key[2:]: value for key, value in found.items() if key[0].endswith("requests_total")}
    assert sum(requests.values()) == 6
    (count,) = [v for key, v in found.items() if key[0] == "dualcache_load_duration_seconds_count"]
    assert count == 4
    assert [v for key, v in found.items() if key[0] == "dualcache_backend_up"] == [1.0]
