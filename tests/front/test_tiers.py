"""What the other tests of this folder rest on: `Hands` lets an outage end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.front.tiers import hands_of, held, kept_key, old_copy
from tests.proxy import Proxy

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server


def test_an_outage_ends_where_time_stands_still(threads: Colour, redis_server: Server) -> None:
    with Proxy(redis_server.port) as data:
        cache = held(threads, data.url, socket_timeout=0.1)
        data.black_hole()
        while cache.stats().is_available:
            cache.get("k")
        data.heal()
        old_copy(threads, cache)
        hands = hands_of(cache)
        assert hands is not None
        before = hands.now()
        assert kept_key(threads, cache, "k") == "old"
        assert hands.now() == before  # without an outage no time passes
