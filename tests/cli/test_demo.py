from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dualcache.cli.demo
from dualcache.cli.main import main
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from dualcache.cli.demo import Row
    from tests.servers import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _without_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dualcache.cli.demo, "SLOW_SECONDS", 0.05)


def test_every_scene_behaves_in_memory_and_on_a_server(
    backend_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--url", backend_url]) == 0
    shown = capsys.readouterr()
    assert shown.out.count("\n  ok ") == 9
    assert "9 of 9 as promised" in shown.out
    assert "\x1b" not in shown.out
    assert not shown.err


def test_it_runs_as_a_module_without_a_server_and_says_how_to_go_on() -> None:
    command = [sys.executable, "-W", "error", "-m", "dualcache", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "redis://localhost:6379/0" in done.stdout


def test_it_leaves_nothing_on_the_server(redis_server: Server) -> None:
    redis_server.cli("SET", "theirs", "1")
    assert main(["demo", "--url", redis_server.url]) == 0
    assert redis_server.cli("KEYS", "*") == [b"theirs"]


def test_a_server_that_is_not_there_is_named_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert main(["demo", "--url", f"redis://:hush@{address}/0"]) == 1
    shown = capsys.readouterr()
    assert shown.err == f"no answer from redis://***@{address}/0 (DC200): is the server running?\n"
    assert not shown.out


@pytest.mark.parametrize(
    ("url", "code"),
    [("reddis://:hush@cache", "DC160"), ("redis://:hush@cache:port", "DC152"), ("cache", "DC160")],
)
def test_a_url_that_cannot_be_right_is_told_in_the_shape_of_the_errors(
    url: str, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--url", url]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"dualcache.UsageError: [{code}] ")
    assert "Traceback" not in shown.err
    assert "hush" not in shown.err


def test_a_scene_that_does_not_behave_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Cache) -> Iterator[Row]:
        yield dualcache.cli.demo.Row("a scene", "not as it should", 1.0, is_right=False)

    monkeypatch.setattr(dualcache.cli.demo, "SCENES", (broken,))
    assert main(["demo"]) == 1
    assert "WRONG a scene" in capsys.readouterr().out


def test_arguments_that_are_none_exit_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dmeo"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--help"])
    assert ended.value.code == 0
    assert "Exit code: 0" in capsys.readouterr().out
