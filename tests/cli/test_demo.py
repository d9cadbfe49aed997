from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import dualcache.cli.demo
from dualcache.cli.main import main
from tests.ports import free_port

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
    why = "connection refused; is the server running there?"
    assert shown.err == f"no answer from redis://***@{address}/0: {why}\n"
    assert not shown.out


def test_without_a_url_it_runs_where_the_environment_says(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DUALCACHE_URL", redis_server.url)
    monkeypatch.setenv("DUALCACHE_ENABLED", "off")  # the demo shows a cache that is on
    assert main(["demo"]) == 0
    assert f"dualcache demo on {redis_server.url};" in capsys.readouterr().out
    assert main(["demo", "--url", "memory://"]) == 0
    assert "dualcache demo on memory://;" in capsys.readouterr().out
    monkeypatch.delenv("DUALCACHE_URL")
    monkeypatch.setenv("REDIS_CACHE_PORT", str(free_port()))
    assert main(["demo"]) == 1
    assert "connection refused" in capsys.readouterr().err


def refused_by(server: Server, how: str) -> tuple[str, str]:
    """Return a URL that cannot work, and a word of its cause."""
    address = f"127.0.0.1:{server.port}"
    if how == "wrong password":
        server.cli("CONFIG", "SET", "requirepass", "right")
        return f"redis://:wrong@{address}/0", "WRONGPASS: check user name and password in the URL"
    if how == "no password":
        server.cli("CONFIG", "SET", "requirepass", "right")
        return f"redis://{address}/0", "NOAUTH: give the password in the URL"
    if how == "TLS to a plain port":
        return f"rediss://{address}/0", "does the port speak TLS?"
    return "redis://no-such-host.invalid/0", "no answer from redis://no-such-host.invalid"


@pytest.mark.parametrize(
    "how", ["wrong password", "no password", "TLS to a plain port", "unknown host"]
)
def test_the_cause_is_named(
    how: str, own_server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    url, cause = refused_by(own_server, how)
    assert main(["demo", "--url", url]) == 1
    shown = capsys.readouterr()
    assert cause in shown.err
    assert "Traceback" not in shown.err
    assert "wrong@" not in shown.err


def test_a_command_is_not_needed_to_get_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_output_that_nobody_reads_any_more_ends_it_quietly() -> None:
    command = f"{sys.executable} -W error -m dualcache demo | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.startswith("dualcache demo on memory://")
    assert (done.returncode, done.stderr) == (141, "")


def test_rows_fit_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for columns in (200, 79, 78, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["demo", "--url", "memory://"]) == 0
        rows = capsys.readouterr().out.partition("\n\n")[2].rpartition("\n\n")[0]
        assert rows.count("ok ") == 9
        assert max(map(len, rows.splitlines())) <= columns


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
    assert main(["dmeo"]) == 2
    assert "No such command 'dmeo'" in capsys.readouterr().err


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--help"]) == 0
    assert "Exit code: 0" in capsys.readouterr().out
