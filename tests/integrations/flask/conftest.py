"""Fixtures: a cache, an application of Flask, and views in both colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import flask
import pytest

from dualcache import Cache
from tests.endpoints.conftest import Stage, is_async
from tests.integrations.http.policies import parsed_status
from tests.patience import patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask.testing import FlaskClient

__all__ = ["is_async"]


class Shop(Stage):
    """An application of Flask and its cache, whose clock the test moves."""

    def __init__(self, url: str, *, is_async: bool) -> None:
        self.now = 1_000_000.0
        super().__init__(Cache(patient(url), clock=lambda: self.now), is_async=is_async)
        self.app = flask.Flask(__name__)
        self.app.testing = True
        self.app.secret_key = "of these tests"
        self.client: FlaskClient = self.app.test_client(use_cookies=False)

    def http(self, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Recolour a view and put it behind HTTP mode."""
        return lambda body: self.cache.http(**options)(self.coloured(body))

    def shown(self, path: str, **options: Any) -> list[Any]:
        """Send a GET; return its JSON, and whether it was a hit or why it was none."""
        answer = self.client.get(path, **options)
        answer.close()
        told = parsed_status(answer.headers["cache-status"])
        return [answer.json, "hit" if told.get("hit") else told.get("detail", told["fwd"])]


@pytest.fixture
def shop(backend_url: str, is_async: bool) -> Iterator[Shop]:
    made = Shop(backend_url, is_async=is_async)
    yield made
    made.close()


@pytest.fixture
def memory_shop(is_async: bool) -> Iterator[Shop]:
    """For what no backend changes."""
    made = Shop("memory://", is_async=is_async)
    yield made
    made.close()
