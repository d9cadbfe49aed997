"""Holds: for a while nothing is stored under a key, even if others delete it.

A hold is a TOMBSTONE under the key of the entry, and a load looks at nothing else. A copy lies
under an internal key, `~h:` and the key, since a deletion takes the first away: it reads the second
in the same trip, and puts the first back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.core.entry import Kind
from dualcache.core.envelope import kind_of, seal_tombstone
from dualcache.core.ops import WRITE_REFUSALS, Claim, Look
from dualcache.core.revocation import Revocation
from dualcache.engine.attempts import attempt_each
from dualcache.engine.outcomes import note_refusal
from dualcache.engine.pipelines import slices
from dualcache.errors import BackendRefused

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from dualcache.core.ops import Flow, RawRead
    from dualcache.engine.env import Env

__all__ = ["held_key", "hold", "hold_keys", "holdable", "is_internal_hold"]


def hold_keys(keys: Sequence[str], env: Env) -> tuple[str, ...]:
    """Return the internal keys that keep the holds of keys."""
    head, cut = f"{env.prefix}~h:", len(env.prefix)
    return tuple([head + key[cut:] for key in keys])


def held_key(name: str, env: Env) -> str:
    """Return the key whose hold an internal key keeps."""
    return env.prefix + name.removeprefix(f"{env.prefix}~h:")


def is_internal_hold(name: bytes, env: Env) -> bool:
    """Tell whether a scanned key is the internal key of a hold."""
    return name.startswith(b"%b~h:" % env.prefix.encode())


def holdable(names: Sequence[str], env: Env) -> list[str]:
    """Return those names that are keys of entries, not of tags and the like."""
    at = len(env.prefix)
    return [name for name in names if not name.startswith("~", at)]


def hold(wanted: Mapping[str, int], earlier: Collection[str], env: Env) -> Flow[None]:
    """Put holds under keys: for so many ms each, or as long as an `earlier` one that lasts longer.

    A server that takes no writes puts none, nor does a node of a cluster that is down: were that
    waited for, no key of the other nodes could be read. A hold that comes late only keeps values
    out.
    """
    left_ms = dict(wanted)
    for part in slices(tuple(earlier)):
        looks = [Look(name, with_ttl=True) for name in hold_keys(part, env)]
        raw_reads = yield from attempt_each(looks, env)
        for key, raw_read in zip(part, raw_reads, strict=True):
            if raw_read is None:
                continue
            is_hold = kind_of(raw_read.raw or b"") is Kind.TOMBSTONE
            if is_hold and raw_read.left_ms:
                left_ms[key] = max(left_ms.get(key, 0), raw_read.left_ms)
    for pairs in slices(tuple(left_ms.items())):
        # The copy first: a deletion that does not see it yet comes before the hold itself.
        keys = [key for key, _ in pairs]
        copies = [
            _claim(key, name, life_ms, env)
            for (key, life_ms), name in zip(pairs, hold_keys(keys, env), strict=True)
        ]
        holds = [_claim(key, key, life_ms, env) for key, life_ms in pairs]
        # The copies lie at other nodes of a cluster, where a trip of their own comes first.
        trips = [copies + holds] if env.nodes is None else [copies, holds]
        try:
            replies: list[RawRead | None] = []
            for trip in trips:
                replies += yield from attempt_each(trip, env)
            refusal = next((each.refusal for each in replies if each and each.refusal), "")
        except BackendRefused as error:  # of a transaction: all of it is turned down
            if error.prefix not in WRITE_REFUSALS:
                raise
            refusal = error.prefix
        if refusal:
            note_refusal(refusal, env)
        env.front.drop(keys)


def _claim(key: str, name: str, life_ms: int, env: Env) -> Claim:
    """Return the op that puts the hold of a key under a name."""
    # What a load has stored since the deletion goes, so others are told once more.
    notice = Revocation(env.channel, (key,)) if env.channel and name == key else None
    tombstone = seal_tombstone(key, token=env.draw_token(), created_ms=env.now_ms())
    return Claim(name, tombstone, life_ms, (), notice)
