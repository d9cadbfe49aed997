"""No name of the user's meets one of ours: parameters and module globals of any name."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.colours import Colour

OURS: Final = (
    "type",
    "KeyError",
    "TypeError",
    "enclosing",
    "wrapper",
    "binder",
    "function",
    "self",
    "cls",
    "value",
    "values",
    "store",
    "owner",
    "call",
    "args",
    "kwargs",
    "_now",
    "_entry",
    "_perform",
    "_function",
    "_index",
    "_absent",
    "_cell",
    "_int",
    "_str",
    "_default_0",
    "_not_found",
    "__entry",
    "___",
    "_",
    "p0",
    "n0",
    "_slowly",
    "_settle",
    "_vary",
    "tuple",
    "isinstance",
    "dict",
)
"""Names that compiled code has, had, or might have had."""
SHAPES: Final = {
    "positional": "{name}, /, other='-'",
    "either": "{name}, other='-'",
    "keyword": "*, {name}, other='-'",
    "default": "{name}='a', *, other='-'",
}


def body_with(parameters: str, name: str, **names: Any) -> Callable[..., Any]:
    """Return a function of these parameters, from a module that has these names."""
    module = ModuleType("users")
    vars(module).update(names, __name__="users")
    exec(f"def body({parameters}):\n    return [{name}, other]\n", vars(module))
    function: Callable[..., Any] = vars(module)["body"]
    return function


@pytest.mark.parametrize("shape", SHAPES)
def test_a_parameter_may_have_any_name(colour: Colour, backend_url: str, shape: str) -> None:
    cache = colour.cache(backend_url)
    for name in OURS:
        function = colour.function(body_with(SHAPES[shape].format(name=name), name))
        load = cache(key=f"{name}:{{{name}}}:{{other}}", tags=["t"])(function)
        args: tuple[str, ...] = ()
        kwargs: dict[str, str] = {}
        for value in ("a", "b", "a", "a", "b"):
            args = (value,) if shape == "positional" else ()
            kwargs = {} if args else {name: value}
            assert colour.run(load, *args, **kwargs) == [value, "-"]
            entry = colour.run(load.peek, *args, **kwargs)
            assert entry.value == [value, "-"]
            assert load.key_for(*args, **kwargs) == f"{name}:{value}:-"
        assert colour.run(load.store, "new", *args, **kwargs) is True
        assert colour.run(load, *args, **kwargs) == "new"
        assert colour.run(load.refresh, *args, **kwargs) == [value, "-"]
        assert colour.run(load.invalidate, *args, **kwargs).removed == 1


def test_a_module_may_have_any_name(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    for name in OURS:
        function = colour.function(body_with("a, *, b=1, other='-'", "a", **{name: "a user's"}))
        load = cache(key=f"{name}:{{a}}:{{b}}:{{other}}")(function)
        for value in ("a", "b", "a", "a", "b"):
            assert colour.run(load, value) == [value, "-"]
        assert colour.run(load, [1]) == colour.run(load, [1]) == [[1], "-"]
        assert colour.run(load.invalidate, "a").removed == 1


def test_a_function_that_invalidates_may_have_any_name_too(colour: Colour) -> None:
    cache = colour.cache("memory://")
    for name in OURS:
        function = colour.function(body_with(f"*, {name}, other='-'", name, **{name: "a user's"}))
        change = cache.invalidates(f"e:{{{name}}}", tags=["{other}"])(function)
        colour.call(cache, "set", "e:a", 1)
        assert colour.run(change, **{name: "a"}) == ["a", "-"]
        assert colour.call(cache, "get", "e:a") is None


def test_methods_may_have_parameters_of_any_name(colour: Colour, backend_url: str) -> None:
    cache = colour.cache(backend_url)
    for name in OURS:
        function = colour.function(body_with(f"this, *, {name}='a', other='-'", name))
        function.__qualname__ = "Users.body"
        body = cache(key=f"m{name}:{{{name}}}", ignore=("other",))(function)
        users: Any = type("Users", (), {"body": body})()
        named: dict[str, str] = {}
        for value in ("a", "b", "b", "b"):
            named = {name: value}
            assert colour.run(users.body, **named) == [value, "-"]
            assert colour.run(users.body.peek, **named).value == [value, "-"]
        assert colour.run(users.body.store, "new", **named) is True
        assert colour.run(users.body, **named) == "new"
        assert colour.run(users.body.invalidate, **named).removed == 1
