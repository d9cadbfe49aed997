"""What a failure of the listener's connection means, and how long it then waits."""

from __future__ import annotations

import pytest

from dualcache.backends.redis.push.failures import Pauses, is_about_role, is_passing
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable


def refusal(prefix: str) -> BackendRefused:
    error = BackendRefused(prefix, code="DC202")
    error.prefix = prefix
    return error


@pytest.mark.parametrize(
    ("error", "while_opening", "afterwards"),
    [
        (BackendUnavailable("away", code="DC200"), True, False),
        (BackendTimeout("late", code="DC201"), True, False),
        (refusal("LOADING"), True, True),
        (refusal("NOPERM"), False, False),
        (refusal("ERR"), False, False),
        # Not sent again for each transport: accounts lock.
        (refusal("WRONGPASS"), True, False),
        (refusal("NOAUTH"), True, False),
    ],
)
def test_a_server_that_is_away_or_refuses_the_password_is_no_reason_for_another_transport(
    error: BackendError, while_opening: bool, afterwards: bool
) -> None:
    assert is_passing(error, is_open=False) is while_opening
    assert is_passing(error, is_open=True) is afterwards


def test_pauses_grow_up_to_a_second_and_up_to_half_a_minute_where_a_person_has_to_fix_it() -> None:
    pauses = Pauses()
    assert [pauses.next(is_long=False) for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert [pauses.next(is_long=True) for _ in range(6)] == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert pauses.next(is_long=False) == 1.0
    assert Pauses().next(is_long=True) == 1.0


def test_a_role_is_at_fault_where_a_replica_answers() -> None:
    assert is_about_role(refusal("READONLY"))
    assert is_about_role(BackendUnavailable("demoted", code="DC220"))
    assert not is_about_role(refusal("LOADING"))
