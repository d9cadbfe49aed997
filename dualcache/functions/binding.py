"""How the calls of one decorated function become keys and tags."""

from __future__ import annotations

import sys
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.entry import OWNER_BYTES
from dualcache.core.policy import Call
from dualcache.functions.advice import request_fix
from dualcache.functions.compile import compile_loader
from dualcache.keys.names import several
from dualcache.keys.open_calls import loader_of
from dualcache.keys.plans import make_key, make_names, template_parts
from dualcache.keys.receivers import bound_parts, constants_of
from dualcache.keys.templates import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from dualcache.core.policy import Policy
    from dualcache.keys.signature import FunctionSignature

__all__ = [
    "Binding",
    "Naming",
    "escaped_glob",
    "named_in",
    "names_of",
    "owner_of_label",
    "tags_maker",
]


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
    """How calls of one function become keys and tags, and which entries are its own."""

    __slots__ = (
        "_naming",
        "_owner",
        "_signature",
        "_tags_of",
        "clears",
        "indexed",
        "key_of",
        "label",
        "loader",
        "prefix",
    )

    def __init__(
        self, signature: FunctionSignature, naming: Naming, *, prefix: str, is_shared: bool
    ) -> None:
        self._signature = signature
        self._naming = naming
        self.prefix = prefix
        signature.name_in_templates(named_in(signature, naming))
        maker = make_key(
            signature,
            prefix=prefix,
            key=naming.key,
            ignore=naming.ignore,
            vary=naming.vary,
            version=naming.version,
            typed_key=naming.typed_key,
            name=naming.name,
            is_shared=is_shared,
            fix_of=request_fix,
        )
        self.label = maker.label
        self.key_of = maker.of
        self.loader = compile_loader(signature)
        self._owner: bytes | None = None
        self._tags_of = tags_maker(signature, naming, prefix)
        self.clears = _clearing_pattern(naming, maker.label)
        self.indexed = _indexed_positions(signature, naming)

    @property
    def owner(self) -> bytes:
        """The mark of what this function stores; what is bound to it tells it from others too."""
        if self._owner is None:
            self._owner = owner_of_label(self.label + _bound_text(self._signature, self._naming))
        return self._owner

    @property
    def has_template(self) -> bool:
        """Whether the user names the keys, and not the function."""
        return self._naming.key is not None

    def call_of(self, values: tuple[Any, ...], policy: Policy) -> Call:
        """Return the call for values in signature order."""
        tags_of = self._tags_of
        loader = self.loader if type(values) is tuple else loader_of(values, self.loader)
        if tags_of is None:
            return Call(self.key_of(*values), policy, (), loader, values)
        return Call(self.key_of(*values), policy, tags_of(*values), loader, values)

    def look_at(self, values: tuple[Any, ...]) -> None:
        """Warn of what the first call shows to be wrong, where a web framework is there."""
        if any(name in sys.modules for name in WEB):
            from dualcache.functions.first_call import look_at

            naming = self._naming
            look_at(self._signature, values, naming.key, has_vary=naming.vary is not None)

    def doomed_key(self, call: Call) -> str:
        """Return the key that the handle `invalidate` deletes."""
        return call.key


def tags_maker(
    signature: FunctionSignature, naming: Naming, prefix: str
) -> Callable[..., tuple[str, ...]] | None:
    """Compile the making of full tags from arguments; `None` where there are none."""
    if naming.tags == ():
        return None
    return make_names(signature, naming.tags, what="tag", prefix=f"{prefix}~t:")


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


def _indexed_positions(signature: FunctionSignature, naming: Naming) -> tuple[int, ...] | None:
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


def _bound_text(signature: FunctionSignature, naming: Naming) -> str:
    """Return the bound values of a function as its keys have them: of a partial, or an object."""
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


def _clearing_pattern(naming: Naming, label: str) -> str:
    """Return a pattern that every key of one function matches; whose a key is, its entry says."""
    if naming.key is None:
        return f"{escaped_glob(label)}*"
    parts = parse_template(naming.key, what="key template", owner=label).parts
    return f"{''.join(escaped_glob(part) if isinstance(part, str) else '*' for part in parts)}*"


def escaped_glob(text: str) -> str:
    """Return literal text as a pattern that matches just itself."""
    return "".join(f"\\{each}" if each in "*?[]^-\\" else each for each in text)
