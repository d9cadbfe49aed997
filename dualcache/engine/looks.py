"""A look at a key: its op, and what must be noted before that is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from dualcache.core.ops import Look, RawRead

if TYPE_CHECKING:
    from dualcache.core.policy import Call
    from dualcache.engine.env import Env
    from dualcache.engine.freshness import ReadResult

__all__ = ["FirstLook", "begin_look"]

_NOTHING_SEEN: Final = RawRead(None)


class FirstLook(Struct):
    """One look at one key: its op, and what must be noted before that is sent.

    `sequence` is drawn before the look, so that no load which began before it passes for a younger
    one. `failures` is the breaker's count of then: a failure that several callers see counts once.
    `tickets` are those of the front tier, where that may keep the value. Afterwards `raw_read` is
    the reply and `read` what it means. `is_lost`: there is no reply, and asking again is no use.
    `is_elected`: what is served is checked afterwards; see `engine/verify.py`. `masters` is the
    health's count of then: a reply counts only from the server that was the master all the while.
    """

    op: Look
    sequence: int
    failures: int
    tickets: tuple[Any, ...] = ()
    raw_read: RawRead = _NOTHING_SEEN
    read: ReadResult | None = None
    is_lost: bool = False
    is_elected: bool = False
    masters: int = 0


def begin_look(call: Call, env: Env) -> FirstLook:
    """Begin a look at a key and its tags: take tickets for their names before they are read."""
    # All before the read is sent. A number drawn afterwards would make a load that began during the
    # read pass for an older one; a ticket taken afterwards misses the push for what was just read.
    policy, tags = call.policy, call.tags
    front, failures = policy.front, env.health.breaker.events
    if front is None:
        # What a key has left tells its freshness better than the clocks of two machines.
        with_ttl = policy.stale_if_error_ms > 0 or policy.stale_while_revalidate_ms > 0
        return FirstLook(Look(call.key, tags, with_ttl), env.sequence(), failures)
    ticket = front.begin_read((call.key, *tags))
    return FirstLook(Look(call.key, tags, with_ttl=True), env.sequence(), failures, (ticket,))
