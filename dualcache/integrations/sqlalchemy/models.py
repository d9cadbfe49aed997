"""`tags_of_models`: the changes of a session invalidate the tags of its models."""

from __future__ import annotations

from string import Formatter
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Mapper, Session, object_session

from dualcache import UsageError
from dualcache.integrations.sqlalchemy.commits import gather

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy.orm import InstanceState, ORMExecuteState

    from dualcache import Cache

__all__ = ["table_tag", "tags_of_models"]


class ModelTags(NamedTuple):
    """The tags of one model in one cache."""

    cache: Cache
    plain: tuple[str, ...]
    """Tags without placeholders."""
    templates: tuple[str, ...]
    names: tuple[str, ...]
    """The attributes that the templates name."""

    def of(self, values: Mapping[str, Any]) -> list[str]:
        """Return the tags of a row."""
        return [*self.plain, *(self.cache.key(each, **values) for each in self.templates)]


_registered: Final[WeakKeyDictionary[type, list[ModelTags]]] = WeakKeyDictionary()


def tags_of_models(cache: Cache, models: Mapping[Any, str | Iterable[str]]) -> None:
    """Invalidate tags after a commit that changed rows of these models, in any session.

    `{User: ["users", "user:{id}"]}`: the placeholders are column attributes, and a changed row
    invalidates the tags of its old values and of its new ones. A statement that changes rows
    without their objects, such as `session.execute(update(User))`, invalidates the templates
    without placeholders and `table_tag(User)`. Raises `UsageError` for other attributes.
    """
    checked = {model: _checked(cache, model, templates) for model, templates in models.items()}
    for model, tags in checked.items():
        if model not in _registered:
            _registered[model] = []
            for name, listener in _LISTENERS.items():
                event.listen(model, name, listener, propagate=True)
        _registered[model].append(tags)
    if not event.contains(Session, "do_orm_execute", _statement_run):
        event.listen(Session, "do_orm_execute", _statement_run)


def table_tag(model: type) -> str:
    """Return the tag for all rows of a model, which a bulk statement on its table invalidates."""
    table: Any = _mapper_of(model).local_table
    return f"table:{quote(table.fullname, safe='.')}"


def _checked(cache: Cache, model: type, templates: str | Iterable[str]) -> ModelTags:
    mapper = _mapper_of(model)
    written = (templates,) if isinstance(templates, str) else tuple(templates)
    named = {template: _placeholders(cache, template) for template in written}
    found = dict.fromkeys(name for names in named.values() for name in names)
    unknown = [name for name in found if name not in mapper.columns]
    if unknown:
        raise UsageError(
            f"a tag of {model.__name__} names {unknown[0]!r}, which is not a column attribute",
            code="DC473",
            details=[("columns", ", ".join(mapper.columns.keys()))],
            help="use these columns: other attributes can change without the row",
        )
    plain = tuple(cache.key(template) for template, names in named.items() if not names)
    varying = tuple(template for template, names in named.items() if names)
    return ModelTags(cache, plain, varying, tuple(found))


def _mapper_of(model: type) -> Mapper[Any]:
    mapper: object = sa.inspect(model, raiseerr=False)
    if not isinstance(mapper, Mapper):
        raise UsageError(
            f"{getattr(model, '__name__', model)!r} is not a mapped class",
            code="DC472",
            help="give the class of the model: {User: 'user:{id}'}",
        )
    return mapper


def _placeholders(cache: Cache, template: str) -> list[str]:
    try:
        names = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError:
        names = []
    if all(name.isidentifier() for name in names):
        cache.key(template, **dict.fromkeys(names, 0))  # raises for braces that do not match
    return names


def _tags_of(model: type) -> Iterator[ModelTags]:
    """Yield the tags of a model, and of those that it inherits from."""
    for each in model.__mro__:
        yield from _registered.get(each, ())


def _inserted(_: Mapper[Any], connection: sa.Connection, target: object) -> None:
    _changed(connection, target, is_old=False)
    _linked_changed(connection, _linked(target))


def _updating(_: Mapper[Any], connection: sa.Connection, target: object) -> None:
    if _is_modified(target):
        _changed(connection, target, is_old=True)
        _linked_changed(connection, _linked(target))


def _updated(_: Mapper[Any], connection: sa.Connection, target: object) -> None:
    if _is_modified(target):
        _changed(connection, target, is_old=False)


def _deleting(_: Mapper[Any], connection: sa.Connection, target: object) -> None:
    _changed(connection, target, is_old=True)
    _linked_changed(connection, _linked(target, are_all=True))


_LISTENERS: Final = {
    "after_insert": _inserted,
    "before_update": _updating,
    "after_update": _updated,
    "before_delete": _deleting,
}
"""Those of mappers see what dependencies change in a flush as well; the session's do not."""


def _is_modified(target: object) -> bool:
    """Tell whether a row changes, or its rows in a table between two models."""
    session = object_session(target)
    if session is not None and session.is_modified(target, include_collections=False):
        return True
    return next(_linked(target), None) is not None


def _linked(target: object, *, are_all: bool = False) -> Iterator[object]:
    """Yield the objects that are linked or unlinked through a table between two models.

    Other relationships change the rows of one side, which have events of their own.
    """
    state: InstanceState[Any] = sa.inspect(target)
    for relation in state.mapper.relationships:
        if relation.secondary is not None and not relation.viewonly:
            history = state.attrs[relation.key].history
            yield from (*history.added, *history.deleted)
            yield from history.unchanged if are_all else ()


def _linked_changed(connection: sa.Connection, linked: Iterator[object]) -> None:
    for each in linked:
        state: InstanceState[Any] = sa.inspect(each)
        if state.persistent:
            _changed(connection, each, is_old=True)


def _changed(connection: sa.Connection, target: object, *, is_old: bool) -> None:
    session = object_session(target)
    assert session is not None, "a flush has objects of its session"
    for tags in _tags_of(type(target)):
        values = _values(connection, target, tags.names, is_old=is_old)
        if values is not None:
            gather(session, tags.cache, (), tags.of(values))


def _values(
    connection: sa.Connection, target: object, names: Sequence[str], *, is_old: bool
) -> dict[str, Any] | None:
    """Return the attributes of a row before or after a flush; `None`: there is no such row.

    Nothing is loaded into the object. What it does not have, as it is expired or deferred, or was
    set before it was loaded, is read from the database within the flush.
    """
    state: InstanceState[Any] = sa.inspect(target)
    mapper = state.mapper
    values: dict[str, Any] = {}
    for name in names:
        if not is_old and name in state.dict:
            values[name] = state.dict[name]
        elif is_old:
            history = state.attrs[name].history
            for known in (history.deleted, history.unchanged):
                if known:
                    values.setdefault(name, known[0])
    missing = [name for name in names if name not in values]
    if missing:
        key = state.identity if is_old else mapper.primary_key_from_instance(target)
        columns = [mapper.columns[name] for name in missing]
        is_row = [
            column == value for column, value in zip(mapper.primary_key, key or (), strict=True)
        ]
        chosen = sa.select(*columns).select_from(mapper.persist_selectable).where(*is_row)
        row = connection.execute(chosen).first()
        if row is None:
            return None
        values.update(zip(missing, row, strict=True))
    return values


def _statement_run(state: ORMExecuteState) -> None:
    if not (state.is_insert or state.is_update or state.is_delete):
        return
    described: Any = getattr(state.statement, "entity_description", None) or {}
    table = described.get("table")
    for model, registered in [*_registered.items()]:
        if table not in _tables_of(model):
            continue
        for tags in registered:
            gather(state.session, tags.cache, (), [*tags.plain, table_tag(model)])


def _tables_of(model: type) -> set[Any]:
    """Return the tables of a model, of those it inherits from and of those that inherit it."""
    return {table for mapper in _mapper_of(model).self_and_descendants for table in mapper.tables}
