"""The commands that delete: invalidate, clear."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from dualcache.cli import confirming, removing
from dualcache.cli.removing import Stop, remove_all, stoppable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache import Cache
    from tests.cli.running import Shell


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A terminal whose person answers with what the list holds."""
    answers: list[str] = []
    monkeypatch.setattr(confirming, "is_terminal", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answers.pop(0))
    yield answers
    assert not answers


def filled(shop: Cache, count: int = 12) -> None:
    shop.set_many({f"user:{number}": number for number in range(count)})
    shop.set("order:1", 1, tags=["orders"])


def test_a_dry_run_counts_shows_five_and_deletes_nothing(shell: Shell, shop: Cache) -> None:
    filled(shop)
    done = shell.run("invalidate", "--pattern", "user:*", "--dry-run")
    assert (done.code, done.out) == (0, "")
    lines = done.err.splitlines()
    assert lines[0] == "12 keys found, as"
    assert len(lines) == 6
    assert all(line.startswith("  user:") for line in lines[1:])
    document = shell.run("invalidate", "--pattern", "user:*", "--dry-run", "--json").document
    assert document["found"] == 12
    assert len(list(shop.keys())) == 13


def test_without_a_terminal_nothing_is_deleted_unless_yes_is_given(
    shell: Shell, shop: Cache
) -> None:
    filled(shop)
    for command in (["invalidate", "--pattern", "user:*"], ["clear"]):
        done = shell.run(*command)
        assert done.code == 2
        assert "[DC493] nobody can confirm the deletion" in done.err
    assert len(list(shop.keys())) == 13


def test_a_person_is_asked(shell: Shell, shop: Cache, terminal: list[str]) -> None:
    filled(shop)
    terminal.append("n")
    done = shell.run("invalidate", "--pattern", "user:*")
    assert done.code == 1
    assert "nothing was deleted" in done.err
    terminal.append("y")
    done = shell.run("invalidate", "--pattern", "user:*")
    assert (done.code, done.out) == (0, "12 keys removed\n")
    assert list(shop.keys()) == ["order:1"]
    terminal.append("y")
    cleared = shell.run("clear")
    # The tags go with it.
    assert (cleared.code, cleared.out) == (0, "2 keys removed\n")
    assert list(shop.keys()) == []


def test_keys_and_tags_are_deleted_together(shell: Shell, shop: Cache) -> None:
    filled(shop)
    done = shell.run("invalidate", "user:1", "user:99", "--tag", "orders", "-y")
    assert done.code == 0
    assert done.out == "2 keys removed; 1 tag invalidated, with every entry that has one\n"
    assert shop.get("order:1") is None
    assert shop.get("user:1") is None
    assert shop.get("user:2") == 2


def test_the_end_is_told_as_json(shell: Shell, shop: Cache) -> None:
    filled(shop)
    done = shell.run("invalidate", "--pattern", "user:*", "-y", "--json")
    assert done.document == {"removed": 12, "tags": 0, "pending": 0, "stopped": False}


def test_loads_under_way_are_revoked_by_a_pattern_too(shell: Shell, shop: Cache) -> None:
    def load() -> int:
        assert shell.run("invalidate", "--pattern", "user:*", "-y").code == 0
        return 1

    assert shop.get_or_load("user:1", load) == 1
    assert shop.get("user:1") is None


def test_what_would_take_everything_is_refused_before_anything_goes(
    shell: Shell, shop: Cache
) -> None:
    filled(shop)
    for command in (["invalidate", "--pattern", "*", "-y"], ["clear", "-y"]):
        done = shell.bare(*command, "--url", shell.url)
        assert done.code == 2
        assert "UsageError" in done.err
    assert len(list(shop.keys())) == 13


def test_nothing_named_is_refused(shell: Shell) -> None:
    done = shell.run("invalidate")
    assert done.code == 2
    assert "[DC494]" in done.err


def test_a_pace_is_kept(shell: Shell, shop: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(shop)
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(removing, "monotonic", lambda: now[0])
    monkeypatch.setattr(removing, "sleep", sleep)
    assert shell.run("invalidate", "--pattern", "user:*", "-y", "--rate", "4").code == 0
    assert sum(slept) == pytest.approx(12 / 4)


def test_an_interrupt_ends_it_after_the_page_and_says_what_is_gone(
    shell: Shell, shop: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(shop)
    monkeypatch.setattr(removing, "PAGE", 5)
    pages: list[int] = []
    whole = remove_all

    def interrupted(
        cache: Cache, names: Iterator[str], total: int, rate: int | None, stop: Stop
    ) -> tuple[int, int]:
        def counted() -> Iterator[str]:
            for number, name in enumerate(names):
                if number == 7:
                    os.kill(os.getpid(), signal.SIGINT)
                yield name

        pages.append(total)
        return whole(cache, counted(), total, rate, stop)

    monkeypatch.setattr("dualcache.cli.invalidate.remove_all", interrupted)
    done = shell.run("invalidate", "--pattern", "user:*", "-y")
    assert (done.code, done.out) == (130, "10 keys removed\n")
    assert done.err.endswith("the rest is unchanged\n")
    assert len(list(shop.keys("user:*"))) == 2


def test_a_second_interrupt_ends_it_at_once() -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell began this in the background
    with stoppable() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
