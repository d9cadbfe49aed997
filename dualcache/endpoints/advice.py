"""What an endpoint is warned of: nothing here changes a key or a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.endpoints.decisions import IdChoice, is_named_id, not_the_id
from dualcache.frameworks.reading import BODY, IDENTITY, QUERY, parts_read, unkeyed_line
from dualcache.frameworks.roles import ParameterRole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.endpoints.binding import EndpointBinding

__all__ = ["at_decoration", "at_first_read", "not_the_ids"]


def at_decoration(binding: EndpointBinding) -> Iterator[str]:
    """Yield what is likely wrong with an endpoint, unless it may well be one that writes."""
    if not (binding.options.invalidates or is_likely_write(binding)):
        yield from of_a_read(binding)


def at_first_read(binding: EndpointBinding) -> Iterator[str]:
    """Yield what could not be said at decoration."""
    if is_likely_write(binding):
        yield from of_a_read(binding)
    if binding.parameters.has_own:
        yield from unkeyed(binding)


def is_likely_write(binding: EndpointBinding) -> bool:
    """Tell whether an endpoint reads the body of its request, itself or as a model."""
    parameters = binding.parameters
    return parameters.has_body or not BODY.isdisjoint(
        parts_read(binding.signature, parameters.requests)
    )


def of_a_read(binding: EndpointBinding) -> Iterator[str]:
    """Yield what is likely wrong with a read, each with its code and what to write."""
    owner, parameters = binding.signature.name, binding.parameters
    if not parameters.has_own:
        yield from unkeyed(binding)
    if ParameterRole.RESPONSE in parameters.roles.values():
        yield (
            f"[DC407] {owner} takes a response and is cached: status and headers that "
            "it sets there are lost on a hit; set them in a dependency or a middleware instead"
        )
    if parameters.has_tasks:
        yield (
            f"[DC407] {owner} takes background tasks and is cached: tasks that it adds there do "
            "not run on a hit; add them in a dependency or a middleware instead"
        )
    if parameters.choice is IdChoice.NONE:
        yield from not_the_ids(binding)


def not_the_ids(binding: EndpointBinding) -> Iterator[str]:
    """Yield which parameters are called like an id and are none."""
    for name in filter(is_named_id, binding.parameters.candidates):
        yield not_the_id(name, binding.signature.name, binding.options)


def unkeyed(binding: EndpointBinding) -> Iterator[str]:
    """Yield what a read takes from its request and its key does not hold.

    With parameters of its own, only what tells who asks is worth a warning.
    """
    signature, options = binding.signature, binding.options
    parts = parts_read(signature, binding.parameters.requests)
    if options.query is not False:
        parts -= QUERY
    if binding.parameters.has_own:
        parts &= IDENTITY
    if parts and not binding.has_vary:
        yield unkeyed_line(signature, min(parts & IDENTITY or parts))
