"""The role of each parameter of an endpoint: the request, the id, part of the key, left out.

If annotations do not show it at decoration, the values of each call do.
"""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final

from dualcache.endpoints.decisions import GLOBAL, IdChoice, choose, is_named_id, not_the_id
from dualcache.frameworks.flask_context import speaks_flask
from dualcache.frameworks.roles import (
    ParameterRole,
    fits,
    has_type,
    is_left_out,
    is_named_request,
    is_request,
    method_of,
    role_of,
    takes_tasks,
)
from dualcache.functions.advice import warn_of_function
from dualcache.functions.first_argument import Unnamed, whole_key
from dualcache.keys.classes import field_names
from dualcache.keys.signature import ABSENT
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dualcache.endpoints.options import EndpointOptions
    from dualcache.keys.signature import FunctionSignature

__all__ = ["UNKNOWN", "EndpointParameters", "id_of_read", "refuse_whole_key"]

UNKNOWN: Final = ""
"""The method of a request that does not tell one: such a call is no read."""
BUNDLES = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class EndpointParameters:
    """The role of each parameter of one endpoint, as far as it is known by now."""

    __slots__ = (
        "_ignored",
        "_is_advised",
        "_named_places",
        "_open",
        "candidates",
        "choice",
        "hints",
        "is_settled",
        "options",
        "prefix_names",
        "request_places",
        "roles",
        "signature",
    )

    def __init__(
        self, signature: FunctionSignature, options: EndpointOptions, ignored: Sequence[str]
    ) -> None:
        self.signature = signature
        self.options = options
        self.prefix_names = parse_template(options.prefix, owner=signature.name).names
        self._ignored = ignored
        self._is_advised = False
        self.look(is_last=False)

    def look(self, *, is_last: bool) -> None:
        """Decide by the annotations that can be resolved by now."""
        signature = self.signature
        self.hints = signature.hints()
        self.roles = self._roles()
        named_so = [name for name, role in self.roles.items() if role is ParameterRole.REQUEST]
        open_ones = [name for name, role in self.roles.items() if role is ParameterRole.OPEN]
        self._named_places = tuple(signature.parameters.index(name) for name in named_so)
        self._open = tuple(signature.parameters.index(name) for name in open_ones)
        self.request_places = (*self._named_places, *self._open)
        self.candidates = [
            name
            for name, role in self.roles.items()
            if role in (ParameterRole.KEYABLE, ParameterRole.OPEN, ParameterRole.REFUSED)
        ]
        self.choice = choose(
            self.candidates,
            self._fits,
            lambda name: _is_keyable(self.roles[name]),
            self.options,
            self.prefix_names,
            signature,
        )
        self.is_settled = is_last or not signature.unresolved()

    @property
    def requests(self) -> tuple[str, ...]:
        """The parameters that are a request, by annotation or by name."""
        return tuple(
            name
            for name, role in self.roles.items()
            if role is ParameterRole.REQUEST
            or (role is ParameterRole.OPEN and is_named_request(name))
        )

    @property
    def may_have_request(self) -> bool:
        """Whether a call may come with a request: by annotation, by name, or from a context."""
        return bool(self.requests) or speaks_flask(self.signature)

    @property
    def has_own(self) -> bool:
        """Whether a parameter besides the request tells one call from another."""
        return bool(self.prefix_names) or not {*self.candidates} <= {*self.requests}

    @property
    def has_tasks(self) -> bool:
        """Whether the body is handed background tasks."""
        return takes_tasks(self.hints.values())

    @property
    def has_body(self) -> bool:
        """Whether FastAPI makes a parameter of the request's body: a model, and no dependency."""
        parameters = self.signature.by_name
        return any(
            field_names(hint) is not None
            for name, hint in self.hints.items()
            if isinstance(hint, type) and parameters[name].default is Parameter.empty
        )

    @property
    def label(self) -> tuple[str, ...]:
        """The id that stands for all calls in events and errors."""
        return ("id",) if self.choice is IdChoice.OPEN else id_of_read(self.choice)

    def method(self, values: tuple[Any, ...]) -> str | None:
        """Return the method of this call's request; `None` if there is none.

        An object that has no text as its method (a mock, as tests pass it) has the method
        `UNKNOWN`.
        """
        method = method_of(values, self.request_places)
        if method is not None:
            return method
        is_there = any(values[at] is not None for at in self._named_places)
        return UNKNOWN if is_there or any(is_request(values[at]) for at in self._open) else None

    def chosen(self, values: tuple[Any, ...]) -> tuple[str, ...] | IdChoice:
        """Return the parameters that are the id of one call."""
        if self.choice is not IdChoice.OPEN:
            return self.choice
        by_name = dict(zip(self.signature.parameters, values, strict=True))

        def fits_value(name: str) -> bool:
            verdict = self._fits(name)
            return has_type(by_name[name], self.options.types) if verdict is None else verdict

        candidates = [
            name
            for name in self.candidates
            if not (self.roles[name] is ParameterRole.OPEN and is_left_out(name, by_name[name]))
        ]
        chosen = choose(
            candidates, fits_value, lambda _: True, self.options, self.prefix_names, self.signature
        )
        if chosen is IdChoice.NONE and not self._is_advised:
            self._is_advised = True
            for name in candidates:
                if is_named_id(name) and by_name[name] is not None:
                    warn_of_function(
                        self.signature, not_the_id(name, self.signature.name, self.options)
                    )
        return chosen

    def _roles(self) -> Mapping[str, ParameterRole]:
        signature = self.signature
        roles = {name: role_of(name, self.hints.get(name, ABSENT)) for name in signature.parameters}
        for name in self._ignored:
            roles[name] = ParameterRole.LEFT_OUT
        if signature.first_is_receiver:
            roles[signature.parameters[0]] = ParameterRole.LEFT_OUT
        for name, parameter in signature.by_name.items():
            if parameter.kind in BUNDLES:
                roles[name] = ParameterRole.OPEN
        return roles

    def _fits(self, name: str) -> bool | None:
        if self.signature.by_name[name].kind in BUNDLES:
            return False
        return fits(self.hints.get(name, ABSENT), self.options.types)


def id_of_read(chosen: tuple[str, ...] | IdChoice) -> tuple[str, ...]:
    """Return the id of a read: `("global",)` where no parameter is one."""
    return chosen if isinstance(chosen, tuple) else (GLOBAL,)


def refuse_whole_key(prefix: str, parameters: EndpointParameters) -> None:
    """Raise `UsageError` for a prefix that is a whole key: the id would stand in it twice.

    With a request, or where the id is named, the function is an endpoint, and knows what it does.
    """
    options, used = parameters.options, {*parameters.prefix_names}
    if not isinstance(prefix, Unnamed) or options.names or parameters.may_have_request or not used:
        return
    chosen = parameters.choice
    is_whole = {*chosen} <= used if isinstance(chosen, tuple) else {*parameters.candidates} <= used
    if is_whole:
        raise whole_key(prefix, parameters.signature.name)


def _is_keyable(role: ParameterRole) -> bool | None:
    return None if role is ParameterRole.OPEN else role is ParameterRole.KEYABLE
