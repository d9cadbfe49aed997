"""Tools for tests of programs that cache: isolation, a clock, events, assertions, faults.

`plugin.py` makes pytest fixtures of them. `conformance.py` checks a backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dualcache.testing.assertions import assert_cached, assert_loads, assert_not_cached
    from dualcache.testing.events import Events, recorded_events
    from dualcache.testing.faults import fail_backend, slow_backend
    from dualcache.testing.isolation import isolated

__all__ = [
    "Events",
    "assert_cached",
    "assert_loads",
    "assert_not_cached",
    "fail_backend",
    "isolated",
    "recorded_events",
    "slow_backend",
]

_LATER: Final = {
    "Events": "events",
    "assert_cached": "assertions",
    "assert_loads": "assertions",
    "assert_not_cached": "assertions",
    "fail_backend": "faults",
    "isolated": "isolation",
    "recorded_events": "events",
    "slow_backend": "faults",
}


if not TYPE_CHECKING:  # or a checker takes every misspelt name for one that is there

    def __getattr__(name: str) -> Any:
        """Import a name when it is first asked for: pytest loads the plugin in each of its runs."""
        home = _LATER.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value
