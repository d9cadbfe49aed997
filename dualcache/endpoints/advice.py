"""Warnings about an endpoint: nothing here changes a key or a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.endpoints.decisions import IdChoice, is_named_id, not_the_id
from dualcache.frameworks.reading import BODY, IDENTITY, QUERY, parts_read, unkeyed_line
from dualcache.frameworks.roles import ParameterRole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.endpoints.parameters import EndpointParameters

__all__ = ["at_decoration", "at_first_read", "not_the_ids"]


def at_decoration(parameters: EndpointParameters, *, has_vary: bool) -> Iterator[str]:
    """Yield what is likely wrong with an endpoint, unless it may well be one that writes."""
    if not (parameters.options.invalidates or _is_likely_write(parameters)):
        yield from _of_a_read(parameters, has_vary=has_vary)


def at_first_read(parameters: EndpointParameters, *, has_vary: bool) -> Iterator[str]:
    """Yield what could not be said at decoration."""
    if _is_likely_write(parameters):
        yield from _of_a_read(parameters, has_vary=has_vary)
    if parameters.has_own and not has_vary:
        yield from _unkeyed(parameters)


def _is_likely_write(parameters: EndpointParameters) -> bool:
    """Tell whether an endpoint reads the body of its request, itself or as a model."""
    read = parts_read(parameters.signature, parameters.requests)
    return parameters.has_body or not BODY.isdisjoint(read)


def _of_a_read(parameters: EndpointParameters, *, has_vary: bool) -> Iterator[str]:
    """Yield what is likely wrong with a read, each with its code and what to write."""
    owner = parameters.signature.name
    if not (parameters.has_own or has_vary):
        yield from _unkeyed(parameters)
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
        yield from not_the_ids(parameters)


def not_the_ids(parameters: EndpointParameters) -> Iterator[str]:
    """Yield which parameters are called like an id and are none."""
    for name in filter(is_named_id, parameters.candidates):
        yield not_the_id(name, parameters.signature.name, parameters.options)


def _unkeyed(parameters: EndpointParameters) -> Iterator[str]:
    """Yield what a read takes from its request and its key does not hold.

    With parameters of its own, only what tells who asks is worth a warning.
    """
    signature = parameters.signature
    parts = parts_read(signature, parameters.requests)
    if parameters.options.query is not False:
        parts -= QUERY
    if parameters.has_own:
        parts &= IDENTITY
    if parts:
        yield unkeyed_line(signature, min(parts & IDENTITY or parts))
