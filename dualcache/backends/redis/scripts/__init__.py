"""The Lua scripts, each beside its SHA-1: the name by which a server keeps it."""

from __future__ import annotations

from functools import cache
from typing import Final

COMMIT_SHA: Final = b"c00ad6c69297842a0bc47be233280a81e1cf03b9"


@cache
def commit_source() -> bytes:
    """Read the source of the commit script, once."""
    from importlib.resources import files

    return files(__name__).joinpath("commit.lua").read_bytes()
