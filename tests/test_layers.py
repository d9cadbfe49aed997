"""Who may import whom, and how long a file or a function may be."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE: Final = Path(__file__).parent.parent / "dualcache"
FILES: Final = sorted(PACKAGE.rglob("*.py"))

ROOT: Final = "<root>"

FLOORS: Final = (
    {"errors"},
    {"core", "keys"},
    {"typing", "typing_handles"},
    {"engine", "options", "codecs"},
    {"drivers", "backends", "front", "observability", "frameworks"},
    {"configuration"},
    {"runtime"},
    {"functions", "endpoints", "operations", "direct_calls"},
    {"cache", "sync_face", "async_cache"},
)
"""The house, from the ground up: a part imports its own modules and whatever is below it."""
SIBLINGS: Final = {
    "keys": {"core"},
    "typing": {"typing_handles"},
    "typing_handles": {"typing"},
    "codecs": {"options"},
    "backends": {"front"},
    "front": {"drivers", "observability"},
    "endpoints": {"functions"},
    "operations": {"direct_calls"},
    "cache": {"sync_face", "async_cache"},
}
"""Parts of one floor that a part may import besides."""
OUTER: Final = {"testing", "integrations", "http", "cli", "dashboard"}
"""What stands on the public root, as programs of users do."""


def allowed() -> dict[str, set[str]]:
    """Return for each part the other parts it may import; its own modules it may import always."""
    found: dict[str, set[str]] = {}
    below: set[str] = set()
    for floor in FLOORS:
        for part in floor:
            found[part] = below | SIBLINGS.get(part, set())
        below = below | floor
    found[ROOT] = below
    found.update({part: {ROOT} for part in OUTER})
    return {**found, "__main__": {"cli"}}


ALLOWED: Final = allowed()

EFFECTS: Final = {"asyncio", "threading", "time", "random", "secrets", "socket", "os", "logging"}
LIBRARIES: Final = {"redis", "anyio", "cachetools"}
FORBIDDEN: Final = {
    "core": EFFECTS | LIBRARIES,
    "keys": EFFECTS | LIBRARIES,
    "engine": EFFECTS | LIBRARIES,
    "options": EFFECTS | LIBRARIES,
    "backends/redis/wire": EFFECTS | LIBRARIES,
    "backends/redis/push/protocol": EFFECTS | LIBRARIES,
    "backends/redis/push/transports": EFFECTS | LIBRARIES,
    "drivers": {"redis"},
    "front": {"redis", "anyio"},
    "codecs": {"redis", "anyio"},
    "sync_": {"asyncio", "anyio"},
}
"""Modules from elsewhere that a part, a folder, a file, or all files of a prefix never import."""

FILE_LINES: Final = 300
FUNCTION_LINES: Final = 40
LONGER_WITH_REASON: Final[dict[str, str]] = {
    "engine/load.py:_share": "one loop over what a caller may find, and its reasons",
    "engine/batch.py": "one batch from joining to landing: each step gives back what it may hold",
}
"""`path` or `path:function`, and why it is better whole."""


class Import(NamedTuple):
    line: int
    module: str
    is_typing_only: bool


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    name = path.relative_to(PACKAGE)
    found = imports_of(ast.parse(path.read_text("utf-8")), name)
    violations = [f"{name}:{one.line}: {why}" for one in found if (why := violation(name, one))]
    violations = list(dict.fromkeys(violations))
    assert part_of(name) in ALLOWED, f"{name} is in no layer: move it, or name it in ALLOWED"
    assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    name = str(path.relative_to(PACKAGE))
    text = path.read_text("utf-8")
    lengths = {name: (text.count("\n"), FILE_LINES)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lengths[f"{name}:{node.name}"] = (lines_of(node), FUNCTION_LINES)
    too_long = [
        f"{what} has {lines} lines, more than {limit}"
        for what, (lines, limit) in lengths.items()
        if lines > limit and what not in LONGER_WITH_REASON
    ]
    assert not too_long, "\n" + "\n".join(too_long)


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.parent.name in {"core", "engine"} and path.stem != "__init__"],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_a_module_of_the_core_lists_its_public_names_and_underscores_the_others(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    listed = [
        set(ast.literal_eval(node.value))
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert len(listed) == 1
    assert defined <= listed[0]


def test_every_exception_from_the_limits_still_exists() -> None:
    present = {str(path.relative_to(PACKAGE)) for path in FILES}
    assert {what.partition(":")[0] for what in LONGER_WITH_REASON} <= present


@pytest.mark.parametrize(
    ("name", "code"),
    [
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
        ("integrations/flask.py", "from dualcache.testing import FakeCache"),
        ("__init__.py", "from dualcache.cli import main"),
        ("errors.py", "from dualcache.core.entry import Entry"),
        ("drivers/pauses.py", "if TYPE_CHECKING:\n from dualcache.cache import Cache"),
        ("elsewhere.py", "import dualcache.errors"),
    ],
)
def test_the_rules_find_what_they_forbid(name: str, code: str) -> None:
    assert [one for one in imports_of(ast.parse(code), Path(name)) if violation(Path(name), one)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("core/entry.py", "from dualcache.errors import UsageError\nfrom . import ops"),
        ("engine/read.py", "from dualcache.core.ops import Look\nfrom dualcache.engine import env"),
        ("typing.py", "if TYPE_CHECKING:\n from dualcache.core.events import Event"),
        ("front/store.py", "import cachetools, threading, time"),
        ("drivers/async_driver.py", "import asyncio, anyio"),
        ("cache.py", "from dualcache.backends.memory import MemoryStore"),
        ("cli/main.py", "from dualcache import Cache\nfrom dualcache.cli.words import plural"),
        ("__init__.py", "from dualcache.cache import Cache"),
    ],
)
def test_the_rules_let_pass_what_they_allow(name: str, code: str) -> None:
    found = list(imports_of(ast.parse(code), Path(name)))
    assert found
    assert not [one for one in found if violation(Path(name), one)]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of the body, without the docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


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
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        for module in modules_named(node, path):
            yield Import(getattr(node, "lineno", 0), module, id(node) in typing_only)


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
