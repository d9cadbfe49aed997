"""Finds the uses of other caches in Python source, and says what to write instead."""

from __future__ import annotations

import ast
import tokenize
from typing import TYPE_CHECKING, Final, NamedTuple

from dualcache.cli.migration.names import RULES, Names
from dualcache.cli.migration.rules import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from dualcache.cli.migration.rules import Argument, Rule

PAGE: Final = "https://dualcache.readthedocs.io/coming-from/"
LIBRARY_OF: Final = {rule.name: library for library in LIBRARIES for rule in library.rules}
SETTINGS: Final = {
    text: (written, library) for library in LIBRARIES for text, written in library.settings.items()
}
NAMES_OF_SETTINGS: Final = {"BACKEND", "CACHE_TYPE"}
ASKED: Final = {"key", "vary", "condition"}
"""Functions that take other arguments here: they have to be written anew."""
DURATIONS: Final = {"timeout", "cache_validation_callback"}
ELSEWHERE: Final = ast.Name("…")
"""Stands for what the call does not show."""
SKIPPED: Final = {".git", ".tox", ".venv", "venv", "node_modules", "site-packages", "__pycache__"}


class Finding(NamedTuple):
    """One use of another cache."""

    path: str
    line: int
    library: str
    found: str
    """The source, shortened."""
    write: str
    """What to write instead."""
    note: str
    page: str
    """The address of the page that explains the change."""


class Unreadable(NamedTuple):
    """A file that is no Python of this version."""

    path: str
    reason: str


def sources(root: Path) -> list[Path]:
    """Return the Python files below a folder, or the file itself; environments are left out."""
    if root.is_file():
        return [root]
    found = root.rglob("*.py")
    return sorted(path for path in found if not SKIPPED & {*path.relative_to(root).parts[:-1]})


def check(root: Path) -> tuple[list[Finding], list[Unreadable]]:
    """Return the uses below a folder, and the files that could not be read."""
    trees: dict[Path, ast.Module] = {}
    unreadable: list[Unreadable] = []
    for path in sources(root):
        try:
            with tokenize.open(path) as file:  # as Python does: with the encoding it declares
                trees[path] = ast.parse(file.read(), str(path))
        except (OSError, SyntaxError, ValueError) as error:
            unreadable.append(Unreadable(str(path), str(error)))
    exported: dict[str, Mapping[str, str]] = {}
    # Twice: a module may export what it has imported from another.
    for _ in range(2):
        for path, tree in trees.items():
            exported[module_of(path, root)] = names_of(path, tree, root, exported).known
    findings: list[Finding] = []
    for path, tree in trees.items():
        found = findings_in(path, tree, names_of(path, tree, root, exported))
        findings += sorted(found, key=lambda each: each.line)
    return findings, unreadable


def names_of(
    path: Path, tree: ast.Module, root: Path, exported: Mapping[str, Mapping[str, str]]
) -> Names:
    module = module_of(path, root)
    is_package = path.stem == "__init__"
    names = Names(module if is_package else module.rpartition(".")[0], exported)
    names.learn(tree)
    return names


def module_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root if root.is_dir() else root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def findings_in(path: Path, tree: ast.Module, names: Names) -> Iterator[Finding]:
    """Yield each use in one module, outermost first."""
    decorators = {
        id(each)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for each in node.decorator_list
    }
    inside: set[int] = set()
    """What belongs to a call that is found already: `region.get` within `region.get(key)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (rule := RULES.get(names.full_name(node.func))):
            inside |= {id(each) for each in ast.walk(node.func)}
            yield finding(path, node, rule, written(rule, node))
        elif (
            isinstance(node, ast.expr)
            and id(node) in decorators - inside
            and (rule := RULES.get(names.full_name(node)))
        ):
            yield finding(path, node, rule, rule.write)
        for line, value in values_of_settings(node):
            write, library = SETTINGS[value]
            page = f"{PAGE}{library.page}/"
            yield Finding(str(path), line, library.title, repr(value), write, "", page)


def values_of_settings(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and text where a dict, a keyword or an assignment names a known backend."""
    pairs: list[tuple[ast.expr | None, ast.expr]] = []
    if isinstance(node, ast.Dict):
        pairs = [*zip(node.keys, node.values, strict=True)]
    elif isinstance(node, ast.keyword):
        pairs = [(ast.Constant(node.arg), node.value)]
    elif isinstance(node, ast.Assign):
        pairs = [(name_of_setting(target), node.value) for target in node.targets]
    for name, value in pairs:
        is_setting = isinstance(name, ast.Constant) and name.value in NAMES_OF_SETTINGS
        text = value.value if isinstance(value, ast.Constant) else None
        if is_setting and isinstance(text, str) and text in SETTINGS:
            yield value.lineno, text


def name_of_setting(target: ast.expr) -> ast.expr:
    """Return the name in `CACHE_TYPE = …` and in `app.config["CACHE_TYPE"] = …`."""
    if isinstance(target, ast.Name):
        return ast.Constant(target.id)
    return target.slice if isinstance(target, ast.Subscript) else target


def finding(path: Path, node: ast.expr, rule: Rule, write: str) -> Finding:
    library = LIBRARY_OF[rule.name]
    found = " ".join(ast.unparse(node).split())
    shown = found if len(found) <= 70 else f"{found[:69]}…"
    page = f"{PAGE}{library.page}/"
    return Finding(str(path), node.lineno, library.title, shown, write, rule.note, page)


def written(rule: Rule, call: ast.Call) -> str:
    """Return the replacement of a call; a decorator takes the arguments along."""
    if not rule.write.startswith("@cache") or "(" in rule.write:
        return rule.write
    given = [one for argument in rule.arguments for one in renamed(argument, call)]
    return f"{rule.write}({', '.join(given)})" if given else rule.write


def renamed(argument: Argument, call: ast.Call) -> Sequence[str]:
    """Return an argument as it is written here; nothing if it is not given or not needed."""
    value = next((each.value for each in call.keywords if each.arg == argument.theirs), None)
    if value is None and argument.position is not None and argument.position < len(call.args):
        value = call.args[argument.position]
    if value is None or not argument.ours:
        return []
    if argument.theirs == "cache":
        value = ttl_of(value)  # cachetools keeps the lifetime in its cache: TTLCache(1024, ttl=600)
    elif argument.theirs in DURATIONS:
        value = duration_of(argument, value)
    if value is None or (argument.ours in ASKED and not isinstance(value, ast.Constant)):
        return [f"{argument.ours}=…"] if value is not None else []
    return [f"{argument.ours}={ast.unparse(value)}"]


def ttl_of(cache: ast.expr) -> ast.expr | None:
    """Return the lifetime of a cache of cachetools; `…` where it is made elsewhere."""
    if isinstance(cache, ast.Dict):
        return ast.Constant(None)
    if not isinstance(cache, ast.Call):
        return ELSEWHERE
    if not ast.unparse(cache.func).rpartition(".")[2].startswith("TTL"):
        return None
    named = [each.value for each in cache.keywords if each.arg == "ttl"]
    return named[0] if named else cache.args[1] if len(cache.args) > 1 else None


def duration_of(argument: Argument, value: ast.expr) -> ast.expr:
    """Return a lifetime as it is written here: `None` is for ever, and `timedelta` a duration."""
    if argument.theirs == "timeout" and isinstance(value, ast.Constant) and value.value == 0:
        return ast.Constant(None)
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("expires_after"):
        return ast.Call(ast.Name("timedelta"), value.args, value.keywords)
    return ELSEWHERE if argument.theirs == "cache_validation_callback" else value
