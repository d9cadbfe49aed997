"""Arguments that are secrets never stand in Redis; every way to name an entry still finds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.colours import Colour
    from tests.servers import Server

SESAME = "open-sesame"


async def of_token(token: str, page: int = 1) -> str:
    return f"{len(token)} {page}"


@pytest.mark.parametrize(
    "options", [{}, {"key": "session:{token}:{page}"}, {"tags": ["t:{token}"]}]
)
def test_no_name_in_redis_shows_the_secret(
    colour: Colour, redis_server: Server, options: dict[str, Any]
) -> None:
    cache = colour.cache(redis_server.url, namespace="shop")
    load = cache(**options)(colour.function(of_token))
    assert colour.run(load, SESAME) == colour.run(load, SESAME) == "11 1"
    assert load.cache_info().hits == 1
    names = str(cache.client.keys("*"))
    assert "shop:" in names
    assert SESAME not in names


def test_an_entry_of_a_secret_is_found_by_handle_key_tag_pattern_and_decorator(
    colour: Colour, backend_url: str
) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    decorated = cache(key="session:{token}:{page}", tags=["of:{token}"])
    load = decorated(colour.function(of_token))

    async def log_out(sid: str) -> None: ...

    ways: list[Any] = [
        lambda: load.invalidate(SESAME),
        lambda: colour.face(cache).invalidate(cache.key("session:{token}:1", token=SESAME)),
        lambda: colour.face(cache).invalidate(tags=[cache.key("of:{token}", token=SESAME)]),
        lambda: colour.face(cache).invalidate(
            patterns=[cache.key("session:{token}:", token=SESAME) + "*"]
        ),
        lambda: cache.invalidates("session:{sid!digest}:1")(colour.function(log_out))(SESAME),
        lambda: cache.invalidates(patterns=["session:{sid!digest}:*"])(colour.function(log_out))(
            SESAME
        ),
    ]
    for way in ways:
        colour.run(load, SESAME)
        assert colour.call(cache, "contains", load.key_for(SESAME))
        colour.run(way)
        assert not colour.call(cache, "contains", load.key_for(SESAME))


def test_two_secrets_have_two_entries(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url, namespace="shop")
    load = cache(colour.function(of_token))
    assert colour.run(load, "a") == "1 1"
    assert colour.run(load, "bb") == "2 1"
    assert colour.run(load, "a") == "1 1"
    assert load.key_for("a") != load.key_for("bb") != load.key_for("a", 2)
