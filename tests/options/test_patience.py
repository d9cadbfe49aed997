"""A large command may take longer than the server's answer to a small one."""

from __future__ import annotations

from dualcache.options.patience import LARGE_BYTES, LEAST_BYTES_PER_SECOND, extra_seconds


def test_a_small_command_gets_no_more_time() -> None:
    assert extra_seconds(0) == extra_seconds(LARGE_BYTES) == 0.0


def test_a_large_command_gets_as_long_as_a_slow_link_takes_for_it() -> None:
    assert extra_seconds(LARGE_BYTES + 1) > 0.0
    assert extra_seconds(3 * LEAST_BYTES_PER_SECOND) == 3.0
