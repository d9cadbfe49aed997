"""`dualcache explain`: the page of errors, one section at a time; it is in the wheel."""

from __future__ import annotations

import re
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.markdown import Markdown

from dualcache import UsageError
from dualcache.cli.exits import DONE, WRONG_USAGE
from dualcache.cli.options import told
from dualcache.cli.printing import Output, complain, console_on

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

SECTION: Final = re.compile(r"^### (DC\d{3})\n+(.*?)(?=^#{2,3} |\Z)", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """Return the text of each code."""
    shipped = files("dualcache.cli") / "errors.md"
    if shipped.is_file():
        page = shipped.read_text("utf-8")
    else:  # in a checkout the page is where it is written
        page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
    return {code: text.strip() for code, text in SECTION.findall(page)}


def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the codes that begin as what is typed."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(code) for code in sections() if code.startswith(incomplete.upper())]


@click.command()
@click.argument("code", shell_complete=complete)
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(context: click.Context, code: str, is_json: bool) -> None:
    """Explain a code, as DC102."""
    known = sections()
    wanted = code.strip("[]").upper()
    wanted = wanted if wanted.startswith("DC") else f"DC{wanted}"
    if wanted not in known:
        error = UsageError(
            f"{wanted} is not a code of dualcache",
            code="DC495",
            help=f"codes look like {next(iter(known))}; each message has one in brackets",
        )
        complain(told(error))
        context.exit(WRONG_USAGE)
    out = Output(is_json=is_json)
    out.document({"code": wanted, "text": known[wanted]})
    if not is_json:
        out.line(wanted, "bold")
        if sys.stdout.isatty():
            console_on(sys.stdout).print(Markdown(known[wanted]))
        else:
            out.line(known[wanted])
    context.exit(DONE)
