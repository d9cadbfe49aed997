"""A function that is decorated before there is an application, and once for each of them."""

from __future__ import annotations

import inspect
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, cast

from flask import current_app, has_request_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache

__all__ = ["AppFunction", "decorated_for_apps"]

HANDLES: Final = frozenset(
    {"invalidate", "invalidate_many", "expire", "refresh", "peek", "store", "warm", "key_for"}
    | {"cache_info", "cache_clear", "cache_parameters"}
)
"""What a decorated function has beside its call."""


def decorated_for_apps(
    function: Any,
    decorate: Callable[[Cache, Any], Any],
    made: Callable[[AppFunction], Any],
    *,
    is_view: bool = False,
) -> Any:
    """Return a function that stands for `function` in each application.

    `made` gives the form that it has in the current one.
    """
    if isinstance(function, staticmethod | classmethod):
        inner = decorated_for_apps(function.__func__, decorate, made, is_view=is_view)
        return type(function)(inner)
    return AppFunction(function, decorate, made, is_view=is_view)


class AppFunction:
    """A decorated function; a call uses the one of the current application.

    To Python it is a function, and a method in a class.
    """

    __slots__ = ("__call__", "__dict__", "__weakref__", "_decorate", "_made")

    def __init__(
        self,
        function: Any,
        decorate: Callable[[Cache, Any], Any],
        made: Callable[[AppFunction], Any],
        *,
        is_view: bool,
    ) -> None:
        update_wrapper(cast("Any", self), function)  # callable by the slot that is set below
        self._decorate = decorate
        self._made = made
        is_coroutine = inspect.iscoroutinefunction(function)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._made(self)(*args, **kwargs)

        def call_view(*args: Any, **kwargs: Any) -> Any:
            # Mostly a plain function already, so that a hit needs no event loop.
            found = self._made(self)
            is_asked = inspect.iscoroutinefunction(found) and has_request_context()
            return (current_app.ensure_sync(found) if is_asked else found)(*args, **kwargs)

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            result = self._made(self)(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        self.__call__ = call_view if is_view else call_async if is_coroutine else call

    def decorated(self, cache: Cache) -> Any:
        """Return the function, decorated by a cache."""
        return self._decorate(cache, vars(self)["__wrapped__"])

    @property  # type: ignore[misc]  # what isinstance() is to see
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleVariableOverride, reportIncompatibleMethodOverride]  the same
        return FunctionType

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(self) if name in HANDLES else self.__call__, name)

    def __get__(self, owner: object, kind: type | None = None) -> Any:
        return self if owner is None else self._made(self).__get__(owner, kind)

    def __repr__(self) -> str:
        return f"<{self.__qualname__} of each application>"
