"""The pages on operating say what the code does: the lines of rights, and their table."""

from __future__ import annotations

import re
from typing import Final

from dualcache.backends.redis.wire.rights import RIGHTS, Feature, rules_for
from tests.docs.pages import ROOT

ACL: Final = (ROOT / "docs/operating/acl.md").read_text("utf-8")
LEAST: Final = {Feature.CACHE, Feature.PATTERNS}
MADE: Final = (LEAST, LEAST | {Feature.SCRIPTS}, LEAST | {Feature.TRANSACTIONS})
"""The features of the users that the page makes from nothing."""
BESIDES: Final = (
    {Feature.DATABASE},
    {Feature.FLEET},
    {Feature.CLUSTER},
    {Feature.SENTINEL},
    {Feature.TRACKING},
    {Feature.BROADCAST},
    {Feature.PUBSUB, Feature.PUBLISH},
    {Feature.PUBLISH},
)
"""Those that it adds to one of them."""


def test_the_lines_to_paste_are_the_least_rules_of_the_table() -> None:
    lines = re.findall(r"^ACL SETUSER shop-cache (.*)$", ACL, re.MULTILINE)
    wanted = [f"on >a-long-password {rules_for(features, 'shop:')}" for features in MADE]
    known = rules_for(LEAST | {Feature.SCRIPTS}, "shop:").split()
    for features in BESIDES:
        rules = rules_for(features, "shop:").split()
        wanted.append(" ".join(rule for rule in rules if rule not in known))
    assert lines == wanted


def test_the_page_has_each_right_with_what_is_lost_without_it() -> None:
    rows = re.findall(r"^\| `([~+&].*?)` \|.*?\| ([^|]*) \| [^|]* \|$", ACL, re.MULTILINE)
    found = [(rule.replace("\\|", "|"), without) for rule, without in rows]
    assert found == [(right.rule, right.without) for right in RIGHTS]
