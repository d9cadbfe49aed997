"""The page in a real browser: figures that move, a click that invalidates, pictures of each state.

`PICTURES_OF_PAGE=folder pytest tests/dashboard/test_page.py` keeps the pictures; three of them are
in docs/pictures, named by the page on the dashboard.
"""

from __future__ import annotations

import os
from importlib.resources import files
from math import sin
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from dualcache import Cache
from dualcache.dashboard import Dashboard
from dualcache.dashboard.sampling import Point
from tests.dashboard.browser import PROGRAM, Browser
from tests.integrations.http.live import LiveServer
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dashboard.browser import Page
    from tests.servers import Server

pytestmark = pytest.mark.skipif(not PROGRAM, reason="there is no Chromium on this machine")

EVERY_SECONDS: Final = 0.1
WIDE, PHONE = 1180, 390
HOSTILE: Final = '<img src=x onerror="document.title=1">'
AXE: Final = "axe.run(document, {resultTypes: ['violations']})"


class Shop:
    """A program with a cache, some functions, and the dashboard below /cache."""

    def __init__(self, url: str, stream_seconds: float = 20) -> None:
        self.cache = Cache(patient(url), namespace="shop", ttl=300, front=1000)
        self.dashboard = Dashboard(
            self.cache,
            can_write=True,
            show_values=True,
            every=EVERY_SECONDS,
            stream_seconds=stream_seconds,
        )
        self.app = Starlette(routes=[Mount("/cache", self.dashboard)])
        cache = self.cache

        @cache(key="user:{user_id}", tags=["team:{user_id}"], stale_while_revalidate=60)
        def get_user(user_id: int) -> dict[str, Any]:
            return {"id": user_id, "name": f"user {user_id}", "roles": ["reader"] * 5}

        @cache(key="price:{sku}", ttl=30)
        def get_price(sku: str) -> float:
            return len(sku) * 1.5

        @cache(key="search:{text}", condition=bool)
        def search(text: str) -> list[str]:
            return [text] * 40 if len(text) < 5 else []

        @cache(key="rates:{day}")
        def exchange_rates(day: str) -> dict[str, float]:
            raise ConnectionError(day)

        self.get_user, self.get_price = get_user, get_price
        self.search, self.exchange_rates = search, exchange_rates

    def work(self) -> None:
        """Call the functions as a program does, with misses of several kinds."""
        for number in range(240):
            self.get_user(number % 12)
            if number % 2:
                self.get_price(f"sku-{number % 9}")
            if number % 5 == 0:
                self.search("tea" if number % 15 else f"nothing {number}")
        self.get_user.invalidate(3)
        self.get_user(3)
        for day in ("mon", "tue"):
            with pytest.raises(ConnectionError):
                self.exchange_rates(day)

    def remember(self) -> None:
        """Make up the last quarter of an hour, for the pictures: a minute in which fewer hit."""
        sampler = self.dashboard._sampler
        sampler._over.set()  # no sample comes after those that are made up
        now, points = time(), sampler.points
        points.clear()
        for at in range(0, 900, 6):
            missed = 250 if 560 < at < 640 else 0
            hits = int(925 + 30 * sin(at / 60)) - missed
            reads = {
                "user:{user_id}": (hits, 1000 - hits),
                "price:{sku}": (hits - 40, 1040 - hits),
            }
            points.append(
                Point(
                    at=now - 900 + at,
                    requests=180 + 60 * sin(at / 130) + 12 * sin(at / 7),
                    hit_ratio=hits / 1000,
                    load_p95=4 + 1.2 * sin(at / 25) + missed / 30,
                    functions=reads,
                )
            )

    def close(self) -> None:
        self.dashboard.close()
        self.cache.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture
def shop(redis_server: Server) -> Iterator[Shop]:
    made = Shop(redis_server.url)
    yield made
    made.close()


@pytest.fixture
def page(shop: Shop, browser: Browser) -> Iterator[Page]:
    with LiveServer(shop.app) as server:
        opened = browser.open(f"{server.url}/cache/")
        opened.resize(WIDE)
        opened.until("document.querySelector('#live')?.textContent === 'live'")
        yield opened
        opened.send("Page.navigate", url="about:blank")  # ends its stream


def test_figures_move_while_calls_happen_and_a_click_invalidates(
    shop: Shop, page: Page, browser: Browser
) -> None:
    assert "Mount the dashboard" in page.text("#no-functions")
    shop.get_user(1)
    page.until("document.querySelector('#functions .calls')?.textContent === '1'")
    shop.get_user(1)
    page.until("document.querySelector('#functions .calls').textContent === '2'")
    assert "absent 1" in page.text("#functions .why")
    page.click("#functions tbody th a")
    page.until("document.querySelector('#entries tbody tr th')?.textContent === 'user:1'")
    page.click("#entries button.danger")
    page.until("document.querySelector('#keys-status').textContent.includes('is gone')")
    assert shop.cache.peek("user:1") is None
    page.until("document.querySelector('#tail tbody')?.textContent.includes('Invalidated')")
    assert browser.complaints == []


def test_names_of_keys_are_text_and_never_markup(shop: Shop, page: Page, browser: Browser) -> None:
    shop.cache.set(HOSTILE, HOSTILE, tags=[HOSTILE])
    page.value("location.hash = '#keys'")
    page.until("document.querySelector('#entries tbody tr th')")
    page.click("#entries button")
    page.until("document.querySelector('tr.value pre')")
    assert HOSTILE in page.text("#entries")
    assert HOSTILE in page.text("tr.value pre")
    assert page.value("document.querySelectorAll('#entries img').length") == 0
    assert browser.complaints == []


def test_the_keyboard_reaches_the_search_and_what_it_finds(shop: Shop, page: Page) -> None:
    shop.work()
    page.value("location.hash = '#keys'")
    page.until("!document.querySelector('#section-keys').hidden")
    page.value("document.querySelector('[name=tag]').focus()")
    page.type("team:7")
    page.press("Enter", 13)
    page.until("document.querySelector('#entries tbody')?.rows.length === 1")
    page.value("document.querySelector('#drop-tag').focus()")
    page.press("Enter", 13)
    page.until("document.querySelector('#sure').open")
    assert page.value("document.activeElement.id") == "sure-no"
    page.press("Escape", 27)
    page.until("!document.querySelector('#sure').open")
    assert shop.cache.peek("user:7") is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_state_is_drawn_and_axe_finds_nothing_serious(
    shop: Shop, page: Page, scheme: str, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PICTURES_OF_PAGE") or tmp_path)
    page.darken(scheme)
    page.value((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
    drawn: dict[str, bytes] = {"empty": seen(page)}
    shop.work()
    shop.dashboard.sample()
    shop.remember()
    page.until("document.querySelector('#functions tbody')?.rows.length >= 4")
    sections = (
        ("overview", "document.querySelector('#line-ratio polyline')"),
        ("keys", "document.querySelector('#entries tbody')?.rows.length > 10"),
        ("events", "document.querySelector('#tail tbody')?.rows.length > 20"),
        ("doctor", "document.querySelector('#checks li')"),
        ("config", "document.querySelector('#settings tbody')?.rows.length > 0"),
    )
    # Colours differ in the dark, and nothing else: the first two sections have them all.
    for section, ready in sections[:2] if scheme == "dark" else sections:
        page.value(f"location.hash = '#{section}'")
        page.until(ready)
        drawn[section] = seen(page)
    page.resize(PHONE, 844)
    section = "overview" if scheme == "dark" else "keys"
    page.value(f"location.hash = '#{section}'")
    page.until(f"!document.getElementById('section-{section}').hidden")
    assert page.value("document.documentElement.scrollWidth") <= PHONE
    drawn["phone"] = seen(page)
    for name, picture in drawn.items():
        (folder / f"dashboard-{name}-{scheme}.png").write_bytes(picture)


def test_a_server_that_is_gone_and_a_program_that_is_gone_are_told(
    own_server: Server, browser: Browser, tmp_path: Path
) -> None:
    folder = Path(os.environ.get("PICTURES_OF_PAGE") or tmp_path)
    shop = Shop(own_server.url, stream_seconds=0.5)
    with LiveServer(shop.app) as live:
        page = browser.open(f"{live.url}/cache/")
        page.resize(WIDE)
        page.until("document.querySelector('#live')?.textContent === 'live'")
        shop.work()
        own_server.kill()
        for _ in range(2):
            shop.cache.ping()
        page.until("document.querySelector('#backend').className.includes('bad')")
        assert "does not answer" in page.text("#findings")
        page.value((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
        (folder / "dashboard-error-light.png").write_bytes(seen(page))
    page.until("!document.querySelector('#notice').hidden")
    assert "last figures" in page.text("#notice")
    page.send("Page.navigate", url="about:blank")
    browser.complaints.clear()  # of requests that failed, as they should
    shop.close()


def seen(page: Page) -> bytes:
    """Return a picture, once axe has found nothing serious on it."""
    found = page.value(AXE)
    serious = [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary']}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
    ]
    assert serious == [], "\n".join(serious)
    return page.picture()
