"""The name by which other processes import the main module: keys hold names of modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MAIN_MODULES", "imported_name", "module_name"]

MAIN_MODULES: Final = ("__main__", "__mp_main__")
"""The names of the main module, also in a process that multiprocessing spawned."""


def imported_name(names: Mapping[str, Any]) -> str | None:
    """Return the import name of a main module with these globals; `None`: it has no file.

    A script is called by its file, as it is when another module imports it; with `python -m` the
    main module knows its own name.
    """
    spec_name = getattr(names.get("__spec__"), "name", None)
    if isinstance(spec_name, str) and spec_name not in MAIN_MODULES:
        return spec_name
    file = names.get("__file__")
    if not isinstance(file, str):
        return None
    from pathlib import PurePath  # its import costs much, and only a main module needs it

    path = PurePath(file)
    # `python folder` runs folder/__main__.py, as `python -m folder` does.
    return f"{path.parent.name}.__main__" if path.stem == "__main__" else path.stem


def module_name(module: str) -> str:
    """Return a module's name as it is elsewhere; that of a session without a file stays."""
    if module not in MAIN_MODULES:
        return module
    return imported_name(vars(sys.modules.get(module, object))) or module
