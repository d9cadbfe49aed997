"""The topics: each a module with `run(bench) -> list[Row]`, imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.results import Row

MODULES: Final = {
    "front": "front",
    "l2_sync": "l2_sync",
    "l2_async": "l2_async",
    "threads": "threads",
    "miss": "miss",
    "herd": "herd",
    "invalidate": "invalidate",
    "propagation": "propagation",
    "memory": "memory",
    "import": "imports",
    "outage": "outage",
    "hit_ratio": "hit_ratio",
    "growth": "growth",
    "fleet": "fleet",
    "listeners": "listeners",
    "http": "http",
}
"""The name on the command line, and the module: one of them is a keyword."""


def topic(name: str) -> Callable[[Bench], list[Row]]:
    """Return what measures a topic."""
    run: Callable[[Bench], list[Row]] = import_module(f"{__name__}.{MODULES[name]}").run
    return run
