"""The result of one check."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """How much a finding matters."""

    GOOD = "good"
    WARNING = "warning"
    """It works, and may stop to, or works less well than it could."""
    FAULT = "fault"
    """It does not work."""
    UNKNOWN = "unknown"
    """The server does not say, or may not be asked."""


class Finding(NamedTuple):
    """The result of one check in a line, and how to fix it.

    `node` is the server that it is about, if there are several.
    """

    check: str
    level: Level
    cause: str
    fix: str = ""
    node: str = ""


def good(check: str, cause: str) -> Finding:
    return Finding(check, Level.GOOD, cause)


def warning(check: str, cause: str, fix: str) -> Finding:
    return Finding(check, Level.WARNING, cause, fix)


def fault(check: str, cause: str, fix: str) -> Finding:
    return Finding(check, Level.FAULT, cause, fix)


def unknown(check: str, cause: str, fix: str = "") -> Finding:
    return Finding(check, Level.UNKNOWN, cause, fix)
