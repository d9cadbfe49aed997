"""The rights of a Redis user: which one each feature needs, and what is lost without it. Pure.

The one table of them: errors name a right by it, and the page `docs/operating/acl.md` is checked
against it. `GET`, say, is the rule `+get` of `ACL SETUSER`.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CHANNEL",
    "KEYS",
    "RIGHTS",
    "Feature",
    "Loss",
    "Right",
    "missing_right",
    "right_of",
    "right_to",
    "rules_for",
]

KEYS: Final = "~<namespace>:*"
CHANNEL: Final = "&<namespace>:~c"


class Feature(Enum):
    """A use of the cache that needs rights of the server's user."""

    CACHE = auto()
    """Read, load, store and invalidate by keys and tags."""
    PATTERNS = auto()
    """Invalidate by patterns, `clear()`, `cache_clear()`, `keys()`."""
    SCRIPTS = auto()
    """Store by a script, on servers that do not compare in `SET`."""
    TRANSACTIONS = auto()
    """Store by WATCH, where scripts are not allowed either."""
    DATABASE = auto()
    """Use another database than 0."""
    CLUSTER = auto()
    SENTINEL = auto()
    """Find the nodes of a cluster, or be sure of the master."""
    TRACKING = auto()
    BROADCAST = auto()
    PUBSUB = auto()
    """The front tier by each of its transports."""
    PUBLISH = auto()
    """Tell others what is revoked (`publish=True`)."""
    FLEET = auto()
    """Share statistics with other processes (`fleet_stats=True`)."""


class Loss(Enum):
    """How much is lost without a right, and so which event reports it."""

    REPLACED = auto()
    """Nothing but time: something else is sent instead."""
    PARTIAL = auto()
    """One thing does not work, and the rest does: told by `RightMissing`."""
    TOLD = auto()
    """Told by an event of its own: `BackendDown`, `StoresStopped` or `ScansRefused`."""
    OF_STATISTICS = auto()
    """Nothing of the cache: `stats(fleet=True)` says that it is not complete."""
    OF_THE_FRONT_TIER = auto()
    """A transport of the front tier: told by the line that says which one is used."""


class Right(NamedTuple):
    """One rule of `ACL SETUSER`; `without` completes the sentence "without it, …"."""

    rule: str
    features: tuple[Feature, ...]
    loss: Loss
    without: str


_CACHE, _PATTERNS = (Feature.CACHE,), (Feature.PATTERNS,)
_SCRIPTS, _TRANSACTIONS = (Feature.SCRIPTS,), (Feature.TRANSACTIONS,)
_PUSHES = (Feature.TRACKING, Feature.BROADCAST, Feature.PUBSUB)

RIGHTS: Final = (
    Right(KEYS, _CACHE, Loss.TOLD, "the cache is not used"),
    Right("+get", _CACHE, Loss.TOLD, "the cache is not used"),
    Right("+mget", _CACHE, Loss.TOLD, "the cache is not used"),
    Right("+set", _CACHE, Loss.TOLD, "nothing new is stored; stored values are still served"),
    Right("+del", _CACHE, Loss.TOLD, "invalidations wait, and nothing is read"),
    Right("+pttl", _CACHE, Loss.PARTIAL, "the front tier keeps no copies, and incr() does nothing"),
    Right("+pexpire", _CACHE, Loss.PARTIAL, "a tag expires before its entries, which then miss"),
    Right("+persist", _CACHE, Loss.PARTIAL, "a tag expires before its entries, which then miss"),
    Right("+strlen", _CACHE, Loss.PARTIAL, "foreign content under a lease is not noticed"),
    Right("+scan", _PATTERNS, Loss.TOLD, "patterns and clears wait"),
    Right("+unlink", _PATTERNS, Loss.REPLACED, "keys that a pattern finds are deleted by DEL"),
    Right(
        "+getrange",
        (*_PATTERNS, *_SCRIPTS, *_TRANSACTIONS),
        Loss.REPLACED,
        "whole entries are read, and no script can store",
    ),
    Right("+evalsha", _SCRIPTS, Loss.REPLACED, "values are stored by EVAL"),
    Right("+script|load", _SCRIPTS, Loss.REPLACED, "the script is sent each time"),
    # Only where `+script|load` is not granted, so not among the least rights.
    Right("+eval", (), Loss.REPLACED, "values are stored by WATCH, MULTI and EXEC"),
    Right("+watch", _TRANSACTIONS, Loss.REPLACED, "only a script, or SET itself, can compare"),
    Right("+unwatch", _TRANSACTIONS, Loss.REPLACED, "only a script, or SET itself, can compare"),
    Right(
        "+multi",
        (*_TRANSACTIONS, Feature.PUBLISH),
        Loss.REPLACED,
        "a deletion and its message are two commands, of which a crash may leave one",
    ),
    Right(
        "+exec",
        (*_TRANSACTIONS, Feature.PUBLISH),
        Loss.REPLACED,
        "a deletion and its message are two commands, of which a crash may leave one",
    ),
    Right("+select", (Feature.DATABASE,), Loss.TOLD, "only database 0 can be used"),
    Right(
        "+hset",
        (Feature.FLEET,),
        Loss.OF_STATISTICS,
        "others do not see the counters of this process",
    ),
    Right("+hvals", (Feature.FLEET,), Loss.OF_STATISTICS, "the counters of others are not seen"),
    Right("+cluster|slots", (Feature.CLUSTER,), Loss.TOLD, "the nodes are not found"),
    Right(
        "+cluster|nodes",
        (Feature.CLUSTER,),
        Loss.PARTIAL,
        "patterns may miss keys that are being moved",
    ),
    Right(
        "+cluster|info",
        (Feature.CLUSTER,),
        Loss.OF_THE_FRONT_TIER,
        'the front tier works by "ttl"',
    ),
    Right("+asking", (Feature.CLUSTER,), Loss.TOLD, "keys that are being moved are not found"),
    Right("+ping", _PUSHES, Loss.OF_THE_FRONT_TIER, 'the front tier works by "ttl"'),
    Right(
        "+client|id",
        (Feature.TRACKING, Feature.BROADCAST),
        Loss.OF_THE_FRONT_TIER,
        'the front tier works by "pubsub" or "ttl"',
    ),
    Right(
        "+client|tracking",
        (Feature.TRACKING, Feature.BROADCAST),
        Loss.OF_THE_FRONT_TIER,
        'the front tier works by "pubsub" or "ttl"',
    ),
    Right(
        "+client|list",
        (Feature.TRACKING,),
        Loss.OF_THE_FRONT_TIER,
        'the front tier works by "broadcast"',
    ),
    Right(
        "+role",
        (*_PUSHES, Feature.SENTINEL),
        Loss.OF_THE_FRONT_TIER,
        "a failover is noticed by INFO, or late",
    ),
    Right("+subscribe", (Feature.PUBSUB,), Loss.OF_THE_FRONT_TIER, 'the front tier works by "ttl"'),
    Right(CHANNEL, (Feature.PUBSUB, Feature.PUBLISH), Loss.TOLD, "others are not notified"),
    Right("+publish", (Feature.PUBSUB, Feature.PUBLISH), Loss.TOLD, "others are not notified"),
)
"""Every right that the library can use, in the order of the lines of `ACL SETUSER`."""
_BY_RULE: Final = {right.rule: right for right in RIGHTS}
_COMMAND: Final = re.compile(r"permissions to run the '([a-z]+(?:\|[a-z]+)?)' command")
_A_KEY: Final = re.compile(r"access (?:a key|(?:at least )?one of the keys)")
_A_CHANNEL: Final = re.compile(r"access (?:a channel|(?:at least )?one of the channels)")
_WITHOUT_SUBCOMMAND: Final = {
    "client": "client|…",
    "cluster": "cluster|slots",
    "script": "script|load",
}
"""Redis 6.2 does not say which part of a command it refuses."""
_OF_SCRIPT: Final = "+set +getrange"
"""Redis before 7.2 does not say which command of a script it refuses."""


def missing_right(text: str) -> str:
    """Return the rule that the server's refusal `NOPERM` asks for.

    The names of keys and channels are not repeated, nor is a command that the table does not have.
    """
    named = _COMMAND.search(text)
    if named is not None:
        rule = f"+{_WITHOUT_SUBCOMMAND.get(named[1], named[1])}"
        return rule if rule in _BY_RULE or "…" in rule else ""
    if _A_KEY.search(text):
        return KEYS
    if _A_CHANNEL.search(text):
        return CHANNEL
    return _OF_SCRIPT if "can't run this command" in text else ""


def right_to(command: Sequence[object]) -> str:
    """Return the rule that allows a command, or nothing where the table does not have it."""
    name, *rest = [str(part).lower() for part in command[:2]]
    rules = (f"+{name}|{rest[0]}" if rest else "", f"+{name}")
    return next((rule for rule in rules if rule in _BY_RULE), "")


def right_of(rule: str) -> Right | None:
    """Return the row of a rule."""
    return _BY_RULE.get(rule)


def rules_for(features: Iterable[Feature], prefix: str) -> str:
    """Return the least rules for these features, as `ACL SETUSER` takes them.

    `prefix` is the namespace with its `:`, or empty.
    """
    wanted = set(features)
    needed = [right.rule for right in RIGHTS if wanted.intersection(right.features)]
    return " ".join(["resetchannels", "-@all", *needed]).replace("<namespace>:", prefix)
