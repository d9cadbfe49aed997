"""The tables of options in the documentation, as the table in the code has them.

`python -m tests.docs.option_tables` writes them into the pages.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.entry import MISSING
from dualcache.options.option import Part, Where
from dualcache.options.table import OPTIONS, names
from tests.docs.pages import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dualcache.options.option import Option

HEADER: Final = "| option | default | meaning |\n|---|---|---|\n"
TABLE: Final = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


class OptionTable(NamedTuple):
    """One table: the first one below a heading of a page."""

    page: Path
    heading: str
    names: tuple[str, ...]
    default_of: Callable[[Option], str]

    def rendered(self) -> str:
        """Return the table as it should be."""
        rows = [self._row(OPTIONS[name]) for name in self.names]
        return HEADER + "".join(rows)

    def _row(self, option: Option) -> str:
        spellings = option.spellings if self.default_of is of_function else ()
        name = ", ".join(f"`{each}`" for each in (option.name, *spellings))
        default = self.default_of(option)
        return f"| {name} | {default}{' ' * bool(default)}| {option.line} |\n"

    def written(self) -> str:
        """Return the table as it stands in the page."""
        return self._found().group()

    def write(self) -> None:
        """Put the table as it should be into the page."""
        found = self._found()
        text = found.string[: found.start()] + self.rendered() + found.string[found.end() :]
        self.page.write_text(text, "utf-8")

    def _found(self) -> re.Match[str]:
        text = self.page.read_text("utf-8")
        found = TABLE.search(text, text.index(f"\n{self.heading}\n"))
        assert found is not None
        return found


def in_python(option: Option) -> str:
    """Return a default as it is written in Python."""
    default: Any = option.default
    if default is MISSING:
        return ""
    text = default.__name__ if isinstance(default, type) else repr(default)
    return "`" + text.replace("'", '"') + "`"


def of_function(option: Option) -> str:
    """Return what holds for a function: the value of its cache, where that has one."""
    return "the cache's" if Where.CACHE in option.where else in_python(option)


def in_url(option: Option) -> str:
    """Return a default as it is written in a URL."""
    default = option.default
    if default is None:
        return ""
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


REFERENCE: Final = ROOT / "docs/reference.md"
URL: Final = names(Where.URL)
TABLES: Final = (
    OptionTable(
        REFERENCE,
        "## `Cache`",
        tuple(name for name in names(Where.CACHE) if name not in URL),
        in_python,
    ),
    OptionTable(REFERENCE, "## Decorating a function", names(Where.DECORATOR), of_function),
    OptionTable(REFERENCE, "### Functions of many values", names(Where.MANY), in_python),
    OptionTable(REFERENCE, "### Endpoints", names(Where.ENDPOINT, Part.ENDPOINT), in_python),
    OptionTable(ROOT / "docs/configuration.md", "## Options of the connection", URL, in_url),
)

if __name__ == "__main__":
    for table in TABLES:
        table.write()
