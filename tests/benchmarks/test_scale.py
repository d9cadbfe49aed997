"""The model behind the page on scale, and the tables that are made from what was measured."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.listening import push_bytes
from benchmarks.results import Results, Row, Topic, write_results
from benchmarks.scale import BATCH, FLEETS, STALENESS, Found, Prices, write_scale

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "scale.md"
PRICES = Prices(
    push_us=5,
    batched_us=1,
    heard_us=50,
    sign_us=10,
    connection_kb=20,
    key_bytes=100,
    reader_bytes=20,
    fill_pushes=2,
)


def test_by_broadcast_every_process_hears_every_change() -> None:
    assert PRICES.broadcast_pushes(100, invalidations=10, fills=0) == 1_000
    assert PRICES.broadcast_pushes(100, invalidations=0, fills=10) == 2_000


def test_by_tracking_those_hear_of_a_change_who_hold_the_key() -> None:
    assert PRICES.tracked_pushes(100, invalidations=10, share=0.1) == 100
    assert PRICES.tracked_pushes(100, 10, 1) == PRICES.broadcast_pushes(100, 10, 0)


def test_primaries_share_the_pushes_but_not_the_signs_of_life() -> None:
    assert PRICES.load(100_000) == pytest.approx(0.5)
    assert PRICES.load(100_000, primaries=5) == pytest.approx(0.1)
    assert PRICES.signs_load(100) == pytest.approx(100 * 3 / STALENESS * 10 / 1e6)


@pytest.mark.parametrize("primaries", [1, 3])
def test_with_the_most_processes_broadcast_takes_half_of_each_primary(primaries: int) -> None:
    most = PRICES.most_by_broadcast(100, primaries)
    pushes = PRICES.broadcast_pushes(most, invalidations=100, fills=0)
    assert PRICES.load(pushes, primaries) == pytest.approx(0.5)


def test_a_tracking_table_has_each_key_once_and_each_reader_of_it() -> None:
    everywhere_the_same = PRICES.table_mb(10, entries=1_000, keys=1_000)
    assert everywhere_the_same == pytest.approx((1_000 * 100 + 9_000 * 20) / 1e6)
    all_different = PRICES.table_mb(10, entries=1_000, keys=1_000_000)
    assert all_different == pytest.approx(10_000 * 100 / 1e6)


@pytest.mark.parametrize(
    ("transport", "pushed"),
    [
        ("tracking", ">2 $10 invalidate *1 $20 tracking:user:100000 "),
        ("broadcast", ">2 $10 invalidate *1 $21 broadcast:user:100000 "),
    ],
)
def test_pushes_are_counted_by_the_bytes_of_one(transport: Any, pushed: str) -> None:
    assert push_bytes(transport, 100_000) == len(pushed.replace(" ", "\r\n"))


def test_the_tables_of_the_page_are_made_from_what_was_measured(tmp_path: Path) -> None:
    page, file = tmp_path / "scale.md", tmp_path / "found.json"
    shutil.copy(PAGE, page)
    write_results(measured(), file)
    assert main(["scale", str(file), "--page", str(page)]) == 0
    written = page.read_text("utf-8")
    assert "| a push, processor time of the server | 5 µs |" in written
    assert "Measured with redis 7.0, CPython and redis-py 8.1, on 2 processors" in written
    assert "| each further connection that has read it | 20 bytes |" in written
    assert "| 100 | 1 000 | 3 000 | 10 000 | 0.5 % |" in written
    for marks in re.findall(r"<!-- (\w+) begin -->", written):
        assert f"<!-- {marks} end -->" in written


def test_prices_come_from_the_rows() -> None:
    assert Found([measured()]).prices() == PRICES


def test_nothing_but_what_stands_between_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    shutil.copy(PAGE, page)
    write_scale([measured()], page)
    assert prose(page) == prose(PAGE)
    assert str(FLEETS[-1])[:2] in page.read_text("utf-8")


def prose(page: Path) -> str:
    written = page.read_text("utf-8")
    return re.sub(r"(<!-- \w+ begin -->).*?(<!-- \w+ end -->)", r"\1\2", written, flags=re.DOTALL)


def measured() -> Results:
    """Return rows that cost what `PRICES` says."""
    rows = [
        *over_processes("connections", "connections", lambda x: 2 * x),
        *over_processes("pushes for an invalidation", "pushes", lambda x: x),
        *over_processes("pushes for a fill", "pushes", lambda x: 2 * x),
        *over_processes(f"{SERVER} an invalidation", "µs", lambda x: 30 + 5 * x),
        *over_processes(f"{SERVER} {BATCH}", "µs", lambda x: 10 + x),
        *over_processes("process, processor time of a push", "µs", lambda _: 50),
        *over_processes(f"{TABLE} for a key", "bytes", lambda x: 100 + 20 * (x - 1)),
        row(f"{SERVER} an invalidation that nobody hears", "broadcast", 30, "µs"),
        row(f"{SERVER} {BATCH} that nobody hears", "broadcast", 10, "µs"),
        row(f"{SERVER} a sign of life", "tracking", 10, "µs"),
        row("server, memory of a connection", "idle", 20, "kB"),
        row("one caller, over primaries", "one server, dualcache", 20, "µs", 1),
    ]
    for x in (1, 2, 3):
        for subject in ("tracking", "broadcast"):
            rows.append(row("connections of a process, over primaries", subject, 2 * x, "", x))
            pushes = "pushes for an invalidation to a process, over primaries"
            rows.append(row(pushes, subject, 1, "", x))
        rows.append(row("one caller, over primaries", "dualcache", 24, "µs", x))
        rows.append(row("one caller, over primaries", "redis.cluster get + pickle", 60, "µs", x))
        readers = "pushes for a change, over data connections of one process that have read"
        rows.append(row(readers, "tracking", x, "pushes", x))
    machine = {"server": "redis 7.0", "python": "CPython", "redis": "8.1", "processors": "2, some"}
    return Results(machine, False, {"listeners": Topic(rows, [], [])})


SERVER = "server, processor time of"
TABLE = "server, memory of the tracking table"


def row(case: str, subject: str, value: float, unit: str, x: float | None = None) -> Row:
    return Row(case, subject, unit, (value,), x=x)


def over_processes(case: str, unit: str, value: Any) -> list[Row]:
    return [
        row(f"{case}, over processes", subject, value(x), unit, x)
        for subject in ("tracking", "broadcast", "pubsub")
        for x in (1, 4, 16, 64)
    ]
