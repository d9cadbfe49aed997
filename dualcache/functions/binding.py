"""One decorated function and everything that is known of it: how a call becomes a `Call`."""

from __future__ import annotations

import sys
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.entry import OWNER_BYTES
from dualcache.core.policy import Call, Policy
from dualcache.functions.advice import request_mend
from dualcache.functions.compile import compile_loader
from dualcache.keys.names import full_tags, several
from dualcache.keys.open_calls import GivenValues
from dualcache.keys.plans import make_key, make_names, template_parts
from dualcache.keys.receivers import bound_parts, constants_of
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from dualcache.keys.plans import KeyMaker
    from dualcache.keys.signature import FunctionSignature


WEB: Final = ("starlette", "flask", "django", "werkzeug", "aiohttp", "sanic", "litestar")
"""Packages whose functions may answer requests."""


class Naming(NamedTuple):
    """The options of a decorator that say how its keys and tags are made."""

    key: str | None = None
    tags: Sequence[str] = ()
    ignore: Sequence[str] = ()
    vary: Callable[..., Any] | None = None
    version: object = None
    typed_key: bool = False
    name: str | None = None


class Binding:
    """A decorated function: its names, its policy, and what runs it.

    `policy` is made at the first call, when annotations can be resolved.
    """

    __slots__ = (
        "_owner",
        "_policy",
        "_tags_of",
        "clears",
        "indexed",
        "key_of",
        "label",
        "loader",
        "make_policy",
        "naming",
        "prefix",
        "signature",
    )

    def __init__(
        self,
        signature: FunctionSignature,
        naming: Naming,
        make_policy: Callable[[Binding], Policy],
        *,
        prefix: str,
        is_shared: bool,
    ) -> None:
        self.signature = signature
        self.naming = naming
        self.prefix = prefix
        signature.name_in_templates(named_in(signature, naming))
        maker = self.named(naming, is_shared=is_shared)
        self.label = maker.label
        self.key_of = maker.of
        self.loader = compile_loader(signature)
        self.make_policy = make_policy
        self._policy: Policy | None = None
        self._owner: bytes | None = None
        self._tags_of = (
            make_names(signature, naming.tags, what="tag") if naming.tags != () else None
        )
        self.clears = clearing_pattern(naming, maker.label)
        self.indexed = indexed_positions(signature, naming)

    def named(self, naming: Naming, *, is_shared: bool) -> KeyMaker:
        """Return how the key of a call is made."""
        return make_key(
            self.signature,
            prefix=self.prefix,
            key=naming.key,
            ignore=naming.ignore,
            vary=naming.vary,
            version=naming.version,
            typed_key=naming.typed_key,
            name=naming.name,
            is_shared=is_shared,
            mend_of=request_mend,
        )

    @property
    def owner(self) -> bytes:
        """The mark of what this function stores; what is bound to it tells it from others too."""
        if self._owner is None:
            self._owner = owner_of_label(self.label + bound_text(self.signature, self.naming))
        return self._owner

    @property
    def policy(self) -> Policy:
        """How the values of this function are stored and served."""
        if self._policy is None:
            self._policy = self.make_policy(self)
        return self._policy

    def forget_policy(self) -> None:
        """Make the policy anew at the next call: the cache lives elsewhere now."""
        self._policy = None

    def call_of(self, values: tuple[Any, ...]) -> Call:
        """Return the call for values in signature order."""
        policy = self._policy or self._first_policy(values)
        tags_of = self._tags_of
        loader = self.loader if type(values) is tuple else self.loader_of(values)
        if tags_of is None:
            return Call(self.key_of(*values), policy, (), loader, values)
        tags = full_tags(self.prefix, tags_of(*values))
        return Call(self.key_of(*values), policy, tags, loader, values)

    def _first_policy(self, values: tuple[Any, ...]) -> Policy:
        """Make the policy, and look at the first call that needs it."""
        if any(name in sys.modules for name in WEB):
            from dualcache.functions.first_call import look_at

            naming = self.naming
            look_at(self.signature, values, naming.key, has_vary=naming.vary is not None)
        return self.policy

    def loader_of(self, values: tuple[Any, ...]) -> Callable[..., Any]:
        """Return what runs the function for just these values, in signature order."""
        return values.loader if isinstance(values, GivenValues) else self.loader

    def run(self, values: tuple[Any, ...]) -> Any:
        """Call the function itself."""
        return self.loader_of(values)(*values)


def named_in(signature: FunctionSignature, naming: Naming) -> set[str]:
    """Return the parameters that a key is made of or a tag names; none where all are in the key."""
    templates = several(naming.tags, f"tags of {signature.name}", 'write tags=["…"]')
    if naming.key is not None:
        templates.append(naming.key)
    names = names_of(templates)
    if naming.key is None and naming.ignore:
        names |= {*signature.parameters} - {*naming.ignore}
    return names


def names_of(templates: Iterable[object]) -> set[str]:
    """Return the parameters that templates name; what is no template is refused elsewhere."""
    texts = [each for each in templates if isinstance(each, str)]
    return set[str]().union(*(parse_template(each).names for each in texts))


def indexed_positions(signature: FunctionSignature, naming: Naming) -> tuple[int, ...] | None:
    """Return which values make the key; `None` where more than the values does."""
    kinds = {parameter.kind for parameter in signature.by_name.values()}
    if naming.vary is not None or kinds & {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}:
        return None
    if not signature.identity.is_fixed:
        return None
    if naming.key is None:
        names: Collection[str] = set(signature.parameters) - set(naming.ignore)
    else:
        names = parse_template(naming.key, owner=signature.name).names
    return tuple(at for at, name in enumerate(signature.parameters) if name in names)


def bound_text(signature: FunctionSignature, naming: Naming) -> str:
    """Return what is bound to a function, as its keys have it: a partial's values, an object."""
    if not signature.identity.bound:
        return ""
    if naming.key is None:
        return constants_of(bound_parts(signature, naming.ignore, is_named=naming.name is not None))
    template = parse_template(naming.key, owner=signature.name)
    typed = naming.typed_key
    return constants_of(template_parts(signature, template, typed=typed, ignore=naming.ignore))


def owner_of_label(label: str) -> bytes:
    """Return the mark that entries of one function carry: a digest of its key template or name.

    Functions of one template serve each other's entries, so each clears those of the other too.
    """
    from hashlib import blake2b  # loads OpenSSL: not at import, and not before the first call

    data = label.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=OWNER_BYTES, person=b"dualcache owner").digest()


def clearing_pattern(naming: Naming, label: str) -> str:
    """Return a pattern that every key of one function matches; whose a key is, its entry says."""
    if naming.key is None:
        return f"{escaped_glob(label)}*"
    parts = parse_template(naming.key, what="key template", owner=label).parts
    return f"{''.join(escaped_glob(part) if isinstance(part, str) else '*' for part in parts)}*"


def escaped_glob(text: str) -> str:
    """Return literal text as a pattern that matches just itself."""
    return "".join(f"\\{each}" if each in "*?[]^-\\" else each for each in text)
