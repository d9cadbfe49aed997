"""Of which streams an entry depends that was made of several reads."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.core.front_ports import UNTRACKED, heard_together


@pytest.mark.parametrize(
    ("reads", "together"),
    [
        ([None], None),
        ([None, None], None),
        ([3, 3], 3),
        ([3, 4], (3, 4)),
        ([3, (4, 5)], (3, 4, 5)),
        ([3, None], UNTRACKED),
        ([(1,)], (1,)),
        ([(2,), (1, 2)], (1, 2)),
        ([(1,), UNTRACKED], UNTRACKED),
        ([(1,), None], UNTRACKED),
        ([UNTRACKED], UNTRACKED),
    ],
    ids=repr,
)
def test_an_entry_depends_on_the_streams_of_all_its_reads(reads: list[Any], together: Any) -> None:
    assert heard_together(reads) == together
