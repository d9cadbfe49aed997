from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.pending import PendingLoad


class Lease:
    """What a driver holds for a call, and what became of it."""

    def __init__(self, interrupt: BaseException | None = None) -> None:
        self.interrupt = interrupt
        self.told: list[Any] = []

    def begin(self) -> None:
        self.told.append("begun")

    def finish(self, value: Any, error: BaseException | None, pending: PendingLoad) -> Any:
        pending.clear()
        self.told.append((value, error))
        return value

    def give_back(self) -> None:
        self.told.append("given back")
        if self.interrupt is not None:
            raise self.interrupt


def given_to(pending: PendingLoad) -> tuple[Any, BaseException | None]:
    return pending.result, pending.error


def test_what_a_function_gave_is_handed_on_and_not_kept() -> None:
    lease = Lease()
    pending = PendingLoad([lease])
    pending.begin()
    pending.result = "v"
    assert pending.finish() == "v"
    assert lease.told == ["begun", ("v", None)]
    assert given_to(pending) == (None, None)


def test_a_call_that_was_interrupted_gives_back_what_it_holds_and_keeps_nothing() -> None:
    lease = Lease()
    pending = PendingLoad([lease])
    pending.begin()
    pending.result, pending.error = "v", KeyboardInterrupt()
    pending.close()
    assert lease.told == ["begun", "given back"]
    assert given_to(pending) == (None, None)
    assert not pending


def test_what_is_given_back_is_held_no_more_even_if_that_is_interrupted() -> None:
    pending = PendingLoad([Lease(KeyboardInterrupt())])
    with pytest.raises(KeyboardInterrupt):
        pending.close()
    assert not pending
