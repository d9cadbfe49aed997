"""The lines of the log: one for each event that changes the state of a server or a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec.structs import asdict

from dualcache.core.events import (
    BackendDown,
    BackendUp,
    Differed,
    MasterChanged,
    NotRead,
    NotStored,
    PendingOverflowed,
    Replayed,
    RightMissing,
    ScansRefused,
    StoresStopped,
)
from dualcache.observability.logs import LOGGER, REDIS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.core.events import Event

__all__ = ["LINES", "fields_of", "logger_of"]

STATES: Final = {"DC200": "cannot be reached", "DC201": "does not answer"}
"""Problems of a server, by the reason of the event; the cause follows in brackets."""

Line: TypeAlias = "tuple[str, str]"
"""A level and a text."""


def _down_line(event: BackendDown, server: str) -> Line:
    """Describe a problem: its nature, its cause and its consequence."""
    seconds = f"{event.retry_ms / 1000:g} s"
    if event.node:
        server = f"the node {event.node} of {server}"
    if event.is_configuration:
        what = f"{server} refuses this program ({event.cause}); functions run without the cache"
        return "ERROR", f"{what} until that is fixed; next try in {seconds}"
    state = STATES.get(event.reason, "cannot be used now")
    what = f"{server} {state} ({event.cause}); functions run without the cache"
    return "WARNING", f"{what}; next try in {seconds}"


_TO_STORE: Final = {
    "NOPERM": ": allow +set",
    "nothing to compare and set with": (
        ": allow +evalsha +script|load +getrange, or +watch +unwatch +multi +exec +getrange"
    ),
}
"""How to fix a server that takes no writes because something is lacking, by the reason."""


def _up_line(event: BackendUp, server: str) -> Line:
    """Say that the server answers, or a node of a cluster."""
    where = f"the node {event.node} of {server}" if event.node else server
    return "INFO", f"{where} answers again; functions use the cache"


def _stopped_line(event: StoresStopped, server: str) -> Line:
    """Describe a server that takes no writes: a full one still deletes, others do not."""
    deletions = (
        "deletions go on"
        if event.reason in {"OOM", *_TO_STORE}
        else "deletions are kept and delivered later"
    )
    how = _TO_STORE.get(event.reason)
    what = f"{server} takes no writes ({event.reason}{how or ''}); stored values are still served"
    level = "WARNING" if how is None else "ERROR"  # waiting fixes no right that is missing
    return level, f"{what}, nothing new is stored, {deletions}"


def _right_line(event: RightMissing, server: str) -> Line:
    """Describe a right that the user of the server lacks."""
    what = f"{server} lacks a right: without {event.right}, {event.without}"
    return (
        "INFO" if event.is_replaced else "ERROR",
        f"{what}; grant it with ACL SETUSER <user> {event.right}",
    )


def _scans_line(event: ScansRefused, server: str) -> Line:
    """Describe invalidations on a server that does not list its keys."""
    fix = "allow +scan" if event.reason == "NOPERM" else "it lacks SCAN"
    what = f"{server} does not let its keys be listed ({event.reason}: {fix})"
    return "ERROR", f"{what}; patterns and clears wait, keys and tags go on"


def _replayed_line(event: Replayed, server: str) -> Line:
    """Say how many deletions were delivered late."""
    many = "invalidation" if event.delivered == 1 else "invalidations"
    return "INFO", f"{server} got {event.delivered} {many} kept during the outage"


def _changed_line(event: MasterChanged, server: str) -> Line:
    """Say that there was a failover, and how many deletions it might have lost."""
    many = "invalidation" if event.repeated == 1 else "invalidations"
    what = f"{server} has another master now"
    return "INFO", f"{what}; {event.repeated} recent {many} will be repeated there"


def _overflow_line(event: PendingOverflowed, server: str) -> Line:
    """Describe the way out when too many invalidations were pending."""
    what = f"{server} is not read until clear() has reached it"
    return "ERROR", f"{what}: {event.dropped} invalidations could not be kept"


def _differed_line(event: Differed, _: str) -> Line:
    """Say that a write seems to forget to invalidate."""
    what = f"{event.template}: an entry of {event.age:.0f} s differs from the function's result now"
    return "WARNING", f"{what}, and nothing has invalidated it: which write changes its source?"


LINES: Final[Mapping[type[Event], Callable[[Any, str], Line]]] = {
    BackendDown: _down_line,
    BackendUp: _up_line,
    StoresStopped: _stopped_line,
    ScansRefused: _scans_line,
    RightMissing: _right_line,
    MasterChanged: _changed_line,
    Replayed: _replayed_line,
    PendingOverflowed: _overflow_line,
    Differed: _differed_line,
    NotStored: lambda e, _: ("WARNING", f"{e.template}: not stored: {e.reason}; {e.help}"),
    NotRead: lambda e, _: ("WARNING", f"{e.template}: not read: {e.reason}; {e.help}"),
}


def logger_of(event: Event) -> str:
    """Return the logger of an event's line: what is about a template is not about the server."""
    return LOGGER if event.template else REDIS


def fields_of(event: Event, server: str) -> dict[str, Any]:
    """Return an event as data for a record of the log; a key is never among it."""
    fields = {name: value for name, value in asdict(event).items() if name != "key"}
    return {"event": type(event).__name__, "server": server, **fields}
