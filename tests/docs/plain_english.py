"""What makes a sentence hard to read: turns of phrase to avoid, each with what to write instead."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_SENTENCE: Final = 40
"""Words. A longer one holds two ideas."""

AVOID: Final = {
    r"(?:is|are|was|were|be|been|gets?) told\b": "say who says it: the log says, an event tells",
    r"who(?:so)?ever\b": "each caller that, anyone who",
    r"(?<!a life )(?<!rules )of (?:its|their|his|her|one's) own\b": "its own, a separate",
    r"(?:which|what) tells\b": "name the thing: a predicate, a sign",
    r"return what\b": "name the thing that is returned",
    r"what (?:it|that|this) is that\b": "name the thing",
    r"(?:came|come|comes) meanwhile\b": "arrive while it runs",
    r"lies? ahead\b": "follows",
    r"in the place of\b": "instead of",
    r"in (?:its|their) (?:place|stead)\b": "instead",
    r"as that may\b": "because that can",
    r"at hand\b": "available",
    r"in vain\b": "without success",
    r"to be had\b": "available",
    r"but for\b": "except",
    r"none but\b": "only",
    r"save for\b": "except",
    r"likewise\b": "also",
    r"(?:there|here)(?:by|of|upon)\b": "say it directly",
    r"(?:hence|thus|whilst|upon|shall|ought)\b": "so, while, on, must, should",
    r"(?:he|him|his|himself)\b": "it, they, the caller",
    r"(?:in order to|utili[sz]e[sd]?)\b": "to, use",
    r"(?:simply|obviously|of course|easily)\b": "leave it out",
    r"that is to say\b": "say it once",
    r"(?:not|never) until\b": "only after",
    r"so that is\b": "so it is",
    r"it (?:is|was) (?:said|seen|known|found) (?:that|whether)\b": "say who",
    r"whence|whither|wherein|whereby|whereupon": "where, by which",
    r"by itself alone|all by": "alone",
    r"is (?:there|here) for\b": "is for",
    r"is one that\b": "say what it does",
}
_TURNS: Final = [(re.compile(rf"\b(?:{turn})", re.IGNORECASE), why) for turn, why in AVOID.items()]
_ANY: Final = re.compile(rf"\b(?:{'|'.join(f'(?:{turn})' for turn in AVOID)})", re.IGNORECASE)
_CODE: Final = re.compile(r"`[^`]*`")
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_QUOTE: Final = re.compile(r"\"[^\"]*\"|“[^”]*”")
_END: Final = re.compile(r"(?<=[.!?:;])\s+|\n\s*\n|\n\s*(?=[-*|#>]|\d+\. )|\s*\|\s*")


class Remark(NamedTuple):
    """A hard turn or a long sentence, and the advice."""

    found: str
    instead: str


def remarks(text: str) -> Iterator[Remark]:
    """Yield what to write more plainly in prose; code and links are left out."""
    prose = _LINK.sub(r"\1", _CODE.sub("X", text))
    own_words = _QUOTE.sub("X", prose)
    for turn, instead in _TURNS if _ANY.search(own_words) else ():
        for match in turn.finditer(own_words):
            around = prose[max(0, match.start() - 30) : match.end() + 20]
            yield Remark(" ".join(around.split()), instead)
    for sentence in _END.split(prose):
        if (length := len(sentence.replace("→", " ").split())) > LONGEST_SENTENCE:
            yield Remark(" ".join(sentence.split()[:12]) + " …", f"{length} words: two sentences")


def docstrings(source: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of each public class and function of a module."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Module)):
            continue
        name = getattr(node, "name", "the module")
        if (text := ast.get_docstring(node)) and not (name.startswith("_") and name != "__init__"):
            yield name, text
