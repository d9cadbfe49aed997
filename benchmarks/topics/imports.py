"""What `import dualcache` costs, and what it must not bring along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks.results import Row
from benchmarks.subjects.ours import DUALCACHE

if TYPE_CHECKING:
    from benchmarks.bench import Bench

TIMED: Final = """
import time
began, cpu = time.perf_counter(), time.process_time()
{statement}
print(time.perf_counter() - began, time.process_time() - cpu)
"""
LISTED: Final = """
import sys
from dualcache import Cache
print(sum(name in sys.modules for name in ("redis", "asyncio", "anyio")))
"""
STATEMENTS: Final = {
    DUALCACHE: "import dualcache",
    "msgspec, cachetools": "import msgspec, cachetools",
    "dualcache.Cache": "from dualcache import Cache",  # names are imported when they are asked for
    "redis": "import redis",
    "redis.asyncio": "import redis.asyncio",
    "cashews": "import cashews",
    "aiocache": "import aiocache",
    "dogpile.cache": "import dogpile.cache",
}


def run(bench: Bench) -> list[Row]:
    statements = dict(bench.some(list(STATEMENTS.items())[:3], STATEMENTS.items()))
    bytecode = Path(bench.closing.enter_context(TemporaryDirectory()))
    laps: dict[str, list[tuple[float, float]]] = {}
    for number in range(1 + bench.some(1, 21)):
        for name, statement in statements.items():
            told = in_new_process(TIMED.format(statement=statement), bytecode)
            if number == 0:  # it compiles the source, which an installed program does once
                continue
            if told is None:
                bench.note(f"{name}: not installed")
            else:
                wall, cpu = map(float, told.split())
                laps.setdefault(name, []).append((wall * 1000, cpu * 1000))
    rows = []
    for name, taken in laps.items():
        walls, cpus = zip(*taken, strict=True)
        rows.append(Row("import", name, "ms", walls, cpus))
    listed = in_new_process(LISTED, bytecode)
    assert listed is not None
    return [*rows, Row("of redis, asyncio and anyio", DUALCACHE, "modules", (float(listed),))]


def in_new_process(source: str, bytecode: Path) -> str | None:
    """Return what a program prints; `None` if it cannot import what it wants.

    Whatever the environment says, modules are read from `bytecode` once they are compiled.
    """
    root = str(Path(__file__).parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    return done.stdout if done.returncode == 0 else None
