"""The warning about endpoints whose responses have work to do after they are sent."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["warn_of_tasks"]


def warn_of_tasks(function: Any) -> None:
    code = function.__code__
    warnings.warn_explicit(
        f"[DC436] responses of {function.__qualname__} have background tasks and are not stored, "
        "because a hit would not run them; leave cache.http out, or start the work elsewhere",
        UserWarning,
        code.co_filename,
        code.co_firstlineno,
    )
