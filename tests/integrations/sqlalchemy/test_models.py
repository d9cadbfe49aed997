"""Tags of models: what a flush or a statement changes, by its old and its new values."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from dualcache import Cache, KeyTemplateError, UsageError
from dualcache.integrations.sqlalchemy import models, table_tag, tags_of_models
from tests.integrations.sqlalchemy.tables import Admin, Base, Note, Team, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integrations.sqlalchemy.conftest import Shop

TEMPLATES = {User: ["users", "user:{id}", "team:{team_id}"], Admin: "rights:{rights}"}
TAGS = ["users", "user:1", "user:2", "team:1", "team:2", "team:None", "rights:read", "rights:all"]
TABLES = [table_tag(User), table_tag(Admin)]


@pytest.fixture(autouse=True)
def _none_registered() -> Iterator[None]:
    yield
    for registered in models._registered.values():
        registered.clear()


@pytest.fixture
def backend_url() -> str:
    """In memory: which tags die is decided before any server is asked."""
    return "memory://"


@pytest.fixture
def changed(shop: Shop) -> Callable[[Callable[[Session], Any]], set[str]]:
    """Run a body in a session, commit, and return the tags that died, of two users and a team."""
    tags_of_models(shop.cache, TEMPLATES)

    def of(body: Callable[[Session], Any]) -> set[str]:
        shop.session(filled)
        for tag in (*TAGS, *TABLES):
            shop.put(f"of {tag}", tags=(tag,))

        def whole(session: Session) -> None:
            body(session)
            session.commit()

        shop.session(whole)
        return {tag for tag in (*TAGS, *TABLES) if not shop.left(f"of {tag}")}

    return of


def filled(session: Session) -> None:
    session.add_all([Team(id=1, name="red"), Team(id=2, name="blue")])
    session.flush()
    session.add_all([User(id=1, name="Ada", team_id=1), Admin(id=2, name="Eve", rights="all")])
    session.commit()


def test_a_changed_row_concerns_its_own_tags(changed: Any) -> None:
    def body(session: Session) -> None:
        user = session.get_one(User, 1)
        user.name = "Ada L."

    assert changed(body) == {"users", "user:1", "team:1"}


def test_tags_of_the_old_and_of_the_new_values_die(changed: Any) -> None:
    def body(session: Session) -> None:
        session.get_one(User, 1).team_id = 2

    assert changed(body) == {"users", "user:1", "team:1", "team:2"}


def test_an_old_value_that_was_never_loaded_is_read_from_the_database(changed: Any) -> None:
    def body(session: Session) -> None:
        user = session.get_one(User, 1)
        session.expire(user)
        user.team_id = 2
        assert "name" not in sa.inspect(user).dict

    assert changed(body) == {"users", "user:1", "team:1", "team:2"}


def test_an_expired_object_that_is_deleted_has_its_tags_too(changed: Any) -> None:
    def body(session: Session) -> None:
        user = session.get_one(User, 1)
        session.delete(user)
        session.expire(user)

    assert changed(body) == {"users", "user:1", "team:1"}


def test_a_new_row_has_the_key_and_the_defaults_that_the_database_gave(changed: Any) -> None:
    def body(session: Session) -> None:
        session.add(Admin(name="Bob"))

    assert changed(body) == {"users", "team:None", "rights:read"}


def test_a_relationship_changes_rows_whose_objects_nobody_touched(changed: Any) -> None:
    def body(session: Session) -> None:
        team = session.get_one(Team, 1)
        team.users.clear()

    assert changed(body) == {"users", "user:1", "team:1", "team:None"}


@pytest.mark.parametrize("change", ["insert", "update", "delete"])
def test_rows_between_two_models_are_rows_of_both(changed: Any, shop: Shop, change: str) -> None:
    tags_of_models(shop.cache, {Note: "note:{id}"})

    def body(session: Session) -> None:
        user = session.get_one(User, 1)
        if change == "insert":
            session.add(Note(id=1, text="read me", readers=[user]))
            return
        readers = [user] if change == "delete" else []
        session.add(Note(id=1, text="read me", readers=readers))
        session.commit()
        for tag in TAGS:
            shop.put(f"of {tag}", tags=(tag,))
        shop.put("of note:1", tags=("note:1",))
        note = session.get_one(Note, 1)
        if change == "delete":
            session.delete(note)
        else:
            note.readers.append(session.get_one(User, 1))

    assert changed(body) == {"users", "user:1", "team:1"}
    assert shop.left("of note:1") == set()


def test_a_row_that_stays_as_it_is_concerns_nothing(changed: Any) -> None:
    def body(session: Session) -> None:
        session.get_one(User, 1).name = "Ada"
        session.get_one(Team, 1).name = "green"

    assert changed(body) == set()


def test_a_savepoint_that_is_rolled_back_concerns_nothing(changed: Any) -> None:
    def body(session: Session) -> None:
        session.get_one(User, 1).name = "Ada L."
        with session.begin_nested() as savepoint:
            session.get_one(User, 2).name = "Eva"
            session.flush()
            savepoint.rollback()

    assert changed(body) == {"users", "user:1", "team:1"}


@pytest.mark.parametrize(
    "statement",
    [
        update(User).where(User.id == 1).values(name="x"),
        delete(User).where(User.id == 9),
        insert(User).values(name="x", kind="user"),
        update(Base.metadata.tables["users"]).values(name="x"),
        insert(Base.metadata.tables["admins"]).values(id=1, rights="all"),
    ],
    ids=["update", "delete", "insert", "table", "table of a subclass"],
)
def test_a_statement_concerns_all_rows_of_its_table(changed: Any, statement: Any) -> None:
    assert changed(lambda session: session.execute(statement)) == {"users", *TABLES}


def test_a_query_is_a_statement_and_a_select_changes_nothing(changed: Any) -> None:
    def body(session: Session) -> None:
        session.execute(sa.select(User))
        session.execute(update(Note).values(text="x"))
        session.query(User).filter_by(id=1).update({"name": "x"})

    assert changed(body) == {"users", *TABLES}


def test_several_caches_may_follow_one_model(changed: Any) -> None:
    with Cache("memory://") as other:
        tags_of_models(other, {User: "users"})
        other.set("list", 1, tags=["users"])

        def body(session: Session) -> None:
            session.get_one(User, 1).name = "Ada L."

        changed(body)
        assert other.get("list") is None


def test_values_are_written_as_the_decorators_write_them() -> None:
    class Own(DeclarativeBase):
        pass

    class Day(Own):
        __tablename__ = "days of"
        __table_args__ = {"schema": "main"}  # noqa: RUF012

        day: Mapped[date] = mapped_column(primary_key=True)
        title: Mapped[str]

    engine = sa.create_engine("sqlite://")
    Own.metadata.create_all(engine)
    with Cache("memory://") as cache:
        tags_of_models(cache, {Day: ["title:{title}", "day:{day}"]})

        @cache(key="of:{title}", tags=["title:{title}"])
        def titled(title: str) -> str:
            return title

        @cache(key="at:{day}", tags=["day:{day}"])
        def at(day: date) -> date:
            return day

        called: list[tuple[Any, Any]] = [(titled, "a *b*: c"), (at, date(2026, 1, 2))]
        for function, argument in called:
            function(argument)
        with Session(engine) as session:
            session.add(Day(day=date(2026, 1, 2), title="a *b*: c"))
            session.commit()
        assert [function.peek(argument) for function, argument in called] == [None, None]
    engine.dispose()
    assert table_tag(Day) == "table:main.days%20of"


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({User: "user:{idd}"}, "DC473"),
        ({User: "user:{name.first}"}, "DC473"),
        ({User: ["{team_id}", "{}"]}, "DC473"),
        ({int: "x"}, "DC472"),
        ({"User": "x"}, "DC472"),
    ],
    ids=str,
)
def test_what_a_model_does_not_have_is_refused(wanted: Any, code: str) -> None:
    with Cache("memory://") as cache, pytest.raises(UsageError, match=code):
        tags_of_models(cache, wanted)


def test_a_template_with_open_braces_is_refused() -> None:
    with Cache("memory://") as cache, pytest.raises(KeyTemplateError):
        tags_of_models(cache, {User: "user:{id"})
