"""A decorated endpoint: the key of a read, and the own and extra names of a write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.core.policy import Call
from dualcache.endpoints.advice import at_first_read, not_the_ids
from dualcache.endpoints.decisions import GLOBAL, IdChoice, check_ids, no_id, no_request
from dualcache.endpoints.parameters import (
    UNKNOWN,
    EndpointParameters,
    id_of_read,
    refuse_whole_key,
)
from dualcache.endpoints.query import query_of
from dualcache.endpoints.variants import fix_of, variant_parts
from dualcache.frameworks.reading import QUERY, parts_read
from dualcache.frameworks.roles import ParameterRole
from dualcache.functions.advice import warn_of_function
from dualcache.functions.binding import escaped_glob, named_in, owner_of_label, tags_maker
from dualcache.functions.compile import compile_loader
from dualcache.keys.checks import check_ignored, checked_template, template_check, unkeyable_hint
from dualcache.keys.compile import Plan, Value, compile_names
from dualcache.keys.globs import open_ended
from dualcache.keys.open_calls import loader_of
from dualcache.keys.plans import (
    extra_parts,
    make_deletions,
    make_names,
    template_parts,
)
from dualcache.keys.signature import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.core.policy import Policy
    from dualcache.endpoints.options import EndpointOptions
    from dualcache.functions.binding import Naming
    from dualcache.keys.placeholders import Template
    from dualcache.keys.signature import FunctionSignature

__all__ = ["Deletion", "EndpointBinding"]


class Deletion(NamedTuple):
    """The names that a write deletes, without the namespace."""

    keys: tuple[str, ...]
    patterns: tuple[str, ...]


class EndpointBinding:
    """How calls of one endpoint become keys: of a read, and of what a write deletes."""

    __slots__ = (
        "_extras_of",
        "_has_written",
        "_naming",
        "_own",
        "_owner",
        "_patterns_of",
        "_reads",
        "_reads_query",
        "_signature",
        "_tags_of",
        "clears",
        "indexed",
        "label",
        "loader",
        "options",
        "parameters",
        "prefix",
    )

    def __init__(
        self,
        signature: FunctionSignature,
        naming: Naming,
        options: EndpointOptions,
        *,
        prefix: str,
    ) -> None:
        self._signature = signature
        self._naming = naming
        self.options = options
        self.prefix = prefix
        signature.name_in_templates(named_in(signature, naming))
        check_ignored(signature, naming.ignore)
        check_ids(signature, options.names)
        self.parameters = EndpointParameters(signature, options, naming.ignore)
        refuse_whole_key(options.prefix, self.parameters)
        self._check(is_last=False)
        if options.invalidates and not self.parameters.may_have_request:
            raise no_request(signature)
        self.label = self.template_of(self.parameters.label)
        self.loader = compile_loader(signature)
        # The method of the request is looked at before anything is served.
        self.indexed: tuple[int, ...] | None = None
        self._owner: bytes | None = None
        self._has_written = False
        self._reads: dict[tuple[str, ...], Callable[..., tuple[str, str]]] = {}
        self._own: dict[tuple[str, ...], Callable[..., tuple[str, ...]]] = {}
        self._tags_of = tags_maker(signature, naming, prefix)
        self._reads_query = bool(QUERY & parts_read(signature, self.parameters.requests))
        extras = [f"{before}:{id_template}" for before, id_template in options.extra]
        self._extras_of = make_deletions(signature, extras, "pattern_to_invalidate_extra")
        patterns = [_open_pattern(signature, pattern) for pattern in options.patterns]
        self._patterns_of = make_names(signature, patterns, what="pattern")
        text = checked_template(signature, options.prefix, "key").parts
        literal = (escaped_glob(part) if isinstance(part, str) else "*" for part in text)
        self.clears = f"{''.join(literal)}:*"

    @property
    def owner(self) -> bytes:
        """The mark of what this endpoint stores."""
        if self._owner is None:
            self._owner = owner_of_label(self.label)
        return self._owner

    @property
    def has_template(self) -> bool:
        """Whether the user names the keys: the prefix is a template."""
        return True

    @property
    def is_surely_read(self) -> bool:
        """Whether every call reads, for no request can tell otherwise."""
        return not self.options.invalidates and not self.parameters.may_have_request

    @property
    def has_vary(self) -> bool:
        """Whether the user tells calls apart by more than their parameters."""
        return self._naming.vary is not None

    def method(self, values: tuple[Any, ...]) -> str | None:
        """Return the method of this call's request; `None` where there is none."""
        return self.parameters.method(values)

    def template_of(self, chosen: tuple[str, ...]) -> str:
        """Return the template of the key for the parameters that are its id."""
        is_literal = chosen == (GLOBAL,) and not self.options.names
        ids = GLOBAL if is_literal else ":".join(f"{{{name}}}" for name in chosen)
        return f"{self.options.prefix}:{ids}"

    def key_of(self, *values: Any) -> str:
        """Return the full key of a read."""
        return self._read_names(values)[1]

    def call_of(self, values: tuple[Any, ...], policy: Policy) -> Call:
        """Return the call of a read; a variant carries the implicit tag of its base key."""
        base, key = self._read_names(values)
        tags: tuple[str, ...] = ()
        if self._tags_of is not None:
            tags = self._tags_of(*values)
        if key != base:
            tags = (*tags, f"{self.prefix}~b:{base[len(self.prefix) :]}")
        return Call(key, policy, tags, loader_of(values, self.loader), values)

    def look_at(self, values: tuple[Any, ...]) -> None:
        """Do nothing: likely mistakes with an endpoint are reported where it is decorated."""

    def query(self, values: tuple[Any, ...]) -> str:
        """Write what the request itself adds to the key of a read."""
        wanted = self.options.query
        if wanted is False:
            return ""
        names = wanted if isinstance(wanted, tuple) else None
        is_certain = wanted is not None or self._reads_query
        places = self.parameters.request_places
        return query_of(self._signature, values, places, names, is_certain=is_certain)

    def doomed_key(self, call: Call) -> str:
        """Return the key that the handle `invalidate` deletes.

        Where the request adds to the key it is the base, and every variant dies: the request that
        invalidates is another than the one that read.
        """
        base, key = self._read_names(call.args)
        return base if self.query(call.args) else key

    def deletion(self, values: tuple[Any, ...], method: str | None) -> Deletion:
        """Return the names that a write deletes, or the error of a missing id if there are none."""
        chosen = self._chosen(values)
        own: tuple[str, ...] = ()
        if isinstance(chosen, tuple):
            own = self._own_maker(chosen)(*values)
        elif method not in ("POST", UNKNOWN, None):
            if not self.options.invalidates:
                raise no_id(self._signature, self.options)
            if not self._has_written:
                self._has_written = True
                for line in not_the_ids(self.parameters):
                    warn_of_function(self._signature, line)
        return Deletion((*own, *self._extras_of(*values)), self._patterns_of(*values))

    def _check(self, *, is_last: bool) -> None:
        """Refuse what the annotations that can be resolved by now tell to be wrong."""
        parameters, used = self.parameters, self.parameters.prefix_names
        if parameters.choice is not IdChoice.OPEN:
            used = self._template(id_of_read(parameters.choice), is_last=is_last).names
        if self.options.invalidates:
            return
        for name, role in parameters.roles.items():
            if role is ParameterRole.REFUSED and name not in used:
                raise unkeyable_hint(self._signature, name, parameters.hints[name], fix_of(name))

    def _chosen(self, values: tuple[Any, ...]) -> tuple[str, ...] | IdChoice:
        if not self.parameters.is_settled:
            self.parameters.look(is_last=True)
            self._check(is_last=True)
        return self.parameters.chosen(values)

    def _template(self, chosen: tuple[str, ...], *, is_last: bool) -> Template:
        template = checked_template(self._signature, self.template_of(chosen), "key")
        template_check(self._signature, template, stores=not self.options.invalidates)(
            is_last=is_last
        )
        return template

    def _read_names(self, values: tuple[Any, ...]) -> tuple[str, str]:
        """Return the base key of a read and its key, both in full."""
        chosen = id_of_read(self._chosen(values))
        maker = self._reads.get(chosen)
        if maker is None:
            if not self._reads:
                for line in at_first_read(self.parameters, has_vary=self.has_vary):
                    warn_of_function(self._signature, line)
            maker = self._reads[chosen] = self._read_maker(chosen)
        return maker(*values)

    def _read_maker(self, chosen: tuple[str, ...]) -> Callable[..., tuple[str, str]]:
        signature, naming, parameters = self._signature, self._naming, self.parameters
        template = self._template(chosen, is_last=True)
        base = template_parts(signature, template, typed=naming.typed_key)
        added: list[str | Value] = []
        for name, role in parameters.roles.items():
            if name not in template.names and role in (ParameterRole.KEYABLE, ParameterRole.OPEN):
                added += variant_parts(signature, name, role, parameters.hints.get(name, ABSENT))
        if self.options.query is not False:
            every = f"({''.join(f'p{at}, ' for at in range(len(signature.parameters)))})"
            added.append(Value(every, lambda values: values, self.query, lambda error: error))
        added += extra_parts(signature, naming.vary, naming.version)
        plans = [
            Plan(tuple(parts), "key", signature.name, self.prefix)
            for parts in (base, [*base, *added])
        ]
        return compile_names(
            plans,
            count=len(signature.parameters),
            where=f"{signature.module}.{signature.qualname}",
            known={"_vary": naming.vary},
        )

    def _own_maker(self, chosen: tuple[str, ...]) -> Callable[..., tuple[str, ...]]:
        maker = self._own.get(chosen)
        if maker is None:
            maker = make_names(self._signature, [self.template_of(chosen)], what="key")
            self._own[chosen] = maker
        return maker


def _open_pattern(signature: FunctionSignature, pattern: str) -> str:
    """Return a pattern that also reaches what only begins with it, as the origin's patterns do."""
    last = checked_template(signature, pattern, "pattern").parts[-1]
    return open_ended(pattern) if isinstance(last, str) else f"{pattern}*"
