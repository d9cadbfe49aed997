"""What `dualcache doctor` prints; what it finds is in tests/doctor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.pages import ROOT
from tests.ports import free_port

if TYPE_CHECKING:
    import pytest

    from dualcache import Cache
    from tests.cli.running import Shell
    from tests.servers import Server


def test_each_check_is_a_line_and_its_fix_another(shell: Shell) -> None:
    done = shell.run("doctor")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == f"✓ url            {shell.url} (--url)"
    at = lines.index("! policy         noeviction: a full server stores nothing new")
    assert lines[at + 1] == (
        "                 → CONFIG SET maxmemory-policy allkeys-lfu, and in its file"
    )
    assert lines[-1].endswith(" warnings, 0 faults")


def test_the_page_shows_what_is_printed(shell: Shell, shop: Cache, redis_server: Server) -> None:
    shop.set("a", 1)
    redis_server.cli("SET", "shop:session:1", "theirs")
    page = (ROOT / "docs/operating/doctor.md").read_text("utf-8")
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert without_figures(shell.run("doctor").out) == without_figures(block)


def without_figures(text: str) -> list[str]:
    """Return the lines without numbers, and without those that depend on machine and server."""
    lines = re.sub(r"127\.0\.0\.1:\d+", "localhost:6379", text).splitlines()
    kept = [line for line in lines if line[2:].split(" ")[0] not in {"latency", "server", "ifeq"}]
    return [re.sub(r"\d+(\.\d+)*( kB| MB)?", "0", line) for line in kept]


def test_only_what_is_not_well_is_shown_if_asked(shell: Shell) -> None:
    out = shell.run("doctor", "-q").out
    assert "✓" not in out
    assert "! policy" in out


def test_a_fault_ends_it_with_1(shell: Shell) -> None:
    done = shell.bare("doctor", "--url", f"redis://127.0.0.1:{free_port()}/0")
    assert done.code == 1
    assert "✗ tcp " in done.out


def test_programs_get_json(shell: Shell, shop: Cache, redis_server: Server) -> None:
    redis_server.cli("SET", "shop:theirs", "x")
    document = {one["check"]: one for one in shell.run("doctor", "--json").document}
    assert document["foreign-keys"]["level"] == "warning"
    assert document["server"]["level"] == "good"


def test_on_a_narrow_terminal_the_cause_has_a_line_of_its_own(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "! policy\n  noeviction: " in shell.run("doctor").out
