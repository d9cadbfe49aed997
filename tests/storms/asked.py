"""How long a storm is asked to last, by the variable that `tox -e storm` hands through."""

from __future__ import annotations

import os

# Taken out: the library warns of variables with its prefix that it does not know, in workers too.
_ASKED = os.environ.pop("DUALCACHE_STORM_SECONDS", None)


def storm_seconds(usual: float) -> float:
    """Return how many seconds a long storm lasts; `usual` where nobody asks for others."""
    return usual if _ASKED is None else float(_ASKED)
