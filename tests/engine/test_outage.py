from __future__ import annotations

from typing import Any

import pytest
from fastapi import HTTPException
from werkzeug.exceptions import BadGateway, NotFound
from werkzeug.exceptions import HTTPException as FlaskException

from dualcache.engine.freshness import is_outage
from tests.engine.conversation import cold


def policy(**options: Any) -> Any:
    return cold(**options).policy


def of_django(name: str, *parents: type[Exception]) -> Exception:
    kind: type[Exception] = type(name, parents or (Exception,), {"__module__": "django.http"})
    return kind()


class Answered(Exception):
    """Says its status as other libraries do."""

    def __init__(self, status: Any) -> None:
        self.status_code = status


class DeepLoss(ConnectionResetError):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(), True),
        (HTTPException(404), False),
        (HTTPException(499), False),
        (HTTPException(500), True),
        (HTTPException(503), True),
        (Answered(404), False),
        (Answered("404"), True),
        (Answered(None), True),
        (NotFound(), False),
        (BadGateway(), True),
        (FlaskException(), True),
        (of_django("Http404"), False),
        (of_django("DisallowedHost", type(of_django("SuspiciousOperation"))), False),
        (of_django("OperationalError"), True),
        (type("Http404", (Exception,), {})(), True),
    ],
)
def test_only_a_status_below_500_is_no_outage(error: Exception, expected: bool) -> None:
    assert is_outage(policy(), error) is expected


def test_only_the_types_of_stale_on_count_as_outages() -> None:
    written = policy(stale_on=(ConnectionError, HTTPException))
    assert is_outage(written, DeepLoss()) is True
    assert is_outage(written, HTTPException(404)) is True
    assert is_outage(written, ValueError()) is False


def test_a_callable_of_stale_on_decides_by_the_exception() -> None:
    written = policy(stale_on=lambda error: error.args)
    assert is_outage(written, ValueError("down")) is True
    assert is_outage(written, ValueError()) is False
