"""Which parameter is the id, what becomes part of the key, and what is refused at decoration."""

from __future__ import annotations

import uuid
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import pytest
import redis  # noqa: TC002  an annotation that is resolved
from fastapi import BackgroundTasks, Depends, Query, Request, Response, WebSocket
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession  # noqa: TC002  an annotation that is resolved
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from starlette.background import BackgroundTask
from typing_extensions import TypeAliasType

from dualcache import (
    Cache,
    CacheIdentificationInferenceError,
    KeyTemplateError,
    UnkeyableArgument,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable


Alias = TypeAliasType("Alias", int)


class Colour(Enum):
    RED = "red"
    NONE = "None"


class Filters(BaseModel):
    tags: list[str] = []


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


class Account:
    def __init__(self, number: int) -> None:
        self.id = number


def post(request: Request, post_id: int) -> None: ...
def paginated(request: Request, username: str, page: int = 1, items_per_page: int = 10) -> None: ...
def employees(request: Request, org_id: int, dept_id: int) -> None: ...
def countries(request: Request) -> None: ...
def search(request: Request, term: int | str) -> None: ...
def by_uuid(request: Request, item_id: uuid.UUID) -> None: ...
def plain_id(request: Request, id: int) -> None: ...  # noqa: A002
def optional_id(request: Request, post_id: int | None = None) -> None: ...
def annotated_id(request: Request, post_id: Annotated[int, Query()]) -> None: ...
def unannotated(request, post_id): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
def no_parameters() -> None: ...


PAGES = "{username}_posts:page_{page}:items_per_page_{items_per_page}"


@pytest.mark.parametrize(
    ("function", "options", "args", "key"),
    [
        (post, {"key_prefix": "post_cache"}, (123,), "post_cache:123"),
        (
            paginated,
            {"key_prefix": PAGES, "resource_id_name": "username"},
            ("johndoe",),
            "johndoe_posts:page_1:items_per_page_10:johndoe",
        ),
        (
            employees,
            {
                "key_prefix": "org_{org_id}_dept_{dept_id}_employees",
                "resource_id_name": "dept_id",
            },
            (1, 2),
            "org_1_dept_2_employees:2",
        ),
        (
            employees,
            {"key_prefix": "employees", "resource_id_name": ("org_id", "dept_id")},
            (1, 2),
            "employees:1:2",
        ),
        (countries, {"key_prefix": "countries"}, (), "countries:global"),
        (
            search,
            {"key_prefix": "search", "resource_id_type": (int, str)},
            ("a b",),
            "search:a%20b",
        ),
        (search, {"key_prefix": "search", "resource_id_type": (int, str)}, (7,), "search:7"),
        (
            by_uuid,
            {"key_prefix": "item", "resource_id_type": uuid.UUID},
            (uuid.UUID(int=1),),
            "item:00000000-0000-0000-0000-000000000001",
        ),
        (plain_id, {"key_prefix": "post"}, (5,), "post:5"),
        (optional_id, {"key_prefix": "post"}, (5,), "post:5"),
        (annotated_id, {"key_prefix": "post"}, (5,), "post:5"),
        (unannotated, {"key_prefix": "post"}, (5,), "post:5"),
    ],
)
def test_a_key_is_the_prefix_and_the_id(
    cache: Cache, function: Callable[..., Any], options: dict[str, Any], args: Any, key: str
) -> None:
    decorated = cache(**options)(function)
    assert decorated.key_for(None, *args) == key


def test_a_key_without_any_parameter_ends_in_global(cache: Cache) -> None:
    assert cache(key_prefix="settings")(no_parameters).key_for() == "settings:global"


def test_the_prefix_may_be_written_first_without_its_name(cache: Cache) -> None:
    @cache("{username}_post_cache", resource_id_name="id")
    def read(request: Request | None, username: str, id: int) -> None: ...  # noqa: A002

    assert read.key_for(None, "ann", 3) == "ann_post_cache:3"
    with pytest.raises(UsageError, match="DC400"):
        cache("a", key_prefix="b")
    with pytest.raises(UsageError, match="DC400"):
        cache("a", key="b")(post)


def test_options_may_be_written_in_the_order_of_the_origin(cache: Cache) -> None:
    @cache("user_{name}", "user_id", 60)
    def read(request: Request | None, name: str, user_id: int) -> None: ...

    assert read.key_for(None, "ann", 5) == "user_ann:5"
    assert read.cache_parameters()["ttl"] == 60

    @cache("item", None, "5m", (str, int), {"latest": "global"}, ["search_*"])
    def write(request: Any, slug: str) -> None: ...

    cache.set_many({"item:a": 1, "latest:global": 1, "search_x": 1, "other": 1})
    write(Request({"type": "http", "method": "PUT", "path": "/", "headers": []}), "a")
    assert list(cache.get_many(["item:a", "latest:global", "search_x", "other"])) == ["other"]


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (("p", "user_id", 60), {"expiration": 5}, "expiration once"),
        (("p", "user_id"), {"resource_id_name": "id"}, "resource_id_name once"),
        (("p", "user_id", 60, int, None, None, 1), {}, "key_prefix, resource_id_name, expiration"),
        ((post, "user_id"), {}, "more values"),
        ((None, "user_id"), {}, "more values"),
    ],
)
def test_values_that_have_no_place_are_refused(
    cache: Cache, values: tuple[Any, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words) as told:
        cache(*values, **options)
    assert told.value.code == "DC400"


def test_braces_of_the_prefix_itself_are_doubled(cache: Cache) -> None:
    nothing: Any = None
    assert cache(key_prefix="a{{b}}")(post).key_for(nothing, 1) == "a{b}:1"


def test_width_paid_and_valid_are_no_ids(cache: Cache) -> None:
    @cache(key_prefix="image")
    def image(
        request: Request, width: int, paid: int, image_id: int, valid: bool = True
    ) -> None: ...

    assert image.key_for(None, 3, 4, 5) == "image:5:width=3:paid=4:valid=True"  # type: ignore[arg-type]


def test_a_bool_is_no_int(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(request: Request, draft_id: bool, post_id: int) -> None: ...

    assert read.key_for(None, True, 5) == "post:5:draft_id=True"  # type: ignore[arg-type]


def test_two_ids_are_refused_at_decoration_by_name(cache: Cache) -> None:
    with pytest.raises(CacheIdentificationInferenceError) as told:
        cache(key_prefix="employees")(employees)
    assert told.value.code == "DC401"
    assert "org_id and dept_id" in str(told.value)
    assert 'resource_id_name=("org_id", "dept_id")' in str(told.value)


def test_two_ids_without_annotations_are_told_apart_by_value(cache: Cache) -> None:
    @cache(key_prefix="x")
    def read(request, left_id, right_id): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    assert read.key_for(None, "a", 2) == "x:2:left_id=a"
    assert read.key_for(None, 2, "a") == "x:2:right_id=a"
    with pytest.raises(CacheIdentificationInferenceError):
        read.key_for(None, 1, 2)


def test_a_written_type_chooses_the_first_parameter_that_the_prefix_does_not_use(
    cache: Cache,
) -> None:
    @cache(key_prefix="search_{language}", resource_id_type=str)
    def find(request: Request, language: str, page: int, term: str) -> None: ...

    assert find.key_for(None, "en", 2, "x") == "search_en:x:page=2"  # type: ignore[arg-type]


def test_a_read_without_an_id_has_the_id_global_and_its_parameters_behind_it(cache: Cache) -> None:
    @cache(key_prefix="feed_{language}")
    def feed(request: Request | None, language: str, page: int = 1, q: str = "") -> None: ...

    assert feed.key_for(None, "en") == "feed_en:global:page=1:q="
    assert feed.cache_parameters()["key"] == "feed_{language}:global"
    feed.store(None, None, "en")
    feed.store(None, None, "de", 2)
    feed.cache_clear()
    assert feed.peek(None, "en") is feed.peek(None, "de", 2) is None


def test_a_read_without_a_request_may_be_a_list_too(cache: Cache) -> None:
    @cache(key_prefix="feed")
    def feed(page: int = 1) -> int:
        return page

    assert feed.key_for(2) == "feed:global:page=2"
    assert [feed(), feed(2), feed()] == [1, 2, 1]


@pytest.mark.parametrize("written", [{}, {"resource_id_type": uuid.UUID}])
def test_a_list_may_get_nothing_but_what_is_told_by_value(
    cache: Cache, written: dict[str, Any]
) -> None:
    @cache(key_prefix="feed", **written)
    def feed(request, page=1, owner_id=None): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    assert feed.key_for(None) == "feed:global:page=1:owner_id=None"
    if not written:
        assert feed.key_for(None, 1, 5) == "feed:5:page=1"


def test_an_id_of_another_type_is_warned_of(cache: Cache) -> None:
    def read(request: Request, post_id: str) -> None: ...

    with pytest.warns(UserWarning, match=r'DC410.*resource_id_name="post_id"') as told:
        decorated = cache(key_prefix="post")(read)
    assert told[0].filename == __file__
    nothing: Any = None
    assert decorated.key_for(nothing, "a") == "post:global:post_id=a"


def test_an_id_that_turns_out_to_be_of_another_type_is_warned_of_once(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(request, post_id): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    with pytest.warns(UserWarning, match="DC410"):
        assert read.key_for(None, "a") == "post:global:post_id=a"
    assert read.key_for(None, "b") == "post:global:post_id=b"


@pytest.mark.parametrize(
    ("given", "wrong", "help_line"),
    [
        ("post_idd", '"post_idd"', 'did you mean "post_id"?'),
        (("post_id", "post_idd"), '"post_idd"', 'did you mean "post_id"?'),
        ("user.uuid", '"user"', "it has request, post_id"),
    ],
)
def test_an_id_that_is_no_parameter_is_refused_under_its_own_name(
    cache: Cache, given: Any, wrong: str, help_line: str
) -> None:
    with pytest.raises(KeyTemplateError) as told:
        cache(key_prefix="post", resource_id_name=given)(post)
    assert str(told.value) == (
        "[DC102] resource_id_name of post() names an unknown parameter\n"
        f"  id        {wrong} is not a parameter of post(request, post_id)\n"
        f"  help      {help_line}"
    )


def test_an_id_of_a_function_without_parameters_is_refused(cache: Cache) -> None:
    def settings() -> None: ...

    with pytest.raises(KeyTemplateError, match="no parameters: leave resource_id_name out"):
        cache(key_prefix="settings", resource_id_name="user_id")(settings)


@pytest.mark.parametrize("hint", [Request, Annotated[Request, "x"]])
@pytest.mark.parametrize("name", ["request", "incoming"])
def test_a_request_under_a_key_of_all_arguments_is_sent_to_the_endpoint_spelling(
    cache: Cache, hint: Any, name: str
) -> None:
    names: dict[str, Any] = {"hint": hint}
    exec(f"def read({name}: hint, post_id: int) -> None: ...", names)
    with pytest.raises(UnkeyableArgument) as told:
        cache(ttl=60, name="read")(names["read"])
    assert told.value.code == "DC111"
    assert '@cache(key_prefix="…")' in str(told.value)
    assert f'ignore=("{name}",)' in str(told.value)
    assert f"{name}.id" not in str(told.value)
    cache(key_prefix="post")(names["read"])


def test_what_is_only_called_as_a_request_is_not_sent_to_the_endpoint_spelling(
    cache: Cache,
) -> None:
    def read(request: Session) -> None: ...

    with pytest.raises(UnkeyableArgument, match=r"request\.id") as told:
        cache(ttl=60)(read)
    assert "key_prefix" not in str(told.value)


def test_every_other_parameter_is_part_of_the_key_in_signature_order(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(
        request: Request,
        post_id: int,
        page: int = 1,
        language: str | None = None,
        colour: Colour = Colour.RED,
        tags: list[str] | None = None,
    ) -> None: ...

    assert read.key_for(None, 1, tags=["a"], page=2).startswith(  # type: ignore[arg-type]
        "post:1:page=2:language=None:colour=red:tags=~"
    )


def test_none_and_text_that_says_none_do_not_meet(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(
        request: Request, post_id: int, q: str | None = None, c: Colour | None = None
    ) -> None: ...

    keys = {
        read.key_for(None, 1, q, colour)  # type: ignore[arg-type]
        for q in (None, "None", "'None'", "%27None%27", "", "~")
        for colour in (None, Colour.NONE, Colour.RED)
    }
    assert len(keys) == 18


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.uuids(), st.decimals(allow_nan=False), st.dates(), st.sampled_from(Colour),
    st.binary(max_size=3), st.lists(st.integers(), max_size=2), st.tuples(st.text(max_size=2)),
)  # fmt: skip


def mixed(request: Request, post_id: int, first: Any = None, second: Any = None) -> None: ...


def texts(request: Request, post_id: int, a: str | None, b: str | None) -> None: ...


def told_apart(value: Any) -> Any:
    parts = (
        [told_apart(item) for item in value] if isinstance(value, (list, tuple)) else repr(value)
    )
    return type(value).__name__, parts


MIXED = Cache("memory://")(key_prefix="p")(mixed)
TEXTS = Cache("memory://")(key_prefix="p")(texts)


@given(scalars, scalars, scalars, scalars)
def test_two_calls_have_one_key_only_where_their_values_are_the_same(
    a: Any, b: Any, c: Any, d: Any
) -> None:
    is_same = told_apart((a, b)) == told_apart((c, d))
    assert (MIXED.key_for(None, 1, a, b) == MIXED.key_for(None, 1, c, d)) is is_same  # type: ignore[arg-type]


maybe_text = st.one_of(st.none(), st.text("N'one%27:=~b*", max_size=6))


@given(maybe_text, maybe_text, maybe_text, maybe_text)
def test_two_texts_have_one_key_only_where_they_are_the_same(
    a: Any, b: Any, c: Any, d: Any
) -> None:
    one, other = TEXTS.key_for(None, 1, a, b), TEXTS.key_for(None, 1, c, d)  # type: ignore[arg-type]
    assert (one == other) is ((a, b) == (c, d))


def test_framework_objects_are_left_out(cache: Cache) -> None:
    def read(
        request: Request,
        tasks: BackgroundTasks,
        socket: WebSocket,
        session: Session,
        async_session: Annotated[AsyncSession, Depends()],
        post_id: int,
        client: Annotated[redis.Redis | None, Depends()] = None,
    ) -> None: ...

    with pytest.warns(UserWarning, match="DC407"):
        decorated = cache(key_prefix="post")(read)
    arguments: list[Any] = [None, None, None, None, None, 1]
    assert decorated.key_for(*arguments) == "post:1"


def test_framework_objects_without_annotation_are_told_by_value(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(request, post_id, db=None): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    with Session() as session:
        assert read.key_for(request, 1, session) == "post:1"


def test_keyable_dependencies_count(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(
        request: Request,
        post_id: int,
        filters: Annotated[Filters, Depends()],
        user: int = Depends(),
    ) -> None: ...

    nothing: Any = None
    one = read.key_for(nothing, 1, Filters(tags=["a"]), 5)
    other = read.key_for(nothing, 1, Filters(tags=["b"]), 5)
    assert one != other
    assert one.endswith(":user=5")


@pytest.mark.parametrize("kind", [User, Account])
def test_what_is_not_keyable_is_refused_at_decoration_with_the_line_to_write(
    cache: Cache, kind: type
) -> None:
    def read(request: Request, post_id: int, user: Any) -> None: ...

    read.__annotations__["user"] = kind
    with pytest.raises(UnkeyableArgument) as told:
        cache(key_prefix="post")(read)
    assert 'ignore=("user",)' in str(told.value)
    assert "{user.id}" in str(told.value)
    assert "vary=" in str(told.value)


def test_what_is_not_keyable_is_fine_where_it_is_used_ignored_or_only_written(cache: Cache) -> None:
    def read(request: Request, post_id: int, user: User) -> None: ...

    nothing: Any = None
    used = cache(key_prefix="u_{user.id}_post")(read)
    assert used.key_for(nothing, 1, User(id=7)) == "u_7_post:1"
    varied = cache(key_prefix="post", ignore=("user",), vary=lambda *args: args[2].id)(read)
    assert varied.key_for(nothing, 1, User(id=7)) == "post:1:vary=7"
    cache(key_prefix="post", to_invalidate_extra={"latest": "global"})(read)


def test_what_turns_out_not_keyable_is_refused_at_the_call(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(request: Request, post_id: int, user: Any) -> None: ...

    nothing: Any = None
    with pytest.raises(UnkeyableArgument) as told:
        read.key_for(nothing, 1, Account(1))
    assert 'ignore=("user",)' in str(told.value)


def test_a_read_that_takes_a_response_is_warned_about(cache: Cache) -> None:
    def read(request: Request, response: Response, post_id: int) -> None: ...

    with pytest.warns(UserWarning, match="DC407") as told:
        cache(key_prefix="post")(read)
    assert told[0].filename == __file__


@pytest.mark.parametrize("kind", [BackgroundTasks, BackgroundTasks | None, BackgroundTask])
def test_a_read_that_takes_background_tasks_is_warned_about(cache: Cache, kind: Any) -> None:
    def read(request: Request, tasks: Any, post_id: int) -> None: ...

    read.__annotations__["tasks"] = kind
    with pytest.warns(UserWarning, match="DC407.*do not run on a hit") as told:
        cache(key_prefix="post")(read)
    assert told[0].filename == __file__
    cache(key_prefix="post", to_invalidate_extra={"latest": "global"})(read)


def test_a_write_that_takes_a_response_is_not_warned_about(cache: Cache) -> None:
    def write(request: Request, response: Response, post_id: int) -> None: ...

    cache(key_prefix="post", to_invalidate_extra={"latest": "global"})(write)


@pytest.mark.parametrize(
    "extra",
    [{"to_invalidate_extra": {"latest": "global"}}, {"pattern_to_invalidate_extra": ["a_*"]}],
)
def test_invalidating_without_a_request_is_refused_at_decoration(
    cache: Cache, extra: dict[str, Any]
) -> None:
    def write(user_id: int) -> None: ...

    with pytest.raises(UsageError) as told:
        cache(key_prefix="user", **extra)(write)
    assert told.value.code == "DC404"
    assert "request" in str(told.value)
    assert "@cache.invalidates" in str(told.value)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"key": "a:{post_id}", "key_prefix": "a"}, "DC400", "key_prefix="),
        ({"key": "a:{post_id}", "to_invalidate_extra": {"a": "b"}}, "DC400", "@cache.invalidates"),
        ({"resource_id_name": "post_id"}, "DC400", "key_prefix"),
        ({"name": "a", "key_prefix": "a"}, "DC400", "key_prefix="),
        ({"key_prefix": ""}, "DC408", "key_prefix"),
        ({"key_prefix": 5}, "DC408", "key_prefix"),
        ({"key_prefix": "a", "resource_id_name": 5}, "DC408", "resource_id_name"),
        ({"key_prefix": "a", "resource_id_name": "no name"}, "DC408", "resource_id_name"),
        ({"key_prefix": "a", "resource_id_type": "int"}, "DC408", "resource_id_type"),
        ({"key_prefix": "a", "resource_id_type": ()}, "DC408", "resource_id_type"),
        ({"key_prefix": "a", "to_invalidate_extra": ["a"]}, "DC408", "to_invalidate_extra"),
        ({"key_prefix": "a", "to_invalidate_extra": {"a": 5}}, "DC408", "to_invalidate_extra"),
        ({"key_prefix": "a", "pattern_to_invalidate_extra": "a*"}, "DC408", "pattern_to"),
        ({"key_prefix": "a", "pattern_to_invalidate_extra": [5]}, "DC408", "pattern_to"),
        ({"key_prefix": "a", "query": 5}, "DC408", "query"),
        ({"key_prefix": "a", "query": [5]}, "DC408", "query"),
        ({"query": False}, "DC400", "key_prefix"),
        ({"key_prefix": "a", "expiration": 1, "ttl": 1}, "DC159", "expiration"),
        ({"key_prefix": "a", "resource_idname": "a"}, "DC151", "resource_id_name"),
    ],
)
def test_options_that_cannot_be_right_are_refused_at_decoration(
    cache: Cache, options: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(UsageError) as told:
        cache(**options)(post)
    assert told.value.code == code
    assert words in str(told.value)


@pytest.mark.parametrize(
    "options",
    [
        {"key_prefix": "a_{nobody}"},
        {"key_prefix": "a", "to_invalidate_extra": {"b_{nobody}": "global"}},
        {"key_prefix": "a", "to_invalidate_extra": {"b": "{nobody}"}},
        {"key_prefix": "a", "pattern_to_invalidate_extra": ["b_{nobody}_*"]},
    ],
)
def test_templates_that_name_no_parameter_are_refused_at_decoration(
    cache: Cache, options: dict[str, Any]
) -> None:
    with pytest.raises(KeyTemplateError, match="nobody"):
        cache(**options)(post)


def test_a_prefix_that_cannot_tell_two_calls_apart_is_refused(cache: Cache) -> None:
    def read(request: Request, first: str, second: str, post_id: int) -> None: ...

    with pytest.raises(KeyTemplateError, match="DC103"):
        cache(key_prefix="{first}_{second}")(read)


def test_an_endpoint_is_a_cached_function_like_any_other(cache: Cache) -> None:
    @cache(key_prefix="post", expiration=60)
    def read(request: Request, post_id: int) -> int:
        return post_id

    nothing: Any = None
    assert read(nothing, 5) == 5
    entry = read.peek(nothing, 5)
    assert entry is not None
    assert entry.value == 5
    assert entry.tags == ()
    assert read.cache_parameters()["ttl"] == 60
    assert read.invalidate(nothing, 5).removed
    assert read(nothing, 5) == 5
    assert read.cache_info().misses == 2
    read.cache_clear()
    assert read.peek(nothing, 5) is None


def test_classes_that_annotations_name_later_are_looked_at_again(cache: Cache) -> None:
    @cache(key_prefix="item")
    def read(request: Request, item_id: Later, page: int = 1) -> None: ...

    globals()["Later"] = int
    try:
        assert read.key_for(None, 5) == "item:5:page=1"  # type: ignore[arg-type]
    finally:
        del globals()["Later"]


if TYPE_CHECKING:
    Later = int


def test_tags_and_variants_go_together(cache: Cache) -> None:
    runs: list[int] = []

    @cache(key_prefix="post", tags=["posts", "page:{page}"], version=2)
    def read(request: Request | None, post_id: int, page: int = 1) -> int:
        runs.append(page)
        return len(runs)

    assert read.key_for(None, 1) == "post:1:page=1:version=2"
    assert [read(None, 1), read(None, 1, 2), read(None, 1), read(None, 1, 2)] == [1, 2, 1, 2]
    entry = read.peek(None, 1)
    assert entry is not None
    assert entry.tags == ("posts", "page:1")
    cache.invalidate(tags=["page:2"])
    assert [read(None, 1), read(None, 1, 2)] == [1, 3]
    cache.invalidate("post:1")
    assert [read(None, 1), read(None, 1, 2)] == [4, 5]


def test_a_lifetime_and_a_condition_may_look_at_the_arguments(cache: Cache) -> None:
    runs: list[int] = []

    @cache(
        key_prefix="post",
        expiration=lambda *args: 60 if args[2] == 1 else 0,
        condition=lambda *args: args[2] != 3,
    )
    def read(request: Request | None, post_id: int) -> int:
        runs.append(post_id)
        return post_id

    for post_id in (1, 1, 2, 2, 3, 3):
        read(None, post_id)
    assert runs == [1, 2, 2, 3, 3]


def test_very_long_ids_are_digested_and_their_variants_still_die(cache: Cache) -> None:
    runs: list[int] = []

    @cache(key_prefix="post", resource_id_type=str)
    def read(request: Request | None, slug: str, page: int = 1) -> int:
        runs.append(page)
        return len(runs)

    slug = "x" * 2_000
    assert len(read.key_for(None, slug)) <= 512
    assert [read(None, slug), read(None, slug, 2), read(None, slug)] == [1, 2, 1]
    cache.invalidate(cache.key("post:{slug}", slug=slug))
    assert [read(None, slug), read(None, slug, 2)] == [3, 4]


def test_errors_of_an_endpoint_can_be_pickled_and_show_no_value(cache: Cache) -> None:
    import pickle

    @cache(key_prefix="feed")
    def write(request: Request, page: str = "1") -> None: ...

    put = Request({"type": "http", "method": "PUT", "path": "/", "headers": []})
    with pytest.raises(CacheIdentificationInferenceError) as told:
        write(put, "secret")
    assert told.value.code == "DC402"
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)
    assert "secret" not in str(told.value)


def test_bundles_of_arguments_count_but_are_no_ids(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(request: Request | None, post_id: int, *all_id: int, **more: int) -> None: ...

    one, other = read.key_for(None, 1, 2, a=1), read.key_for(None, 1, 2, a=2)
    assert one.startswith("post:1:all_id=~")
    assert one != other


def test_the_object_of_a_method_is_left_out(cache: Cache) -> None:
    class Service:
        @cache(key_prefix="post")
        def read(self, request: Request | None, post_id: int, page: int = 1) -> int:  # noqa: ARG002
            return post_id + page

    service = Service()
    assert service.read(None, 5) == 6
    assert service.read.key_for(None, 5) == "post:5:page=1"


def test_a_default_of_another_kind_than_the_annotation_does_not_meet_it(cache: Cache) -> None:
    def read(request: Request | None, post_id: int, tags: str = ("a",)) -> None: ...  # type: ignore[assignment]

    decorated = cache(key_prefix="post")(read)
    assert decorated.key_for(None, 1) != decorated.key_for(None, 1, "('a')")


def test_a_function_that_can_only_be_told_by_value_is_written_by_value(cache: Cache) -> None:
    @cache(key_prefix="post", to_invalidate_extra={"latest": "global"})
    def write(request, post_id): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    cache.set("post:5", 1)
    write(Request({"type": "http", "method": "PUT", "path": "/", "headers": []}), 5)
    assert cache.get("post:5") is None


def test_an_annotation_may_be_an_alias(cache: Cache) -> None:
    def read(request: Request | None, post_id: Any, page: Any = 1) -> None: ...

    read.__annotations__ |= {"post_id": Alias, "page": Alias}
    assert cache(key_prefix="post")(read).key_for(None, 5) == "post:5:page=1"
