"""The benchmarks work: all topics run, what they write can be drawn. Nothing is held to a time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.listening import TRANSPORTS
from benchmarks.measure import Lap, calibrated
from benchmarks.page import RESULTS, SUMMARY, by_curve, plot, was_busy
from benchmarks.results import Reached, Results, Row, Topic, read_results
from benchmarks.summary import COMPARED, told
from benchmarks.svg import Field, Line, axis_of_bars, draw, logarithmic_axis, round_step
from benchmarks.targets import TARGETS, Target, reached
from benchmarks.topics import MODULES

if TYPE_CHECKING:
    from tests.servers import Binary

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "performance.md"
TABLES = ROOT / "docs" / "measurements.md"
OURS = {"dualcache", *TRANSPORTS}


def benchmarks(*arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def row(case: str, subject: str, *rounds: float) -> Row:
    return Row(case, subject, "µs", rounds)


def test_every_topic_runs_and_its_results_become_plots_and_a_page(
    server_binary: Binary, tmp_path: Path
) -> None:
    found = tmp_path / "found.json"
    run = benchmarks("--quick", "--server", server_binary.path, "--json", found)
    assert run.returncode == 0, run.stdout + run.stderr
    topics = read_results(found).topics
    assert list(topics) == list(MODULES)
    for name, topic in topics.items():
        assert any(row.subject in OURS for row in topic.rows) or topic.notes, name

    page = tmp_path / "performance.md"
    shutil.copy(PAGE, page)
    tables = tmp_path / TABLES.name
    shutil.copy(TABLES, tables)
    drawn = benchmarks("plot", found, "--page", page)
    assert drawn.returncode == 0, drawn.stderr
    assert "CPython" in tables.read_text(encoding="utf-8")
    plots = {path.stem: path for path in tmp_path.glob("performance/*.svg")}
    assert set(plots) == {name for name, topic in topics.items() if topic.rows}
    for path in plots.values():
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_an_unknown_topic_is_refused_with_those_there_are() -> None:
    run = benchmarks("speed")
    assert run.returncode == 2
    assert "no topic speed" in run.stderr
    assert "hit_ratio" in run.stderr


@pytest.mark.parametrize(("page", "marks"), [(PAGE, SUMMARY), (TABLES, RESULTS)])
def test_the_pages_have_a_place_for_what_is_written_into_them(
    page: Path, marks: tuple[str, str]
) -> None:
    written = page.read_text(encoding="utf-8")
    begin, end = marks
    assert written.index(begin) < written.index(end)


def test_a_target_by_processor_time_is_not_held_by_the_clock() -> None:
    case = "100 at once"
    ours = Row(case, "dualcache", "µs", (90.0, 90.0), (12.0, 12.0))
    theirs = Row(case, "redis.asyncio get", "µs", (100.0, 100.0), (120.0, 120.0))
    found = [each for each in reached("l2_async", [ours, theirs]) if each.reached is not None]
    by_name = {each.compared: each for each in found}
    held = by_name["dualcache / redis.asyncio get, processor time"]
    assert held.reached == pytest.approx(0.1)
    assert held.is_met
    by_clock = by_name["redis.asyncio get / dualcache"]
    assert by_clock.is_met is False
    assert by_clock.by_processor == pytest.approx(10)


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ([1.9, 5.2], "1.9 / 5.2 times faster"),
        ([0.4], "2.5 times slower"),
        ([1.02], "as fast"),
        ([0.5, 3], "2 times slower, 3 times faster"),
    ],
)
def test_the_summary_says_faster_or_slower(ratios: list[float], words: str) -> None:
    assert told(ratios) == words


def test_every_line_of_the_summary_is_of_a_topic() -> None:
    assert {compared.topic for compared in COMPARED} <= MODULES.keys()


@pytest.mark.parametrize(("step", "rounded"), [(0.3, 0.5), (1, 1), (2.1, 5), (30, 50), (70, 100)])
def test_the_ticks_of_an_axis_are_round(step: float, rounded: float) -> None:
    assert round_step(step) == pytest.approx(rounded)


def test_a_logarithmic_axis_is_no_wider_than_round_numbers_around_what_it_shows() -> None:
    axis = logarithmic_axis([30.0, 700.0], 0, 100)
    assert axis.ticks() == pytest.approx([20, 50, 100, 200, 500, 1_000])
    assert axis.place(20) == pytest.approx(0)
    assert axis.place(1_000) == pytest.approx(100)


def test_bars_of_very_different_lengths_stand_on_a_logarithmic_axis() -> None:
    assert axis_of_bars([1.0, 100.0]).is_logarithmic
    assert not axis_of_bars([1.0, 5.0]).is_logarithmic


def test_a_line_has_no_place_for_zero() -> None:
    lines = [Line("some", [(1, 0.0), (2, 3.0)], is_ours=True), Line("none", [(1, 0.0)], False)]
    drawn = draw([Field("pushes", "processes", "pushes", lines)])
    assert "some" in drawn
    assert "none<" not in drawn


def test_cases_that_differ_by_their_x_alone_are_one_field_of_lines() -> None:
    rows = [Row(f"{x} at once", "dualcache", "µs", (1.0,), x=x) for x in (1, 10)]
    assert [(title, len(found)) for title, found in by_curve(rows)] == [("at once", 2)]


def test_a_ratio_is_taken_round_by_round() -> None:
    rows = [row("one caller", "dualcache", 1, 10, 3), row("one caller", "dogpile redis", 3, 30, 9)]
    by_name = {each.compared: each for each in reached("l2_sync", rows)}
    assert by_name["dogpile redis / dualcache"].reached == 3
    assert by_name["dogpile redis / dualcache"].is_met


def test_a_target_without_its_rows_is_not_measured() -> None:
    assert {each.is_met for each in reached("l2_sync", [])} == {None}


@pytest.mark.parametrize(("value", "is_met"), [(0.5, True), (1, True), (1.01, False)])
def test_a_bound_itself_still_meets_the_target(value: float, is_met: bool) -> None:
    rows = [Row("tag, 1000 keys", "dualcache", "ms", (value,))]
    first: Reached = reached("invalidate", rows)[0]
    assert first.is_met is is_met


def test_every_target_belongs_to_a_topic_and_bounds_something() -> None:
    for target in TARGETS:
        assert isinstance(target, Target)
        assert target.topic in MODULES
        assert (target.at_most is None) != (target.at_least is None)


@pytest.mark.parametrize(("load", "is_busy"), [("0.5 1 2", False), ("9.1 8 8", True)])
def test_a_run_on_a_busy_machine_is_drawn_by_processor_time(load: str, is_busy: bool) -> None:
    machine = {"processors": "2, some model", "load before": load}
    assert was_busy(Results(machine, is_quick=False, topics={})) is is_busy


def test_a_plot_by_processor_time_says_so_and_leaves_out_what_has_none() -> None:
    rows = [
        Row("one caller", "dualcache", "µs", (90.0,), (20.0,)),
        Row("one caller", "redis-benchmark", "µs", (50.0,)),
    ]
    drawn = plot(Topic(rows, [], []), by_processor=True)
    assert "µs of processor time per call" in drawn
    assert "20 µs" in drawn
    assert "redis-benchmark" not in drawn


def test_a_burst_beside_which_another_program_ran_does_not_set_how_many_calls_are_measured() -> (
    None
):
    delays = iter([0.4])

    def lap_of(_: Any, count: int) -> Lap:
        taken = count * 1e-5 + next(delays, 0.0)
        return Lap(taken / count, taken / count, count)

    assert calibrated(lambda count: count, 0.02, lap_of) == 2_000
