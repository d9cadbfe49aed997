"""The function that every subject caches: `f(user_id: int, page: int = 1)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

USER: Final[dict[str, Any]] = {
    "id": 4_711,
    "name": "Grace Brewster Hopper",
    "email": "grace.hopper@navy.example",
    "is_active": True,
    "balance": 1906.1209,
    "roles": ["admiral", "author", "admin"],
    "address": {"street": "1 Arlington Road", "city": "Arlington", "zip": "VA 22201"},
}
"""About 200 bytes as msgpack."""
TEXT: Final = "x" * 200
PAIRS: Final = 400
"""How many different calls are made where one call again and again would be too kind."""
INT_AND_INT: Final[list[tuple[Any, ...]]] = [(n, n % 7) for n in range(PAIRS)]
TEXT_AND_INT: Final[list[tuple[Any, ...]]] = [(f"name {n}", n % 7) for n in range(PAIRS)]


def dict_function(value: dict[str, Any] | None = None) -> Callable[..., Any]:
    """Return a function whose result is mutable."""
    result = USER if value is None else value

    def get_user(user_id: int, page: int = 1) -> dict[str, Any]:
        del user_id, page
        return result

    return get_user


def text_function(value: str = TEXT) -> Callable[..., Any]:
    """Return a function whose result cannot be changed."""

    def get_user(user_id: int, page: int = 1) -> str:
        del user_id, page
        return value

    return get_user


def async_dict_function(value: dict[str, Any] | None = None) -> Callable[..., Any]:
    """Return a coroutine function whose result is mutable."""
    result = USER if value is None else value

    async def get_user(user_id: int, page: int = 1) -> dict[str, Any]:
        del user_id, page
        return result

    return get_user


def async_text_function(value: str = TEXT) -> Callable[..., Any]:
    """Return a coroutine function whose result cannot be changed."""

    async def get_user(user_id: int, page: int = 1) -> str:
        del user_id, page
        return value

    return get_user


def one_parameter_function(value: str = TEXT) -> Callable[..., Any]:
    """Return a function of one parameter."""

    def get_user(user_id: int) -> str:
        del user_id
        return value

    return get_user


def named_dict_function() -> Callable[..., Any]:
    """Return a function whose first parameter is a text and whose result is mutable."""

    def get_page(name: str, page: int = 0) -> dict[str, Any]:
        del name, page
        return USER

    return get_page


def named_function(value: str = TEXT) -> Callable[..., Any]:
    """Return a function whose first parameter is a text."""

    def get_page(name: str, page: int = 0) -> str:
        del name, page
        return value

    return get_page
