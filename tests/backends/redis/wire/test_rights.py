"""The table of rights: what the servers' words ask for, and the least rules for each use."""

from __future__ import annotations

import pytest

from dualcache.backends.redis.wire.rights import (
    CHANNEL,
    KEYS,
    RIGHTS,
    Feature,
    Loss,
    missing_right,
    right_of,
    right_to,
    rules_for,
)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("NOPERM this user has no permissions to run the 'set' command or its subcommand", "+set"),
        ("NOPERM this user has no permissions to run the 'script' command", "+script|load"),
        ("NOPERM this user has no permissions to run the 'client' command", "+client|…"),
        ("NOPERM User app has no permissions to run the 'client|list' command", "+client|list"),
        ("NOPERM User app has no permissions to run the 'debug|x' command", ""),
        ("ERR ACL failure in script: User app has no permissions to run the 'set' command", "+set"),
        ("ERR The user executing the script can't run this command or sub", "+set +getrange"),
        ("NOPERM No permissions to access a key", KEYS),
        ("NOPERM this user has no permissions to access one of the keys used", KEYS),
        ("ERR The user executing the script can't access at least one of the keys", KEYS),
        ("NOPERM No permissions to access a channel", CHANNEL),
        ("NOPERM this user has no permissions to access one of the channels used", CHANNEL),
        ("NOPERM whatever", ""),
    ],
)
def test_a_refusal_names_the_right_that_it_asks_for(text: str, right: str) -> None:
    assert missing_right(text) == right


def test_a_command_has_its_right() -> None:
    assert right_to(("CLIENT", "TRACKING", "ON")) == "+client|tracking"
    assert right_to(("PING",)) == "+ping"
    assert right_to(("GET", "k")) == "+get"
    assert right_to(("DEBUG", "SLEEP")) == ""
    found = right_of("+scan")
    assert found is not None
    assert found.loss is Loss.TOLD
    assert right_of("+debug") is None


def test_the_least_rules_are_those_of_the_features_with_their_namespace() -> None:
    assert rules_for([Feature.PUBSUB], "shop:") == (
        "resetchannels -@all +ping +role +subscribe &shop:~c +publish"
    )
    assert rules_for({Feature.CACHE}, "").split()[:4] == ["resetchannels", "-@all", "~*", "+get"]


def test_each_rule_is_there_once_and_says_what_is_lost() -> None:
    assert len({right.rule for right in RIGHTS}) == len(RIGHTS)
    assert all(right.without for right in RIGHTS)
