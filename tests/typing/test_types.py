from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.behaviour.seen import ROOT

RIGHT: Final = Path(__file__).with_name("seen_types.py")
WRONG: Final = """from __future__ import annotations

from dualcache import Cache, Cach  # wrong
import dualcache

cache = Cache("memory://")
dualcache.Statts  # wrong


@cache(ttl="5m")
def load(n: int, *, deep: bool = False) -> str:
    return str(n)


@cache
async def later(n: int) -> str:
    return str(n)


@cache.many(key="many:{n}")
def many(numbers: list[int]) -> dict[int, str]:
    return {}


class Repository:
    @cache(key="repository:{n}")
    def load(self, n: int) -> str:
        return str(n)

    @classmethod
    @cache
    def of(cls, n: int) -> str:
        return str(n)


async def wrong(repository: Repository) -> None:
    cache.memoize(len)(1)  # wrong
    cache.memoize(5)  # wrong
    many(1)  # wrong
    many.invalidate(1)  # wrong
    many.peek(["1"])  # wrong
    cache.many(kee="x")  # wrong, not ty
    load("1")  # wrong
    load()  # wrong
    load(1, depp=True)  # wrong
    load.invalidate("1")  # wrong
    load.key_for()  # wrong
    _a: int = load(1)  # wrong
    _b: str = later(1)  # wrong
    await load(1)  # wrong
    repository.load("1")  # wrong
    repository.load(repository, 1)  # wrong
    repository.load.invalidate("1")  # wrong
    Cache(5)  # wrong
    Cache(jiter=0.1)  # wrong, not ty
    Repository.of("1")  # wrong
    Repository.of.invalidate("1")  # wrong
    later.invalidate(1).removed  # wrong
    cache.get_or_load("k", load, jiter=0.1)  # wrong
    _c: int | None = cache.get("k", type=str)  # wrong
"""
"""Each marked line has to be an error; a file of its own would be one of the project's."""
CHECKERS: Final = {
    "mypy": ["mypy", "--strict", "--no-error-summary", "--hide-error-context"],
    "pyright": ["pyright"],
    "ty": ["ty", "check", "--output-format=concise", f"--python={sys.prefix}"],
}


def complaints(checker: str, file: Path) -> set[int]:
    """Return the numbers of the lines that a type checker complains about."""
    if find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed here")
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = re.findall(rf"{file.name}:(\d+):.*error", done.stdout)
    assert bool(found) == (done.returncode == 1), done.stdout
    return {int(line) for line in found}


@pytest.mark.parametrize("checker", CHECKERS)
def test_parameters_and_results_are_seen_through_every_decorator(checker: str) -> None:
    unknown = {line for line, text in numbered(RIGHT.read_text()) if text.endswith("# not ty")}
    assert complaints(checker, RIGHT) <= (unknown if checker == "ty" else set())


@pytest.mark.parametrize("checker", CHECKERS)
def test_wrong_calls_are_refused(checker: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong_types.py"
    file.write_text(WRONG)
    ends = ("# wrong",) if checker == "ty" else ("# wrong", "# wrong, not ty")
    marked = {line for line, text in numbered(WRONG) if text.endswith(ends)}
    assert complaints(checker, file) == marked


def numbered(text: str) -> list[tuple[int, str]]:
    return list(enumerate(text.splitlines(), 1))
