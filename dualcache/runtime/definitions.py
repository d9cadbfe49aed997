"""The functions that one cache has decorated, by name: the same once more, a later one, or another.

Two functions of one default name would serve each other's results.
"""

from __future__ import annotations

import weakref
from enum import Enum
from typing import TYPE_CHECKING, Any

from dualcache.errors import UsageError
from dualcache.keys.canonical import class_name
from dualcache.keys.identity import (
    globals_of,
    home_module,
    is_interactive,
    written_function,
)
from dualcache.keys.receivers import unkeyed_receivers
from dualcache.runtime.closures import Closure, reference

if TYPE_CHECKING:
    from collections.abc import Collection, MutableMapping

    from dualcache.keys.signature import FunctionSignature

__all__ = ["Definition", "Definitions", "Relation"]


class Relation(Enum):
    """The relation of a function to an earlier one of the same name."""

    SAME = "same"
    """The same code over the same closure: it may serve the other's entries."""
    LATER = "later"
    """Defined again: in a REPL or a notebook, or since its module was loaded again."""
    OTHER = "other"


class Definition:
    """One function as it was defined, without keeping alive what it closes over."""

    def __init__(self, signature: FunctionSignature, ignore: Collection[str]) -> None:
        identity = signature.identity
        written = written_function(identity.function)
        self.function = reference(identity.function)
        self.written = getattr(written, "__code__", None)
        """The code that the user wrote, beneath whatever decorates it."""
        called = written if type(identity.function).__module__ == "functools" else identity.function
        self.code = getattr(called, "__code__", None)
        self.closure = Closure(called)
        self.owner = identity.owner and reference(identity.owner)
        self.receivers = [reference(each) for each in unkeyed_receivers(signature)]
        self.ignored = frozenset(ignore)
        self.globals = globals_of(identity.function)
        self.spec = self.globals.get("__spec__")
        self.is_interactive = is_interactive(identity.function)
        self.claims_name = False
        # By label, so that the same function made a million times is held once. A typed-in one is
        # often gone when the next one is called: only this refers to it then.
        self.holders: MutableMapping[str, Any] = (
            {} if self.is_interactive else weakref.WeakValueDictionary()
        )
        self.pending: list[Any] = []
        """Holders of earlier functions, whose entries are to be cleared before the next call."""

    def relation_to(self, former: Definition) -> Relation:
        """Compare this function with an earlier one of the same name."""
        # Typed in again: in a REPL or a notebook the newer definition replaces the older one,
        # whatever has changed. The same code that is decorated again is judged as elsewhere.
        is_same_text = self.written is not None and self.written is former.written
        if self.is_interactive and not (is_same_text or self.function() is former.function()):
            return Relation.LATER
        if self._has_code_and_closure_of(former):
            return Relation.SAME
        if self.written is None or former.written is None:
            return Relation.OTHER
        # Twice from one file: its module was loaded again, which its globals or its spec show.
        # Twice in one run of it: two functions of one name, as a factory makes them.
        is_same_file = self.written.co_filename == former.written.co_filename
        is_same_run = self.globals is former.globals and self.spec is former.spec
        return Relation.LATER if is_same_file and not is_same_run else Relation.OTHER

    def _has_code_and_closure_of(self, former: Definition) -> bool:
        if self.code is None:  # an object, or written in C
            is_same = self.function() is former.function()
        else:
            is_same = self.closure.is_same(former.closure)
        return (
            is_same
            and self.ignored == former.ignored
            and (self.owner and self.owner()) is (former.owner and former.owner())
            and [each() for each in self.receivers] == [each() for each in former.receivers]
        )


class Definitions:
    """The functions of one cache."""

    def __init__(self) -> None:
        self._by_name: dict[str, Definition] = {}

    def admit(
        self,
        signature: FunctionSignature,
        label: str,
        *,
        ignore: Collection[str],
        holder: Any,
        is_named: bool,
        has_template: bool,
        is_shared: bool,
    ) -> Definition:
        """Remember a function; `UsageError` where another one has its default name.

        `holder` has a method `clear()` for the entries of the function.
        """
        made = Definition(signature, ignore)
        # A name that was given stands for the object too, where nothing in the key tells which.
        made.claims_name = not has_template and (not is_named or bool(made.receivers))
        name = label if is_named else _name_of(signature, label)
        former = self._by_name.get(name)
        if former is not None:
            relation = made.relation_to(former)
            if relation is Relation.OTHER and made.claims_name and former.claims_name:
                raise _another(signature)
            if relation is Relation.SAME:
                made.holders, made.pending = former.holders, former.pending
            # On a server, a module that is loaded again finds its entries, as a new process does.
            elif relation is Relation.LATER and (made.is_interactive or not is_shared):
                made.pending = [*former.pending, *former.holders.values()]
        made.holders[label] = holder
        self._by_name[name] = made
        return made


def _name_of(signature: FunctionSignature, label: str) -> str:
    if signature.qualname.endswith("<lambda>"):
        return label
    identity = signature.identity
    module = home_module(identity.function, signature.module)
    # Objects of different classes are told apart by the names of these, in the key itself.
    of = "" if identity.owner is None else f" of {class_name(identity.owner)}"
    return f"{module}.{signature.qualname}{of}"


def _another(signature: FunctionSignature) -> UsageError:
    short = signature.name[:-2].rpartition(".")[2]
    is_inner = "<locals>" in signature.qualname
    return UsageError(
        f"another function of this cache is called {signature.name}, too",
        code="DC125",
        details=[
            ("name", f"{signature.module}.{signature.qualname}"),
            ("why", "without a separate key or name they would serve each other's results"),
        ],
        help=(
            f'give each its own: @cache(name=f"{short}-{{…}}") with a part that differs'
            " (under a decorator, functools.wraps in it is enough)"
            if is_inner
            else f'give one of them @cache(name="…"), or a key="…" template, or rename {short}'
        ),
    )
