from __future__ import annotations

import pytest

from dualcache.core.flight import Flight, Outcome, failure_of, value_if_any, value_of


def failed() -> Outcome:
    """Return how a load ends whose function failed while it was handling another exception."""
    try:
        try:
            int("no number")
        except ValueError:
            [].pop()
    except IndexError as error:
        return failure_of(error, sequence=1)
    raise AssertionError("nothing was raised")


def while_handling(another: Exception, outcome: Outcome) -> None:
    try:
        raise another
    except type(another):
        value_of(outcome)


def test_an_exception_keeps_its_context_where_a_caller_gets_it_while_handling_another() -> None:
    outcome = failed()
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            while_handling(KeyError(), outcome)
        assert type(caught.value.__context__) is ValueError


def test_each_caller_gets_the_traceback_that_the_exception_came_with() -> None:
    outcome = failed()
    depths = []
    for _ in range(2):
        with pytest.raises(IndexError) as caught:
            value_of(outcome)
        depths.append(len(caught.traceback))
    assert depths[0] == depths[1]


def test_a_leader_in_a_thread_is_never_stuck() -> None:
    assert not Flight("k", object(), thread=1).is_orphaned()


def test_the_value_of_an_outcome_that_is_not_there_is_none() -> None:
    assert value_if_any(None) is None
    assert value_if_any(Outcome("value", None, 1)) == "value"
    with pytest.raises(OSError, match="down"):
        value_if_any(failure_of(OSError("down"), 1))
