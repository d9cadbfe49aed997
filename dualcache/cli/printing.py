"""What commands print: text and tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNBOUNDED: Final = 100_000
"""Columns where the output is no terminal: programs that read it want whole lines."""


class Output:
    """Prints to stdout; colours and the width of the terminal only where there is one."""

    def __init__(self, *, is_json: bool) -> None:
        self.is_json = is_json
        self.console = console_on(sys.stdout)

    def line(self, text: str, style: str = "") -> None:
        """Print one line for people."""
        if not self.is_json:
            self.console.print(Text(text, style), soft_wrap=True)

    def document(self, value: Any) -> None:
        """Print a value as one line of JSON, where JSON is wanted."""
        if self.is_json:
            sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
            sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
        """Print rows for people; numbers, as their columns say by a leading `>`, at the right."""
        if self.is_json:
            return
        made = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
        for each in columns:
            is_number = each.startswith(">")
            made.add_column(
                each.removeprefix(">"), justify="right" if is_number else "left", overflow="fold"
            )
        for row in rows:
            made.add_row(*(Text(one) if isinstance(one, str) else one for one in row))
        self.console.print(made)


def console_on(stream: Any) -> Console:
    """Return a console that neither colours nor wraps where nobody looks."""
    is_free = not stream.isatty() and "COLUMNS" not in os.environ
    return Console(file=stream, width=UNBOUNDED if is_free else None, highlight=False, markup=False)


def complain(text: str) -> None:
    """Print to stderr, in one line or several."""
    print(text, file=sys.stderr)


def shown(text: str) -> str:
    """Return text that does nothing to a terminal: names of keys may hold anything."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "backslashreplace").decode()
        for each in text.encode("utf-8", "backslashreplace").decode()
    )


def plain(value: Any) -> Any:
    """Return a value as JSON has it; what JSON does not have as its Python text."""
    if value is None or isinstance(value, bool | int | str):
        return shown(value) if isinstance(value, str) and not value.isascii() else value
    if isinstance(value, float):
        return value if value - value == 0 else repr(value)
    if isinstance(value, dict):
        return {one if isinstance(one, str) else repr(one): plain(value[one]) for one in value}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return repr(value)


def amount(number: int, noun: str) -> str:
    """Return `1 key` or `1 200 keys`."""
    plural = noun.removesuffix("y") + "ies" if noun.endswith("ry") else noun + "s"
    if noun.endswith("s"):
        plural = noun + "es"
    return f"{number:,}".replace(",", " ") + f" {noun if number == 1 else plural}"


def seconds(value: float | None) -> str:
    """Return a duration for people, in its two largest units."""
    if value is None:
        return "for ever"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join([f"{number} {unit}" for number, unit in parts if number][:2])
