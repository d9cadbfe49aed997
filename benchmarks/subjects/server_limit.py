"""`redis-benchmark`: what the server itself can do."""

from __future__ import annotations

import csv
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.results import Row

if TYPE_CHECKING:
    from benchmarks.bench import Bench

NAME: Final = "redis-benchmark"


def program(bench: Bench) -> Path | None:
    """Find the tool beside the server or on PATH."""
    beside = [bench.binary.path.parent / name for name in (NAME, "valkey-benchmark", "benchmark")]
    on_path = [shutil.which(NAME), shutil.which("valkey-benchmark")]
    places = [*beside, *(Path(found) for found in on_path if found)]
    return next((place for place in places if place.is_file()), None)


def server_gets(bench: Bench, case: str, clients: int, x: float | None = None) -> list[Row]:
    """Measure GETs of 200 bytes by so many connections; µs per GET, all clients together."""
    tool = program(bench)
    if tool is None:
        bench.note(f"{NAME}: neither beside the server nor on PATH")
        return []
    count = bench.some(2_000, 100_000)
    command = [tool, "-p", bench.server.port, "-c", clients, "-n", count, "-d", 200]
    try:
        rounds = tuple(one_run([*map(str, command), "-t", "get", "--csv"]) for _ in range(3))
    except subprocess.CalledProcessError as error:  # as where it may not open so many connections
        bench.note(f"{NAME}: {case}: {(error.stderr or str(error)).strip().splitlines()[0]}")
        return []
    return [Row(case, NAME, "µs", rounds, x=x)]


def one_run(command: list[str]) -> float:
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    per_second = next(line[1] for line in csv.reader(told.splitlines()) if line[0] == "GET")
    return 1e6 / float(per_second)
