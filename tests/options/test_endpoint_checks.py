"""The endpoint decorator's options are checked one by one when they are written."""

from __future__ import annotations

from typing import Any

import pytest

from dualcache.errors import UsageError
from dualcache.options.table import checked

EXTRA = {"user_posts": "{user_id}", "latest_posts": "global"}


@pytest.mark.parametrize(
    ("option", "written", "clean"),
    [
        ("key_prefix", "post", "post"),
        ("resource_id_name", None, ()),
        ("resource_id_name", "post_id", ("post_id",)),
        ("resource_id_name", ["org_id", "request.user.id"], ("org_id", "request.user.id")),
        ("resource_id_type", int, (int,)),
        ("resource_id_type", (int, str), (int, str)),
        ("to_invalidate_extra", None, ()),
        ("to_invalidate_extra", EXTRA, tuple(EXTRA.items())),
        ("pattern_to_invalidate_extra", None, ()),
        ("pattern_to_invalidate_extra", ["user_*"], ("user_*",)),
        ("query", None, None),
        ("query", False, False),
        ("query", "page", ("page",)),
        ("query", ["page", "q"], ("page", "q")),
    ],
)
def test_an_option_is_taken_in_each_of_its_forms(option: str, written: Any, clean: Any) -> None:
    assert checked(option, written, owner="load()") == clean


@pytest.mark.parametrize(
    ("option", "written"),
    [
        ("key_prefix", ""),
        ("key_prefix", None),
        ("resource_id_name", ()),
        ("resource_id_name", "post-id"),
        ("resource_id_name", [5]),
        ("resource_id_type", ()),
        ("resource_id_type", "int"),
        ("to_invalidate_extra", ["user_posts"]),
        ("to_invalidate_extra", {"user_posts": 5}),
        ("to_invalidate_extra", {"": "{user_id}"}),
        ("pattern_to_invalidate_extra", "user_*"),
        ("pattern_to_invalidate_extra", 5),
        ("pattern_to_invalidate_extra", ["user_*", ""]),
        ("query", 5),
        ("query", ["page", 5]),
    ],
)
def test_an_option_of_another_form_is_refused_with_what_to_write(option: str, written: Any) -> None:
    with pytest.raises(UsageError, match=rf"{option} of load\(\) is not ") as caught:
        checked(option, written, owner="load()")
    assert caught.value.code == "DC408"
    assert caught.value.help.startswith("write ")
