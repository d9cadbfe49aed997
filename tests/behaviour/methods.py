"""Classes with cached methods beside plain ones, at the top of a module, as pickle needs them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dualcache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

cache = Cache("memory://")


def logged(function: Callable[..., Any]) -> Any:
    """Stand for a decorator of somebody else's that keeps to the rules."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def made(decorate: Callable[..., Any], kind: str) -> Any:
    """Make a class whose methods are decorated, or plain."""

    class Pages:
        """Pages."""

        def __init__(self, name: str) -> None:
            self.name = name

        def __cache_key__(self) -> str:
            return self.name

        def load(self, n: int, /, page: int = 0, *, deep: bool = False) -> list[Any]:
            """Load one."""
            return [self.name, n, page, deep]

        async def later(self, n: int, page: int = 0) -> list[Any]:
            """Load one later."""
            return [self.name, n, page]

        def build(n: int, page: int = 0) -> list[Any]:  # type: ignore[misc]  # noqa: N805  # pyright: ignore[reportSelfClsParameterName]  a static one
            """Build one."""
            return [n, page]

        def of(cls, n: int = 0, page: int = 0) -> list[Any]:  # noqa: N805  # pyright: ignore[reportSelfClsParameterName]  a class's
            """Make one."""
            return [cls.__name__, n, page]  # type: ignore[attr-defined]  # mypy takes it for self

    names = ("load", "later", "build", "of")
    bodies = {name: vars(Pages)[name] for name in names}
    for body in (*bodies.values(), Pages):
        body.__qualname__ = body.__qualname__.rpartition("<locals>.")[2].replace("Pages", kind)
    Pages.__name__ = kind
    pages: Any = Pages
    pages.load, pages.later = decorate(bodies["load"]), decorate(bodies["later"])
    pages.build = staticmethod(decorate(bodies["build"]))
    pages.of = classmethod(decorate(bodies["of"]))
    return pages


Plain = made(plain, "Plain")
Pages = made(cache, "Pages")


@dataclass(frozen=True)
class Holder:
    """An object that holds a bound method of its own."""

    pages: Any
    fetch: Any
