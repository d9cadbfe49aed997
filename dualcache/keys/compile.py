"""Compile the writing of names: one real function per decorated function, for its exact values.

A plan is a list of literals and of values to write. The compiled function is an f-string. If it
fails, `_slowly` repeats the work and names the argument in its error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from msgspec import Struct

from dualcache.errors import UnkeyableArgument, UsageError
from dualcache.keys.globs import has_wildcard
from dualcache.keys.names import SURELY_SHORT, fit
from dualcache.keys.written import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.keys.placeholders import Field
    from dualcache.keys.signature import FunctionSignature

__all__ = ["NameKind", "Plan", "Value", "compile_names", "fault_of"]

NameKind: TypeAlias = Literal["key", "tag", "pattern"]


class Value(Struct, frozen=True):
    """A value inside a name: where it comes from and how it is written."""

    source: str
    """The expression for it, of the compiled function's parameters `p0`, `p1`, … and `known`."""
    read: Callable[[tuple[Any, ...]], Any]
    write: Callable[[Any], str]
    fault: Callable[[UnkeyableArgument], UnkeyableArgument]
    """Makes the error of a value without key form tell whose value it was."""
    field: Field | None = None
    likely_str: bool = False
    """Whether an alphanumeric `str` stands for itself, and is worth a check."""
    is_digested: bool = False
    """Whether no value stands for itself, not even an int."""


class Plan(Struct, frozen=True):
    """How one name is written; `prefix` stands before it and does not count for its length."""

    parts: tuple[str | Value, ...]
    kind: NameKind
    owner: str
    prefix: str = ""

    @property
    def has_text(self) -> bool:
        return any(isinstance(part, str) for part in self.parts)

    @property
    def begins_with_value(self) -> bool:
        return isinstance(self.parts[0], Value)

    def finished(self, name: str) -> str:
        """Return a written name as it is stored: within its length, and not an internal one."""
        name = name[len(self.prefix) :]
        if not name:
            raise UsageError(
                f"the {self.kind} of a call of {self.owner} is empty",
                code="DC106",
                help="add some text to the template: an empty argument leaves nothing",
            )
        if name[0] == "~" and self.begins_with_value:
            name = f"%7E{name[1:]}"
        is_glob = self.kind == "pattern" and has_wildcard(name)
        return self.prefix + (name if is_glob else fit(name))


def compile_names(
    plans: Sequence[Plan],
    *,
    count: int,
    where: str,
    is_single: bool = False,
    settle: Callable[[], bool] | None = None,
    known: Mapping[str, Any] | None = None,
) -> Callable[..., Any]:
    """Compile a function of `count` values that returns the names of `plans`, as a tuple.

    With `is_single`, the one name itself. `settle` is called before the first name is made, and
    again until it returns true; it may raise errors that were not clear at decoration.
    """
    namespace: dict[str, Any] = {
        **(known or {}),
        "_slowly": _slowly_for(plans, is_single=is_single),
    }
    parameters = ", ".join(f"p{number}" for number in range(count))
    lines = [f"def make_name({parameters}):"]
    if settle is not None:
        namespace["_settle"] = _settling(settle, namespace)
        namespace["_is_settled"] = False
        lines.append("    if not _is_settled: _settle()")
    lines.append("    try:" if plans else "    try: pass")
    lines += [
        f"        n{at} = {_expression(plan, at, namespace)}" for at, plan in enumerate(plans)
    ]
    lines += ["    except (ValueError, TypeError, AttributeError, LookupError):"]
    lines.append(f"        return _slowly({parameters})")
    lines += [line for at, plan in enumerate(plans) for line in _finishing(plan, at, namespace)]
    names = "".join(f"n{at}, " for at in range(len(plans)))
    lines.append("    return n0" if is_single else f"    return ({names})")
    execute("\n".join(lines) + "\n", f"<dualcache names of {where}>", namespace)
    make_name: Callable[..., Any] = namespace["make_name"]
    return make_name


def _expression(plan: Plan, at: int, namespace: dict[str, Any]) -> str:
    if not any(isinstance(part, Value) for part in plan.parts):
        return repr(plan.finished(plan.prefix + "".join(map(str, plan.parts))))
    pieces = [_quoted(plan.prefix)]
    for number, part in enumerate(plan.parts):
        if isinstance(part, str):
            pieces.append(_quoted(part))
        else:
            pieces.append(f"{{{_written(part, f'{at}_{number}', namespace)}}}")
    return f"f'{''.join(pieces)}'"


def _written(value: Value, suffix: str, namespace: dict[str, Any]) -> str:
    writer = f"_write{suffix}"
    namespace[writer] = value.write
    source = value.source
    is_formatted = value.field is not None and (value.field.spec or value.field.as_str)
    if is_formatted or value.is_digested or "(" in source:
        return f"{writer}({source})"
    if value.field is not None and value.field.path:
        reached = source
        for number, (is_attribute, step) in enumerate(value.field.path):
            namespace[f"_step{suffix}_{number}"] = step
            reached += f".{step}" if is_attribute else f"[_step{suffix}_{number}]"
        return f"v if type(v := {reached}) is int else {writer}({source})"
    if value.likely_str:
        return f"{source} if type({source}) is str and {source}.isalnum() else {writer}({source})"
    return f"{source} if type({source}) is int else {writer}({source})"


def _finishing(plan: Plan, at: int, namespace: dict[str, Any]) -> list[str]:
    if not any(isinstance(part, Value) for part in plan.parts):
        return []
    start = len(plan.prefix)
    conditions = [f"len(n{at}) > {SURELY_SHORT + start}"]
    if plan.begins_with_value:
        conditions.append(f"n{at}[{start}:{start + 1}] == '~'")
    if not plan.has_text:
        conditions.append(f"len(n{at}) == {start}")
    namespace[f"_finish{at}"] = plan.finished
    return [f"    if {' or '.join(conditions)}: n{at} = _finish{at}(n{at})"]


def _quoted(text: str) -> str:
    """Write text for the inside of an f-string in single quotes."""
    # A double quote in front makes repr() choose single quotes, whatever the text holds.
    return repr(f'"{text}')[2:-1].replace("{", "{{").replace("}", "}}")


def _slowly_for(plans: Sequence[Plan], *, is_single: bool) -> Callable[..., Any]:
    def slowly(*values: Any) -> Any:
        names = tuple(_name_of(plan, values) for plan in plans)
        return names[0] if is_single else names

    return slowly


def _name_of(plan: Plan, values: tuple[Any, ...]) -> str:
    written = [plan.prefix]
    for part in plan.parts:
        if isinstance(part, str):
            written.append(part)
            continue
        value = part.read(values)
        try:
            written.append(part.write(value))
        except UnkeyableArgument as error:
            raise part.fault(error) from error
    return plan.finished("".join(written))


def _settling(settle: Callable[[], bool], namespace: dict[str, Any]) -> Callable[[], None]:
    def settle_once() -> None:
        namespace["_is_settled"] = settle()

    return settle_once


def fault_of(
    signature: FunctionSignature, name: str, help_line: str
) -> Callable[[UnkeyableArgument], UnkeyableArgument]:
    """Return a function that adds to an error which argument cannot be written, and the fix."""
    what = (
        f"argument {name} of {signature.name}"
        if name
        else f"the result of vary for {signature.name}"
    )

    def told(error: UnkeyableArgument) -> UnkeyableArgument:
        if error.code != "DC110":
            return error
        return UnkeyableArgument(
            f"{what} cannot be part of a key",
            code="DC110",
            details=error.details,
            help=help_line,
        )

    return told
