"""What the names of a module stand for: imports, and objects made of what is imported."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from dualcache.cli.migration.rules import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME: Final = {theirs: name for library in LIBRARIES for theirs, name in library.same.items()}
RETURNS: Final = {theirs: kind for library in LIBRARIES for theirs, kind in library.returns.items()}
RULES: Final = {rule.name: rule for library in LIBRARIES for rule in library.rules}
ROOTS: Final = {name.partition(".")[0] for name in (*RULES, *SAME, *RETURNS)} - {"app"}
BOILERPLATE: Final = "core.utils.cache"
"""The module of the boilerplate, wherever a project has put it."""


class Names:
    """The names of one module, by their text in the source: `cache`, `self.region`."""

    def __init__(self, package: str, exported: Mapping[str, Mapping[str, str]]) -> None:
        self.package = package
        self.known: dict[str, str] = {}
        self._exported = exported

    def learn(self, tree: ast.Module) -> None:
        """Learn what is imported and assigned, wherever in the module."""
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                self._learn_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._learn_import_from(node)
        # Assignments may need names that are imported further down, in a function for example.
        for node in nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._learn_object(target, node.value)
            elif isinstance(node, ast.AnnAssign) and node.value is not None:
                self._learn_object(node.target, node.value)
        for node in nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                self._learn_function(node)

    def full_name(self, node: ast.expr) -> str:
        """Return the full name of what an expression stands for, or an empty text."""
        if found := self.known.get(ast.unparse(node)):
            return found
        if isinstance(node, ast.Attribute):
            owner = self.full_name(node.value)
            return same(f"{owner}.{node.attr}") if owner else ""
        if isinstance(node, ast.Call):
            made = self.full_name(node.func)
            return RETURNS.get(made, made if is_class(made) else "")
        return ""

    def _learn_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] in ROOTS:
                if alias.asname:
                    self.known[alias.asname] = same(alias.name)
                else:
                    root = alias.name.partition(".")[0]
                    self.known[root] = root

    def _learn_import_from(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node)
        for alias in node.names:
            name = alias.asname or alias.name
            if module.partition(".")[0] in ROOTS:
                self.known[name] = same(f"{module}.{alias.name}")
            elif module == BOILERPLATE or module.endswith(f".{BOILERPLATE}"):
                self.known[name] = f"app.{BOILERPLATE}.{alias.name}"
            elif found := self._from_code_base(module, alias.name):
                self.known[name] = found

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.package.split(".") if self.package else []
        above = parts[: len(parts) - node.level + 1]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _from_code_base(self, module: str, name: str) -> str:
        # A code base may be checked from above its source root, so the end of the name decides.
        for path, names in self._exported.items():
            if path == module or path.endswith(f".{module}"):
                return names.get(name, "")
        return ""

    def _learn_object(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name | ast.Attribute) and (found := self.full_name(value)):
            self.known[ast.unparse(target)] = found

    def _learn_function(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Learn a decorated function whose handles have rules, as in `get_user.cache.pop(key)`."""
        for each in function.decorator_list:
            decorator = self.full_name(each.func if isinstance(each, ast.Call) else each)
            if is_class(f"{decorator}()"):
                self.known[function.name] = f"{decorator}()"


def same(name: str) -> str:
    """Return the name by which the rules know this one."""
    return SAME.get(name, name)


def is_class(name: str) -> bool:
    """Tell whether calling this makes an object whose methods have rules."""
    return any(rule.startswith(f"{name}.") for rule in RULES)
