"""Tags by existence and identity: a tag is a key that holds a random id.

An entry is valid while each of its tags exists with the id it had before the load. So deleting the
tag is invalidating all its entries, whatever their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dualcache.core.entry import TOKEN_BYTES, UNKNOWN_TAG_ID, Tag
from dualcache.core.ops import NewTag, ProlongTag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dualcache.core.ops import RawRead
    from dualcache.core.policy import Policy
    from dualcache.engine.env import Env

__all__ = [
    "NO_IDS",
    "are_alive",
    "entry_life_ms",
    "entry_tags",
    "foreign_tags",
    "has_died",
    "new_tags",
    "prolonged",
    "tag_life_ms",
]

NO_IDS: Final[Mapping[str, bytes | None]] = {}
_DAY_MS: Final = 86_400_000


def new_tags(names: Iterable[str], life_ms: int | None, env: Env) -> tuple[NewTag, ...]:
    """Draw an id for each tag, to be used if it does not exist; anew for each send."""
    # Random and never sent twice. Made of a counter or a clock, or repeated by a retry that arrives
    # after an invalidation, the tag's next life would have the id of the one before: all entries
    # that the invalidation killed would be valid again.
    return tuple(NewTag(name, env.draw_token(), life_ms) for name in names)


def tag_life_ms(entry_ms: int | None) -> int | None:
    """Return how long a tag lives: at least a day and twice its entry's lifetime."""
    return None if entry_ms is None else max(_DAY_MS, 2 * entry_ms)


def entry_life_ms(policy: Policy) -> int | None:
    """Return the longest time an entry may stay in the backend, as far as known before the load."""
    return None if policy.ttl_ms is None else policy.ttl_ms + policy.stale_ms


def are_alive(tags: Sequence[Tag], ids: Mapping[str, bytes | None]) -> bool:
    """Tell whether each of an entry's tags exists with the id it was stored with."""
    for name, tag_id in tags:  # noqa: SIM110  every tagged hit: a generator costs twice as much
        if ids.get(name) != tag_id or tag_id == UNKNOWN_TAG_ID:
            return False
    return True


def has_died(tags: Sequence[Tag], ids: Mapping[str, bytes | None]) -> bool:
    """Tell whether one of these tags, among those whose ids are known, has another id by now."""
    return any(name in ids and ids[name] != tag_id for name, tag_id in tags)


def foreign_tags(names: Sequence[str], ids: Sequence[bytes | None]) -> tuple[str, ...]:
    """Return the tags whose keys hold no id: another type, or what somebody else wrote there."""
    pairs = zip(names, ids, strict=True)
    return tuple([name for name, each in pairs if each is not None and len(each) != TOKEN_BYTES])


def entry_tags(names: Iterable[str], ids: Mapping[str, bytes | None]) -> tuple[Tag, ...]:
    """Pair an entry's tags with the ids that were read before its load."""
    # A tag known only from the result may have been invalidated while the value was loaded, and its
    # id of now would not show that. So it gets the id 0: the entry is not served, but names its
    # tags, and the next load reads their ids before it begins.
    return tuple(Tag(name, ids.get(name) or UNKNOWN_TAG_ID) for name in dict.fromkeys(names))


def prolonged(
    names: Sequence[str], raw_read: RawRead, life_ms: int | None, entry_ms: int | None
) -> tuple[ProlongTag, ...]:
    """Return the ops that keep tags alive which would die before their entry."""
    # Only where little is left: each change of a lifetime is pushed to everybody who read the tag,
    # as if it had been invalidated.
    return tuple(
        ProlongTag(name, life_ms)
        for name, left_ms in zip(names, raw_read.tag_left_ms, strict=False)
        if left_ms >= 0 and (entry_ms is None or left_ms < entry_ms + _DAY_MS // 24)
    )
