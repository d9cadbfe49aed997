"""Who may import whom, and how long a file or a function may be."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).parent.parent / "dualcache"
SOURCES: Final = {
    path.relative_to(PACKAGE): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))
}
TREES: Final = {path: ast.parse(text) for path, text in SOURCES.items()}

ROOT: Final = "<root>"

FLOORS: Final = (
    {"errors"},
    {"core"},
    {"keys", "typing_handles", "typing_options"},
    {"typing"},
    {"options"},
    {"engine", "codecs"},
    {"drivers", "observability", "frameworks"},
    {"front"},
    {"backends"},
    {"configuration"},
    {"runtime"},
    {"functions", "operations"},
    {"endpoints"},
    {"http"},
    {"sync_face", "async_cache", "observed_face"},
    {"cache"},
)
"""The house, from the ground up: a part imports its own modules and whatever is below it."""
OUTER: Final = {"testing", "integrations", "doctor", "inspection", "cli", "dashboard"}
"""What stands on the public root, as programs of users do."""


def allowed() -> dict[str, set[str]]:
    """Return for each part the other parts it may import; its own modules it may import always."""
    found: dict[str, set[str]] = {}
    below: set[str] = set()
    for floor in FLOORS:
        found.update({part: set(below) for part in floor})
        below |= floor
    found[ROOT] = below
    found.update({part: {ROOT} for part in OUTER})
    found.update({part: {ROOT, "doctor", "inspection"} for part in ("dashboard", "cli")})
    found["cli"] |= {"dashboard"}
    # Types for annotations; and Flask has commands of its own, to which ours are added.
    found["integrations"] |= {"typing", "cli"}
    return {**found, "__main__": {"cli"}}


ALLOWED: Final = allowed()

EFFECTS: Final = {"asyncio", "threading", "time", "random", "secrets", "socket", "os", "logging"}
LIBRARIES: Final = {"redis", "anyio", "trio", "cachetools"}
FORBIDDEN: Final = {
    "core": EFFECTS | LIBRARIES,
    "keys": EFFECTS | LIBRARIES,
    "engine": EFFECTS | LIBRARIES,
    "options": EFFECTS | LIBRARIES,
    "backends/redis/wire": EFFECTS | LIBRARIES,
    "backends/redis/push/protocol": EFFECTS | LIBRARIES,
    "backends/redis/push/transports": EFFECTS | LIBRARIES,
    "drivers": {"redis"},
    "front": {"redis", "anyio", "trio"},
    "codecs": {"redis", "anyio", "trio"},
    "sync_": {"asyncio", "anyio", "trio"},
}
"""Modules from elsewhere that a part, a folder, a file, or all files of a prefix never import."""

FILE_LINES: Final = 300
FUNCTION_LINES: Final = 40
LONGER_WITH_REASON: Final[dict[str, str]] = {
    "core/envelope.py": "the layout of the stored form, spelled and read in one place",
    "options/table.py": "every option once, in one table",
    "engine/load.py:_share": "one loop over what a caller may find, and its reasons",
    "cli/migration/rules.py": "a table: a row for each name of other caches",
    "engine/lead.py": "one load from the right to store it to its outcome",
}
"""`path` or `path:function`, and why it is better whole."""
NAMED: Final = {
    "core",
    "engine",
    "codecs",
    "keys",
    "frameworks",
    "runtime",
    "functions",
    "endpoints",
    "observability",
    "drivers",
    "backends",
    "redis",
    "wire",
    "push",
    "front",
}
"""Folders whose modules say in `__all__` which of their names are for others."""

FORBIDDEN_IMPORTS: Final = (
    ("keys/names.py", "import time"),
    ("keys/names.py", "from dualcache.engine import read"),
    ("keys/names.py", "from ..engine import read"),
    ("keys/names.py", "from dualcache import engine"),
    ("keys/names.py", "import dualcache"),
    ("keys/names.py", "from dualcache import Cache"),
    ("keys/names.py", "from .. import Cache"),
    ("engine/read.py", "def f():\n from os import path"),
    ("engine/read.py", "from dualcache.backends.redis.wire.ops import encode"),
    ("core/entry.py", "if TYPE_CHECKING:\n from dualcache.engine import env"),
    ("engine/read.py", "import importlib\nimportlib.import_module('redis.asyncio')"),
    ("backends/redis/wire/ops.py", "import redis.exceptions"),
    ("engine/read.py", "from dualcache.drivers import pauses"),
    ("backends/memory.py", "import dualcache.cache"),
    ("drivers/sync_driver.py", "import anyio"),
    ("front/store.py", "import anyio"),
    ("front/tier.py", "from dualcache.backends.redis.push.listener import Listener"),
    ("backends/redis/push/protocol.py", "import secrets"),
    ("codecs/json.py", "from dualcache.front.store import Front"),
    ("functions/compile.py", "import dualcache.integrations.flask"),
    ("cache.py", "from dualcache.cli import main"),
    ("cli/main.py", "from dualcache.keys.names import key"),
    ("doctor/rights.py", "from dualcache.cli import main"),
    ("integrations/flask.py", "from dualcache.testing import FakeCache"),
    ("dashboard/app.py", "from dualcache.cli import main"),
    ("dashboard/app.py", "from dualcache.core.events import Hit"),
    ("inspection/settings.py", "from dualcache.doctor import examine"),
    ("__init__.py", "from dualcache.cli import main"),
    ("errors.py", "from dualcache.core.entry import Entry"),
    ("drivers/pauses.py", "if TYPE_CHECKING:\n from dualcache.cache import Cache"),
    ("elsewhere.py", "import dualcache.errors"),
)
"""Imports that break a rule, each in a file where it does."""
ALLOWED_IMPORTS: Final = (
    ("core/entry.py", "from dualcache.errors import UsageError\nfrom . import ops"),
    ("engine/read.py", "from dualcache.core.ops import Look\nfrom dualcache.engine import env"),
    ("typing.py", "if TYPE_CHECKING:\n from dualcache.core.events import Event"),
    ("front/store.py", "import cachetools, threading, time"),
    ("drivers/async_driver.py", "import asyncio, anyio"),
    ("cache.py", "from dualcache.backends.memory import MemoryStore"),
    ("cli/main.py", "from dualcache import Cache\nfrom dualcache.cli.words import plural"),
    ("cli/doctor.py", "from dualcache.doctor import examine"),
    ("__init__.py", "from dualcache.cache import Cache"),
)


class Import(NamedTuple):
    line: int
    module: str


def test_imports_only_lead_down() -> None:
    homeless = {str(path) for path in TREES if part_of(path) not in ALLOWED}
    assert not homeless, f"in no layer: move them, or name them in FLOORS: {homeless}"
    violations = {
        f"{path}:{found.line}: {why}": None
        for path, tree in TREES.items()
        for found in imports_of(tree, path)
        if (why := violation(path, found))
    }
    assert not violations, "\n" + "\n".join(violations)


def test_trio_is_imported_where_it_runs_and_nowhere_else() -> None:
    importing = {
        str(path)
        for path, tree in TREES.items()
        if any(found.module.partition(".")[0] == "trio" for found in imports_of(tree, path))
    }
    assert importing == {"drivers/trio_loop.py", "backends/redis/trio_threads.py"}


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports for types alone count: who reads one module of a circle has to read all of them."""
    known = {module_of(path) for path in TREES}
    graph = {
        module_of(path): {
            found.module if found.module in known else found.module.rpartition(".")[0]
            for found in imports_of(tree, path)
        }
        for path, tree in TREES.items()
    }
    graph = {module: found & known - {module} for module, found in graph.items()}
    circles = circles_in(graph)
    assert not circles, "\n" + "\n".join(" ↔ ".join(circle) for circle in circles)


def test_files_and_functions_stay_short() -> None:
    lengths: dict[str, tuple[int, int]] = {}
    for path, tree in TREES.items():
        lengths[str(path)] = (SOURCES[path].count("\n"), FILE_LINES)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[f"{path}:{node.name}"] = (lines_of(node), FUNCTION_LINES)
    too_long = [
        f"{what} has {lines} lines, more than {limit}"
        for what, (lines, limit) in lengths.items()
        if lines > limit and what not in LONGER_WITH_REASON
    ]
    assert not too_long, "\n" + "\n".join(too_long)


def test_modules_list_their_public_names_and_underscore_the_others() -> None:
    unlisted = [
        f"{path}: {name}"
        for path, tree in TREES.items()
        if path.parent.name in NAMED and path.stem != "__init__"
        for name in sorted(public_in(tree) - listed_in(tree))
    ]
    assert not unlisted, "\n" + "\n".join(unlisted)


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str](), "e": {"e"}}
    assert circles_in(graph) == [["b", "c"], ["e"]]


def test_every_exception_from_the_limits_still_exists() -> None:
    assert {Path(what.partition(":")[0]) for what in LONGER_WITH_REASON} <= TREES.keys()


def test_the_rules_find_what_they_forbid() -> None:
    assert [case for case in FORBIDDEN_IMPORTS if not violations_of(*case)] == []


def test_the_rules_let_pass_what_they_allow() -> None:
    assert [case for case in ALLOWED_IMPORTS if violations_of(*case)] == []


def public_in(tree: ast.Module) -> set[str]:
    names = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    return {name for name in names if not name.startswith("_")}


def listed_in(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def module_of(path: Path) -> str:
    parts = ("dualcache", *path.with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles_in(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the sets of modules each of which reaches all the others."""
    reached = {module: reachable(module, graph) for module in graph}
    found = {
        frozenset(other for other in reached[module] if module in reached[other])
        for module in graph
        if module in reached[module]
    }
    return sorted(sorted(circle) for circle in found)


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting += new
    return seen


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of the body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def violations_of(name: str, code: str) -> list[str]:
    found = list(imports_of(ast.parse(code), Path(name)))
    assert found, code
    return [why for one in found if (why := violation(Path(name), one))]


def violation(path: Path, found: Import) -> str | None:
    """Say why the file at `path` may not have this import, or `None`."""
    top, *rest = found.module.split(".")
    here = part_of(path)
    if top != "dualcache":
        file, folder = path.with_suffix("").as_posix(), path.parent.as_posix()
        keys = [here, folder, file, path.name[: path.name.find("_") + 1]]
        forbidden = set[str]().union(*(FORBIDDEN.get(key, set()) for key in keys))
        return f"{here} never imports {top}" if top in forbidden else None
    there = rest[0] if rest and (rest[0] in ALLOWED) else ROOT
    if here not in ALLOWED:
        return f"{here} has no place in the layers"
    if there == here and here != ROOT:
        return None
    return None if there in ALLOWED[here] else f"{here} never imports {there} ({found.module})"


def part_of(path: Path) -> str:
    first = path.parts[0].removesuffix(".py")
    return ROOT if first == "__init__" else first


def imports_of(tree: ast.Module, path: Path) -> Iterator[Import]:
    """Find every import, at whatever depth, with relative ones made absolute."""
    for node in ast.walk(tree):
        for module in modules_named(node, path):
            yield Import(getattr(node, "lineno", 0), module)


def modules_named(node: ast.AST, path: Path) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            package = ["dualcache", *path.parts[:-1]]
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            # `from dualcache import core` names a part, `from dualcache import Cache` the root.
            return [f"{source}.{alias.name}" for alias in node.names]
        case ast.Call(args=[ast.Constant(value=str(name)), *_]):
            called = ast.unparse(node.func).split(".")[-1]
            return [name] if called in {"import_module", "__import__"} else []
        case _:
            return []
