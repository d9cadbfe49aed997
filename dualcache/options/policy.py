"""From the options of a cache and of a function to the `Policy` that the engine works by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from dualcache.core.callables import adapted, refuse_async
from dualcache.core.entry import NO_OWNER
from dualcache.core.policy import DYNAMIC_TTL_MS, Counters, Policy
from dualcache.options.option import Part
from dualcache.options.table import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dualcache.core.entry import ValueCodec
    from dualcache.core.policy import FunctionPort

__all__ = ["Defaults", "Options", "make_defaults", "make_policy"]

Options: TypeAlias = "Mapping[str, Any]"
"""Options of the policy that were written, by name."""

_ROWS: Final = {name: row for name, row in OPTIONS.items() if row.part is Part.POLICY}
_STEPS: Final = {
    name: (row.field, row.check, row.takes_result, row.may_be_async) for name, row in _ROWS.items()
}
"""The same as tuples: a direct call looks them up on a hit too, and `row.field` is computed."""


class Defaults(NamedTuple):
    """The policy of every function of a cache that does not say otherwise."""

    fields: Mapping[str, Any]
    """Fields of `Policy`, checked once."""
    functions: Options
    """Options that are functions of a call: adapted to the parameters of each function."""


def make_defaults(options: Options, *, owner: str) -> Defaults:
    """Check the options of a cache; where it has none, the table's defaults hold."""
    fields: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    for name, row in _ROWS.items():
        value = options.get(name, row.default)
        if row.takes_result and callable(value):
            refuse_async(value, option=name, owner=owner)
            functions[name] = value
        else:
            fields[row.field] = row.check(value, name, owner=owner)
    return Defaults(fields, functions)


def make_policy(
    label: str,
    value_codec: ValueCodec,
    options: Options,
    defaults: Defaults,
    *,
    owner: str,
    parameters: Collection[str] = (),
    tags_of: Callable[..., tuple[str, ...]] | None = None,
    counters: Counters | None = None,
    front: FunctionPort | None = None,
    mark: bytes = NO_OWNER,
) -> Policy:
    """Check the options of a function or a direct call, and fill in the cache's defaults.

    Raises `UsageError` that names the option and `owner`; `parameters` name its calls'
    arguments (a direct call has none), and `mark` is what its entries carry.
    """
    # Only what was written is checked: a direct call makes a policy each time, on a hit too.
    fields = {**defaults.fields}
    given = {**defaults.functions, **options} if defaults.functions else options
    for name, value in given.items():
        field, check, takes_result, may_be_async = _STEPS[name]
        if takes_result and callable(value):
            function = adapted(
                value, parameters, option=name, owner=owner, may_be_async=may_be_async
            )
            fields[field] = check(function, name, owner=owner)
        else:
            fields[field] = check(value, name, owner=owner)
    ttl = fields["ttl_ms"]
    if callable(ttl):
        fields["ttl_ms"], fields["ttl_of"] = DYNAMIC_TTL_MS, ttl
    return Policy(
        label=label,
        value_codec=value_codec,
        tags_of=tags_of,
        counters=counters or Counters(),
        owner=mark,
        front=front,
        **fields,
    )
