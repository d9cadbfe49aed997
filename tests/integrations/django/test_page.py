"""The page of the documentation runs, with its own settings."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import connections
from django.test import override_settings

from dualcache.integrations.django import dualcache_of, shared
from tests.docs.pages import ROOT, blocks_of
from tests.docs.test_snippets import run_block
from tests.patience import patient

if TYPE_CHECKING:
    import pytest

    from tests.servers import Server

PAGE = ROOT / "docs/frameworks/django.md"


async def closed() -> None:
    connections.close_all()
    assert [opened.connection for opened in connections.all()] == [None]


def test_the_code_of_the_page_runs_and_shows_what_it_says(
    redis_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # every statement is run in a loop here
    blocks = [block for block in blocks_of(PAGE) if block.language == "python"]
    names: dict[str, Any] = {"__name__": "shop"}
    with asyncio.Runner() as runner:
        for block in blocks[:2]:
            run_block(PAGE, block, patient(redis_server.url), names, runner)
        assert all(map(apps.is_installed, names["INSTALLED_APPS"]))
        with override_settings(CACHES=names["CACHES"]):
            for block in blocks[2:]:
                run_block(PAGE, block, patient(redis_server.url), names, runner)
            runner.run(dualcache_of().aclose())
        runner.run(closed())  # connections belong to the context that opened them
    shared._made.clear()
