"""Front tiers of tests: told by the test itself, watched while they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dualcache.drivers.changes import Changes
from dualcache.front.pushes import LocalWrites
from dualcache.front.tier import Front
from dualcache.options.front_tier import FrontTier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class ByHand(LocalWrites):
    """Stands for pushes that the test itself tells; the tier is closed until then."""

    def __init__(self, front: Front) -> None:
        self._front = front

    def after_fork(self) -> None:
        """The tier stays closed."""


def front_by_hand(
    options: FrontTier | None = None,
    *,
    kind: type[Front] = Front,
    now: Callable[[], float] = lambda: 0.0,
    max_staleness: float = 5.0,
    changes: Changes | None = None,
) -> Any:
    """Return a front tier that hears nothing but what the test tells it."""
    return kind(
        options or FrontTier(),
        max_staleness=max_staleness,
        now=now,
        draw=lambda: 0.0,
        changes=changes or Changes(),
        listen=ByHand,
    )


class Noting(Front):
    """Notes what it is told."""

    @property
    def told(self) -> list[Any]:
        found: list[Any] = self.__dict__.setdefault("_told", [])
        return found

    def connected(self, *args: Any, **options: Any) -> int:
        self.told.append("connected")
        return super().connected(*args, **options)

    def lost(self) -> None:
        self.told.append("lost")
        super().lost()

    def broken(self) -> None:
        self.told.append("broken")
        super().broken()

    def proved(self, asked_at: float) -> None:
        self.told.append(("proved", asked_at))
        super().proved(asked_at)

    def feed(self, names: Iterable[str] | None) -> None:
        fed = names if names is None else list(names)
        self.told.append(fed)
        super().feed(fed)

    def feed_matching(self, patterns: Iterable[str]) -> None:
        self.told.append(("matching", *patterns))
        super().feed_matching(patterns)
