"""Lines of the log: by which logger they are written, and what their records carry as data."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from dualcache.observability.logs import REDIS, log
from tests.bodies import WAIT_SECONDS
from tests.front.tiers import eventually, opened, tiered

if TYPE_CHECKING:
    import pytest

    from tests.colours import Colour
    from tests.servers import Server


def records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name.startswith("dualcache")]


def test_a_server_that_is_away_is_told_once_by_its_own_logger(
    colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    cache = colour.cache("redis://:secret@127.0.0.1:1")
    load = cache(key="k:{n}")(colour.function(lambda n: n))
    for n in range(3):
        colour.run(load, n)
    (record,) = records(caplog)
    assert (record.name, record.levelname) == ("dualcache.redis", "WARNING")
    assert record.dualcache["event"] == "BackendDown"
    assert record.dualcache["server"] == "redis://***@127.0.0.1:1/0"
    assert record.dualcache["reason"] == "DC200"
    assert "secret" not in str(vars(record))


def test_what_is_about_a_function_is_told_by_the_root_logger(
    colour: Colour, backend_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = colour.cache(backend_url)
    cache.on_event(lambda _: None, include_keys=True)
    load = cache(key="k:{n}")(colour.function(lambda n: [object(), n]))
    colour.run(load, 1)
    (record,) = records(caplog)
    assert (record.name, record.levelname) == ("dualcache", "WARNING")
    assert record.dualcache["event"] == "NotStored"
    assert record.dualcache["template"] == "k:{n}"
    assert record.dualcache["help"]
    assert "key" not in record.dualcache


def test_the_front_tier_has_a_logger(
    redis_server: Server, colour: Colour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dualcache")
    opened(colour, tiered(colour, redis_server.url))
    found: list[Any] = []

    def is_told() -> bool:  # by the listener's thread, once the tier is open
        found[:] = [each for each in records(caplog) if each.name == "dualcache.front"]
        return bool(found)

    eventually(is_told, "a line")
    (record,) = found
    assert record.dualcache["event"] == "TransportChosen"
    assert record.dualcache["transport"] in record.getMessage()


def test_a_lock_of_logging_that_an_interrupt_has_left_locked_stops_no_thread() -> None:
    log("DEBUG", "a first line", logger=REDIS)
    thread = threading.Thread(target=log, args=["DEBUG", "another line"], kwargs={"logger": REDIS})
    logging._lock.acquire()  # type: ignore[attr-defined]  # as an interrupt in `getLogger` leaves it
    try:
        thread.start()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()
    finally:
        logging._lock.release()  # type: ignore[attr-defined]
        thread.join()
