"""Every Python block of the documentation runs, from top to bottom of its page.

`value  # -> repr` is compared, so is what `print(…)  # -> text` prints; `statement  # raises Name`
must raise. Blocks may await at their top level. A comment `<!-- not run: reason -->` exempts one.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

from dualcache import Cache
from dualcache.cli.without_extra import parser
from tests.docs.pages import ROOT, Block, blocks_of, name_of, pages
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import Server

SERVER: Final = re.compile(r"redis://localhost(:6379)?(/0)?(?![\w:/])")
REMARK: Final = re.compile(r"  # (->|raises) (.+)$")
COMMANDS: Final = (
    "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/python -m dualcache demo",
    "python3 -m venv .venv && .venv/bin/pip install -q tox && .venv/bin/tox",
)
LOGGERS: Final = ("dualcache", "dualcache.front", "dualcache.http", "dualcache.redis")
ELSEWHERE: Final = {"django.md"}
"""Pages whose code needs a project around it, and runs in tests/integrations."""
PAGES: Final = [
    page
    for page in pages()
    if page.name not in ELSEWHERE and any(block.language == "python" for block in blocks_of(page))
]


@pytest.fixture(autouse=True)
def _without_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("DUALCACHE_", "REDIS_CACHE_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A page may configure logging, for the process: the tests after it get back what was there."""
    known = [*logging.root.manager.loggerDict, *LOGGERS]
    loggers = [logging.root, *[logging.getLogger(name) for name in known]]
    before = [
        (each, each.level, each.propagate, each.disabled, [*each.handlers]) for each in loggers
    ]
    yield
    for each, level, propagate, disabled, handlers in before:
        each.setLevel(level)
        each.propagate, each.disabled, each.handlers[:] = propagate, disabled, handlers


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_snippet_of_a_page_runs_and_shows_what_it_says(
    page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [block for block in blocks_of(page) if block.language == "python" and block.is_run]
    url = ""
    if any(SERVER.search(block.text) for block in blocks):
        server: Server = request.getfixturevalue("redis_server")
        url = patient(server.url)  # what is late on a busy machine is no outage
    shop = ModuleType("shop")
    monkeypatch.setitem(
        sys.modules, "shop", shop
    )  # where frameworks look for what annotations name
    names = vars(shop)
    with asyncio.Runner() as runner:
        try:
            for block in blocks:
                run_block(page, block, url, names, runner)
        finally:
            for cache in [value for value in names.values() if isinstance(value, Cache)]:
                runner.run(cache.aio.aclose())


def run_block(
    page: Path, block: Block, url: str, names: dict[str, Any], runner: asyncio.Runner
) -> None:
    """Run a block statement by statement, and check the remarks beside them."""
    text = SERVER.sub(url, block.text) if url else block.text
    lines = text.splitlines()
    for statement in ast.parse(text).body:
        remark = REMARK.search(lines[(statement.end_lineno or 1) - 1])
        place = f"{name_of(page)}:{block.line + statement.lineno - 1}"
        kind, wanted = remark.groups() if remark else ("", "")
        if kind == "raises":
            with pytest.raises(Exception) as caught:
                run_statement(statement, place, names, runner)
            assert type(caught.value).__name__ == wanted, place
            continue
        shown = run_statement(statement, place, names, runner)
        if kind:
            assert shown == wanted, f"{place} shows {shown}"


def run_statement(
    statement: ast.stmt, place: str, names: dict[str, Any], runner: asyncio.Runner
) -> str:
    """Run one statement; return what it prints, else the repr of its value."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    node: ast.Module | ast.Expression = ast.Module([statement], [])
    mode = "exec"
    if isinstance(statement, ast.Expr):
        node, mode = ast.Expression(statement.value), "eval"
    code = compile(node, place, mode, flags=flags, dont_inherit=True)
    with redirect_stdout(io.StringIO()) as printed:
        brings_a_loop = "asyncio.run(" in ast.unparse(statement)
        value = eval(code, names) if brings_a_loop else runner.run(awaited(code, names))
    return printed.getvalue().strip() or repr(value)


async def awaited(code: Any, names: dict[str, Any]) -> Any:
    """Evaluate a code object within the loop; what awaits at its top level is awaited."""
    value = eval(code, names)
    return await value if code.co_flags & inspect.CO_COROUTINE else value


def test_the_first_block_of_the_readme_runs_as_a_script(tmp_path: Path) -> None:
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    script = tmp_path / "first.py"
    script.write_text(first.text, "utf-8")
    command = [sys.executable, "-W", "error", str(script)]
    outside = {name: value for name, value in os.environ.items() if "CACHE_" not in name}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=outside | {"PYTHONPATH": str(ROOT)}
    )
    remarks = [found for line in first.text.splitlines() if (found := REMARK.search(line))]
    assert done.stdout.splitlines() == [found[2] for found in remarks], done.stderr
    assert done.returncode == 0


def test_the_readme_has_the_two_commands_word_for_word() -> None:
    shell = [block.text for block in blocks_of(ROOT / "README.md") if block.language == "sh"]
    assert [command for command in COMMANDS if command in shell] == list(COMMANDS)


def test_the_continuous_integration_runs_the_readmes_test_command() -> None:
    run = (ROOT / ".ci" / "run").read_text("utf-8")
    make_place, *steps = COMMANDS[1].split(" && ")
    assert make_place in run
    assert " && ".join(steps) in run
    assert COMMANDS[1] in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_readmes_demo_command_is_one_that_the_command_line_knows() -> None:
    arguments = COMMANDS[0].rpartition(" -m dualcache ")[2].split()
    assert parser().parse_args(arguments).command == "demo"


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{name_of(page)} -> {target}"
        for page in pages()
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_every_test_that_a_page_names_as_proof_is_there() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    present = set(re.findall(r"def (test_\w+)", sources))
    named = {
        name for page in pages() for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))
    }
    assert sorted(named - present) == []
