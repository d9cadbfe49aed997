"""Django, configured when these tests are collected: nothing of it may be used before."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.colours import Colour
    from tests.integrations.django.project import Face, Project

collect_ignore_glob: list[str] = []
if find_spec("django") is None:
    collect_ignore_glob.append("test_*.py")
else:
    from tests.integrations.django.project import configure

    configure()


@pytest.fixture(scope="session", autouse=True)
def _thread_of_asgiref() -> None:
    """Start the one thread in which asgiref runs sync code, and which never ends."""
    from asgiref.sync import sync_to_async

    asyncio.run(sync_to_async(int)())


@pytest.fixture
def project(colour: Colour, backend_url: str) -> Iterator[Project]:
    from tests.integrations.django.project import Project

    made = Project(colour, backend_url)
    yield made
    made.close()


@pytest.fixture
def cache(project: Project) -> Face:
    """The default cache, without any option of its own."""
    return project.use()
