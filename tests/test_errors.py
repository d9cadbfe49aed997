"""Codes, shape and safety of every error that the package raises."""

from __future__ import annotations

import ast
import pickle
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

import dualcache
from dualcache import DualCacheError
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE: Final = ROOT / "dualcache"
CODE: Final = re.compile(r"DC\d{3}")
TOLD: Final = re.compile(r"\[(DC\d{3})\] ")
"""How a warning begins."""
SHARED: Final = {
    "DC102": "a name is no parameter: in a template, and as the id of an endpoint",
    "DC106": "a name is empty: as it is given, and as its template makes it",
    "DC110": "an argument has no canonical form: found by the form, named by the function",
    "DC203": "a server is in no state to serve: it says so, and a node's view of its cluster does",
    "DC151": "an option is not known: of a decorator or URL, and of Cache",
    "DC152": "a value has the wrong type: of an option, and of a variable of settings",
    "DC154": "an option is not callable: of the policy, and of the names",
    "DC161": "a URL cannot be read: as a whole, and one option's text",
    "DC188": "two places are named: a URL's and a client's, and those of two clients",
    "DC200": "the server cannot be reached: by a new connection, and by one in use",
    "DC201": "no answer in time: from redis-py, and from the watchdog",
    "DC204": "an answer that makes no sense: in its bytes, its order or its type",
    "DC210": "no push came: by one transport, and by all that were tried",
    "DC300": "a value that no form keeps: what the whole is told, and what the part is",
    "DC311": "a payload that is no value: whichever form reads it",
    "DC317": "a credential provider fails: that of a server, and that of the Sentinels",
    "DC324": "a server is no master: when it is connected, and when it has taken a deletion",
    "DC405": "a route that writes is cached: told at the start, and at the first call",
    "DC413": "a route is registered beneath the decorator: of a function, and of HTTP mode",
    "DC422": "a function of many values returns no mapping: by its annotation, and by its result",
}
"""Codes that several modules raise, and the one meaning that they have there."""
SECRETS: Final = re.compile(r"password|passwd|secret|user_info|credential|payload|raw\b|^value$")
HARMLESS: Final = {
    "type",
    "len",
    "_name",
    "_a",
    "__name__",
    "__qualname__",
    "__module__",
    "subject",
}
ERRORS: Final = [
    kind
    for name in dualcache.__all__
    if isinstance(kind := getattr(dualcache, name), type) and issubclass(kind, DualCacheError)
]


class Raised(NamedTuple):
    code: str
    path: str
    line: int


def codes_in(path: Path) -> list[Raised]:
    """Find the codes that a module gives to errors and warnings; one it compares with is none."""
    name = str(path.relative_to(PACKAGE))
    found: list[Raised] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        given: list[ast.AST] = []
        if isinstance(node, ast.keyword) and node.arg == "code":
            given = [node.value]
        elif isinstance(node, ast.FunctionDef):
            given = [default for default in node.args.kw_defaults if default is not None]
        if isinstance(node, ast.Constant) and (told := TOLD.match(str(node.value))):
            found.append(Raised(told[1], name, node.lineno))
        for place in given:
            found += [
                Raised(str(leaf.value), name, leaf.lineno)
                for leaf in ast.walk(place)
                if isinstance(leaf, ast.Constant) and CODE.fullmatch(str(leaf.value))
            ]
    return found


RAISED: Final = [one for path in sorted(PACKAGE.rglob("*.py")) for one in codes_in(path)]


def test_a_code_has_one_meaning_wherever_it_is_raised() -> None:
    modules: dict[str, set[str]] = defaultdict(set)
    for one in RAISED:
        modules[one.code].add(one.path)
    several = {code: sorted(paths) for code, paths in modules.items() if len(paths) > 1}
    assert {code: paths for code, paths in several.items() if code not in SHARED} == {}
    assert sorted(SHARED.keys() - several.keys()) == []


def test_every_code_is_explained_and_every_explained_code_is_raised() -> None:
    explained = re.findall(
        r"^### (\S+)$", (ROOT / "docs/errors.md").read_text("utf-8"), re.MULTILINE
    )
    assert explained == sorted(set(explained))
    assert {one.code for one in RAISED} == set(explained)


def test_an_explanation_says_what_and_how_to_fix_it() -> None:
    text = (ROOT / "docs/errors.md").read_text("utf-8")
    for code, body in re.findall(r"^### (DC\d+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        assert "**What:**" in body, code
        assert re.search(r"\*\*Fix:\*\*", body), code


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_no_message_is_made_of_a_value_or_a_secret(path: Path) -> None:
    suspicious: list[str] = []
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(call, ast.Call) or not any(word.arg == "code" for word in call.keywords):
            continue
        suspicious += [
            f"{path.name}:{shown.lineno}: {ast.unparse(shown.value)}"
            for shown in ast.walk(call)
            if isinstance(shown, ast.FormattedValue) and is_telling(shown.value)
        ]
    assert suspicious == []


def is_telling(node: ast.expr) -> bool:
    """Tell whether an expression may show a value: one of those names, not only its type."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in HARMLESS:
        return False
    if isinstance(node, ast.Attribute):
        return node.attr not in HARMLESS and bool(SECRETS.search(node.attr))
    return isinstance(node, ast.Name) and bool(SECRETS.search(node.id))


def made(kind: type[DualCacheError]) -> DualCacheError:
    return kind("it broke", code="DC999", details=[("where", "here")], help="fix it")


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_survives_pickling_with_all_it_tells(kind: type[DualCacheError]) -> None:
    error = made(kind)
    error.prefix = "OOM"  # type: ignore[attr-defined]  # set on some kinds only
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copy = pickle.loads(pickle.dumps(error, protocol))
        assert type(copy) is kind
        assert vars(copy) == vars(error)
        assert (str(copy), copy.args) == (str(error), error.args)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_shows_its_code_its_details_and_the_fix(kind: type[DualCacheError]) -> None:
    assert str(made(kind)) == "[DC999] it broke\n  where     here\n  help      fix it"


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_named_after_the_package(kind: type[DualCacheError]) -> None:
    assert kind.__module__ == "dualcache"


def test_errors_are_caught_by_the_builtin_that_fits() -> None:
    assert issubclass(dualcache.UsageError, ValueError)
    assert issubclass(dualcache.UnkeyableArgument, TypeError)
    assert issubclass(dualcache.UnencodableValue, TypeError)
    assert issubclass(dualcache.BackendUnavailable, ConnectionError)
    assert issubclass(dualcache.BackendTimeout, TimeoutError)
    assert issubclass(dualcache.LoaderTimeout, TimeoutError)


def test_every_error_of_the_tree_is_public() -> None:
    def below(kind: type[DualCacheError]) -> set[type[DualCacheError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    ours = {kind for kind in below(DualCacheError) if kind.__module__ == "dualcache"}
    assert ours == set(ERRORS)
