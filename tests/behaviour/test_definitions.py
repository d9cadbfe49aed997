"""Functions that are defined again, and functions of scripts."""

from __future__ import annotations

import functools
import importlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from dualcache import Cache, UsageError
from tests.docs.pages import ROOT
from tests.patience import patient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

SCRIPT = """
from dualcache import Cache
cache = Cache("null://")
@cache
def report(day): ...
if __name__ == "__main__":
    print(report.key_for("today"))
"""


def kept(function: Any) -> Any:
    """Decorate as a library does, with functools.wraps."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Session:
    """A REPL or a notebook: source is typed in, and refers to a cache."""

    def __init__(self, cache: Cache) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "cache": cache}
        self._cells = 0

    def run(self, source: str) -> None:
        self._cells += 1
        exec(compile(source, f"<cell-{self._cells}>", "exec"), self.names)

    def __call__(self, *args: Any) -> Any:
        return self.names["f"](*args)


@pytest.fixture(params=[None, 100])
def session(request: pytest.FixtureRequest) -> Any:
    with Cache("memory://", front=request.param) as cache:
        yield Session(cache)


DECORATORS = ["@cache", '@cache(key="own:{n}")', '@cache(name="own")', '@cache(tags=["all"])']


@pytest.mark.parametrize("decorator", DECORATORS)
def test_a_function_that_is_typed_in_again_forgets_what_the_one_before_stored(
    session: Session, decorator: str
) -> None:
    session.run(f"{decorator}\ndef f(n): return n")
    assert [session(1), session(2)] == [1, 2]
    session.run(f"{decorator}\ndef f(n): return -n")
    assert [session(1), session(2), session(1)] == [-1, -2, -1]
    assert session.names["f"].cache_info().misses == 2


def test_the_same_cell_run_again_begins_anew(session: Session) -> None:
    cell = "rate = {}\n@cache\ndef f(n): return n * rate"
    session.run(cell.format(2))
    assert session(1) == 2
    session.run(cell.format(3))
    assert session(1) == 3


def test_entries_go_however_often_the_function_was_typed_in_between(session: Session) -> None:
    session.run('@cache(key="a:{n}")\ndef f(n): return "first"')
    assert session(1) == "first"
    session.run('@cache(key="b:{n}")\ndef f(n): return "second"')
    session.run("del f")
    session.run('@cache(key="a:{n}")\ndef f(n): return "third"')
    assert session(1) == "third"


def test_a_decorator_beneath_hides_no_new_definition(session: Session) -> None:
    session.names["kept"] = kept
    session.run("@cache\n@kept\ndef f(n): return n")
    assert session(1) == 1
    session.run("@cache\n@kept\ndef f(n): return -n")
    assert session(1) == -1


def test_handles_of_the_new_function_do_not_see_old_entries(session: Session) -> None:
    session.run("@cache\ndef f(n): return n")
    assert session(1) == 1
    session.run("@cache\ndef f(n): return -n")
    assert session.names["f"].peek(1) is None


def test_two_typed_in_functions_of_two_names_keep_their_entries(session: Session) -> None:
    session.run("@cache\ndef f(n): return n")
    session.run("@cache\ndef g(n): return -n")
    session.run("one, other = (cache(name=str(k))(lambda n, k=k: n + k) for k in (10, 20))")
    names = session.names
    assert [session(1), names["g"](1), names["one"](1), names["other"](1)] == [1, -1, 11, 21]
    assert [session(1), names["g"](1), names["one"](1), names["other"](1)] == [1, -1, 11, 21]
    assert names["g"].cache_info().hits == 1


def test_a_factory_that_is_typed_in_makes_one_function_per_name(session: Session) -> None:
    session.run("def make(k):\n @cache\n def f(n): return n + k\n return f\nf = make(1)")
    assert session(1) == 2
    with pytest.raises(UsageError, match="another function"):
        session.run("g = make(2)")
    session.run("f = make(1)")
    assert session(1) == 2


def test_on_a_server_a_typed_in_function_replaces_the_one_before(redis_server: Server) -> None:
    with Cache(patient(redis_server.url), namespace="shop") as cache:
        session = Session(cache)
        with pytest.raises(UsageError, match="needs a key or a name"):
            session.run("@cache\ndef f(n): return n")
        session.run('@cache(key="own:{n}")\ndef f(n): return n')
        assert session(1) == 1
        session.run('@cache(key="own:{n}")\ndef f(n): return -n')
        assert session(1) == session(1) == -1


def test_a_module_that_is_loaded_again_replaces_its_functions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "cache_of_rates.py").write_text(
        'from dualcache import Cache\ncache = Cache("memory://")\n'
    )
    rates = tmp_path / "reloaded_rates.py"
    rates.write_text("from cache_of_rates import cache\n@cache\ndef f(n): return n\n")
    module: Any = importlib.import_module("reloaded_rates")
    assert module.f(1) == 1
    rates.write_text("from cache_of_rates import cache\n\n@cache\ndef f(n): return -n  # later\n")
    importlib.invalidate_caches()
    assert importlib.reload(module).f(1) == -1
    rates.write_text(rates.read_text() + "@cache\ndef f(n): return 0\n")
    with pytest.raises(UsageError, match="another function of this cache") as caught:
        importlib.reload(module)
    assert "or rename f" in caught.value.help


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["scripts/job.py"], "job.report"),
        (["-m", "scripts.job"], "scripts.job.report"),
        (["-m", "scripts"], "scripts.__main__.report"),
        (["scripts"], "scripts.__main__.report"),
        (["scripts/my job.py"], "my%20job.report"),
    ],
)
def test_a_function_of_a_script_is_named_by_its_file(
    tmp_path: Path, arguments: list[str], name: str
) -> None:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for file in ("job.py", "__main__.py", "my job.py"):
        (folder / file).write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{name}:'today'\n"


def test_a_child_of_multiprocessing_finds_the_entries_of_the_main_module(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text(
        SCRIPT.rpartition("if __name__")[0]
        + "def ask(): return report.key_for('today')\n"
        + "if __name__ == '__main__':\n"
        + "    import multiprocessing\n"
        + "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        + "        print(pool.apply(ask) == ask())\n"
    )
    done = subprocess.run(
        [sys.executable, "job.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_function_that_is_made_again_and_again_is_held_once() -> None:
    def make(cache: Cache) -> Any:
        @cache(key="n:{n}")
        def load(n: int) -> int:
            return n

        return load

    with Cache("memory://") as cache:
        kept = [make(cache) for _ in range(20)]
        (definition,) = cache._runtime.definitions._by_name.values()
        assert len(definition.holders) == 1
        assert kept[0](1) == kept[-1](1) == 1
