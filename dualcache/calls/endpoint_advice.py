"""What an endpoint is warned of at decoration: nothing here changes a key or a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dualcache.calls.endpoint import Choice, is_named_id
from dualcache.calls.endpoint_roles import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.calls.endpoint import EndpointOptions
    from dualcache.calls.endpoint_binding import EndpointBinding

__all__ = ["advice", "not_the_id"]


def advice(binding: EndpointBinding) -> Iterator[str]:
    """Yield what is likely wrong with a read, each with its code and what to write."""
    if binding.options.invalidates:
        return
    owner = binding.call.name
    if Role.RESPONSE in binding.roles.values():
        yield (
            f"[DC407] {owner} takes a response and is cached: status and headers that "
            "it sets there are lost on a hit; set them in a dependency or a middleware instead"
        )
    if binding.choice is Choice.NONE:
        for name in filter(is_named_id, binding.candidates):
            yield not_the_id(name, owner, binding.options)


def not_the_id(name: str, owner: str, options: EndpointOptions) -> str:
    """Say that a parameter is called as an id is, and is none by its type."""
    kinds = " or ".join(kind.__name__ for kind in options.types)
    return (
        f"[DC410] {name} of {owner} is no {kinds}, so it is not the id: a read has the id "
        f'"global", and a write deletes no key of its own; write resource_id_name="{name}"'
    )
