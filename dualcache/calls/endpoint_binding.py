"""A decorated endpoint: the key of a read, and the own and extra names of a write."""

from __future__ import annotations

import warnings
from inspect import Parameter
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.calls.binding import Binding, escaped_glob, full_tags
from dualcache.calls.checks import check_ignored, checked_template, template_check, unkeyable_hint
from dualcache.calls.endpoint import GLOBAL, Choice, choose, is_named_id, no_id, no_request
from dualcache.calls.endpoint_advice import not_the_id
from dualcache.calls.endpoint_roles import (
    Role,
    fits,
    has_type,
    is_left_out,
    method_of,
    role_of,
    speaks_flask,
)
from dualcache.calls.endpoint_variants import mend_of, variant_parts
from dualcache.calls.naming import KeyMaker, extra_parts, make_names, template_parts
from dualcache.calls.rendering import Plan, compile_names
from dualcache.calls.signature import ABSENT
from dualcache.core.policy import Call
from dualcache.core.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dualcache.calls.binding import Naming
    from dualcache.calls.endpoint import EndpointOptions
    from dualcache.calls.rendering import Value
    from dualcache.calls.signature import CallSignature
    from dualcache.core.policy import Policy
    from dualcache.core.templates import Template

__all__ = ["EndpointBinding"]

BUNDLES = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class Deletion(NamedTuple):
    """What a write deletes, without the namespace."""

    keys: tuple[str, ...]
    patterns: tuple[str, ...]


class EndpointBinding(Binding):
    """A decorated endpoint: which parameter is what, and the names that follow from the values.

    What annotations cannot tell at decoration is told by the values of each call.
    """

    __slots__ = (
        "_extras_of",
        "_hints",
        "_is_advised",
        "_is_settled",
        "_naming",
        "_own",
        "_patterns_of",
        "_prefix_names",
        "_reads",
        "candidates",
        "choice",
        "options",
        "request_places",
        "roles",
    )

    def __init__(
        self,
        call: CallSignature,
        naming: Naming,
        make_policy: Callable[[Binding], Policy],
        *,
        options: EndpointOptions,
        prefix: str,
        is_shared: bool,
    ) -> None:
        self.options = options
        self._prefix_names = parse_template(options.prefix, owner=call.name).names
        self._naming = naming
        self._reads: dict[tuple[str, ...], Callable[..., tuple[str, str]]] = {}
        self._own: dict[tuple[str, ...], Callable[..., tuple[str, ...]]] = {}
        super().__init__(call, naming, make_policy, prefix=prefix, is_shared=is_shared)
        # The method of the request is looked at before anything is served.
        self.indexed = None
        extras = [f"{before}:{id_template}" for before, id_template in options.extra]
        self._extras_of = make_names(call, extras, what="key")
        self._patterns_of = make_names(call, options.patterns, what="pattern")
        text = checked_template(call, options.prefix, "key").parts
        literal = (escaped_glob(part) if isinstance(part, str) else "*" for part in text)
        self.clears = f"{''.join(literal)}:*"

    def named(self, naming: Naming, *, is_shared: bool) -> KeyMaker:
        """Look at the parameters; refuse what can be told to be wrong."""
        del is_shared
        check_ignored(self.call, naming.ignore)
        self._is_settled = self._is_advised = False
        self._look(is_last=False)
        if self.options.invalidates and not self.may_have_request:
            raise no_request(self.call)
        chosen = ("id",) if self.choice is Choice.OPEN else _id_of_read(self.choice)
        return KeyMaker(self.template_of(chosen), self.read_key)

    @property
    def may_have_request(self) -> bool:
        """Whether a call may come with a request: by annotation, by name, or from Flask."""
        return (
            Role.REQUEST in self.roles.values()
            or any(
                role is Role.OPEN and "req" in name.lower().split("_")[-1]
                for name, role in self.roles.items()
            )
            or speaks_flask(self.call)
        )

    @property
    def is_surely_read(self) -> bool:
        """Whether every call reads, for no request can tell otherwise."""
        return not self.options.invalidates and not self.may_have_request

    def method(self, values: tuple[Any, ...]) -> str | None:
        """Return the method of this call's request; `None` where there is none."""
        return method_of(values, self.request_places)

    def template_of(self, chosen: tuple[str, ...]) -> str:
        """Return the template of the key for the parameters that are its id."""
        is_literal = chosen == (GLOBAL,) and not self.options.names
        ids = GLOBAL if is_literal else ":".join(f"{{{name}}}" for name in chosen)
        return f"{self.options.prefix}:{ids}"

    def read_key(self, *values: Any) -> str:
        """Return the full key of a read."""
        return self._read_names(values)[1]

    def call_of(self, values: tuple[Any, ...]) -> Call:
        """Return the call of a read; a variant carries the implicit tag of its base key."""
        base, key = self._read_names(values)
        tags: tuple[str, ...] = ()
        if self._tags_of is not None:
            tags = full_tags(self.prefix, self._tags_of(*values))
        if key != base:
            tags = (*tags, f"{self.prefix}~b:{base[len(self.prefix) :]}")
        return Call(key, self.policy, tags, self.loader, values)

    def deletion(self, values: tuple[Any, ...], method: str | None) -> Deletion:
        """Return what a write deletes; the error of a missing id where it would delete nothing."""
        chosen = self._chosen(values)
        own: tuple[str, ...] = ()
        if isinstance(chosen, tuple):
            own = self._own_maker(chosen)(*values)
        elif method != "POST" and not self.options.invalidates:
            raise no_id(self.call, self.options)
        return Deletion((*own, *self._extras_of(*values)), self._patterns_of(*values))

    def _look(self, *, is_last: bool) -> None:
        """Decide by the annotations that can be resolved by now."""
        call, options = self.call, self.options
        self._hints = call.hints()
        self.roles = self._roles()
        named_so = [name for name, role in self.roles.items() if role is Role.REQUEST]
        open_ones = [name for name, role in self.roles.items() if role is Role.OPEN]
        self.request_places = tuple(call.parameters.index(name) for name in named_so + open_ones)
        self.candidates = [
            name
            for name, role in self.roles.items()
            if role in (Role.KEYABLE, Role.OPEN, Role.REFUSED)
        ]
        self.choice = choose(
            self.candidates,
            self._fits,
            lambda name: _is_keyable(self.roles[name]),
            options,
            self._prefix_names,
            call,
        )
        self._is_settled = is_last or not call.unresolved()
        if self.choice is not Choice.OPEN:
            self._template(_id_of_read(self.choice), is_last=is_last)
        if not options.invalidates:
            self._refuse_unkeyable()

    def _roles(self) -> Mapping[str, Role]:
        call = self.call
        roles = {name: role_of(name, self._hints.get(name, ABSENT)) for name in call.parameters}
        for name in self._naming.ignore:
            roles[name] = Role.LEFT_OUT
        if call.first_is_receiver:
            roles[call.parameters[0]] = Role.LEFT_OUT
        for name, parameter in call.signature.parameters.items():
            if parameter.kind in BUNDLES:
                roles[name] = Role.OPEN
        return roles

    def _refuse_unkeyable(self) -> None:
        used = self._prefix_names
        if isinstance(self.choice, tuple):
            used = parse_template(self.template_of(self.choice), owner=self.call.name).names
        for name, role in self.roles.items():
            if role is Role.REFUSED and name not in used:
                raise unkeyable_hint(self.call, name, self._hints[name], mend_of(name))

    def _fits(self, name: str) -> bool | None:
        if self.call.signature.parameters[name].kind in BUNDLES:
            return False
        return fits(self._hints.get(name, ABSENT), self.options.types)

    def _chosen(self, values: tuple[Any, ...]) -> tuple[str, ...] | Choice:
        if not self._is_settled:
            self._look(is_last=True)
        if self.choice is not Choice.OPEN:
            return self.choice
        by_name = dict(zip(self.call.parameters, values, strict=True))

        def fits_value(name: str) -> bool:
            verdict = self._fits(name)
            return has_type(by_name[name], self.options.types) if verdict is None else verdict

        candidates = [
            name for name in self.candidates if not self._is_left_out(name, by_name[name])
        ]
        chosen = choose(
            candidates,
            fits_value,
            lambda _: True,
            self.options,
            self._prefix_names,
            self.call,
        )
        if chosen is Choice.NONE and not self._is_advised:
            self._is_advised = True
            for name in candidates:
                if is_named_id(name) and by_name[name] is not None:
                    warnings.warn(not_the_id(name, self.call.name, self.options), stacklevel=2)
        return chosen

    def _is_left_out(self, name: str, value: Any) -> bool:
        return self.roles[name] is Role.OPEN and is_left_out(name, value)

    def _template(self, chosen: tuple[str, ...], *, is_last: bool) -> Template:
        template = checked_template(self.call, self.template_of(chosen), "key")
        template_check(self.call, template, stores=not self.options.invalidates)(is_last=is_last)
        return template

    def _read_names(self, values: tuple[Any, ...]) -> tuple[str, str]:
        """Return the base key of a read and its key, both in full."""
        chosen = _id_of_read(self._chosen(values))
        maker = self._reads.get(chosen)
        if maker is None:
            maker = self._reads[chosen] = self._read_maker(chosen)
        return maker(*values)

    def _read_maker(self, chosen: tuple[str, ...]) -> Callable[..., tuple[str, str]]:
        call, naming = self.call, self._naming
        template = self._template(chosen, is_last=True)
        base = template_parts(call, template, typed=naming.typed_key)
        added: list[str | Value] = []
        for name, role in self.roles.items():
            if name not in template.names and role in (Role.KEYABLE, Role.OPEN):
                added += variant_parts(call, name, role, self._hints.get(name, ABSENT))
        added += extra_parts(call, naming.vary, naming.version)
        plans = [
            Plan(tuple(parts), "key", call.name, self.prefix) for parts in (base, [*base, *added])
        ]
        return compile_names(
            plans,
            count=len(call.parameters),
            where=f"{call.module}.{call.qualname}",
            known={"_vary": naming.vary},
        )

    def _own_maker(self, chosen: tuple[str, ...]) -> Callable[..., tuple[str, ...]]:
        maker = self._own.get(chosen)
        if maker is None:
            maker = make_names(self.call, [self.template_of(chosen)], what="key")
            self._own[chosen] = maker
        return maker


def _id_of_read(chosen: tuple[str, ...] | Choice) -> tuple[str, ...]:
    return chosen if isinstance(chosen, tuple) else (GLOBAL,)


def _is_keyable(role: Role) -> bool | None:
    return None if role is Role.OPEN else role is Role.KEYABLE
