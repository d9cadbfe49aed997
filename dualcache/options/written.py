"""Options as they were written: unknown ones refused, spellings replaced by names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.nearest import nearest
from dualcache.errors import UsageError
from dualcache.options.table import OPTIONS, SPELLINGS, checked

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from dualcache.options.option import Option

__all__ = [
    "by_name",
    "check_negative",
    "chosen",
    "lonely",
    "meant",
    "refuse_single_loads",
    "refuse_unknown",
]

_NEGATIVE: Final = ("cache_exceptions", "negative_ttl")
_CALLED_ELSEWHERE: Final = frozenset(
    other for option in OPTIONS.values() for other in option.elsewhere
)


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known option that was meant: as another cache calls it, or the nearest name."""
    known = tuple(known)
    folded = name.casefold()
    if folded in _CALLED_ELSEWHERE:
        for each in known:
            if each in OPTIONS and folded in OPTIONS[each].elsewhere:
                return each
    return nearest(name, known)


def refuse_unknown(given: Iterable[str], known: Collection[str], *, owner: str) -> None:
    """Raise for the first option that `owner` does not have, and name the one that was meant."""
    for name in given:
        if name not in known:
            close = meant(name, known)
            raise UsageError(
                f"{owner} has no option {name}",
                code="DC151",
                details=(("known", ", ".join(sorted(known)) or "none"),),
                help=f"did you mean {close}?"
                if close
                else "remove it, or use one of the known ones",
            )


def by_name(options: Mapping[str, Any], *, owner: str) -> dict[str, Any]:
    """Return options with each other spelling replaced by the name; refuse both at once."""
    found: dict[str, Any] = {}
    for written, value in options.items():
        name = SPELLINGS.get(written, written)
        if name in found:
            spellings = (name, *OPTIONS[name].spellings)
            raise UsageError(
                f"{owner} has both {' and '.join(each for each in spellings if each in options)}",
                code="DC159",
                help="they are two spellings of one option: write one",
            )
        found[name] = value
    return found


def chosen(options: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    """Return those of the options that have one of the wanted names."""
    return {name: options[name] for name in wanted if name in options}


def lonely(options: Mapping[str, Any], known: Iterable[str]) -> Option | None:
    """Return the first option of `known` that is written without the one that it needs."""
    for name in known:
        option = OPTIONS[name]
        if option.needs and name in options and options.get(option.needs) is None:
            return option
    return None


def check_negative(options: Mapping[str, Any], *, owner: str) -> None:
    """Check which exceptions are remembered, and that it is said for how long."""
    checked("cache_exceptions", options.get("cache_exceptions"), owner=owner)
    given = [name for name in _NEGATIVE if options.get(name) is not None]
    if len(given) == 1:
        lacking = OPTIONS[given[0]].needs
        raise UsageError(
            f"{owner} has {given[0]} without {lacking}",
            code="DC426",
            help='write both: cache_exceptions=LookupError, negative_ttl="30s"',
        )


def refuse_single_loads(written: Collection[str], *, owner: str) -> None:
    """Refuse the options of the load of one key for keys that are loaded together."""
    for name in ("timeout", "hard_timeout", "verify", "refresh_from", *_NEGATIVE):
        if name in written:
            raise UsageError(
                f"{owner} takes no {name}: its keys are loaded together",
                code="DC416",
                help="leave it out, or load each key by itself",
            )
