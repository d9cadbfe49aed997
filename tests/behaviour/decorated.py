"""Functions decorated at the top of a module, as pickle and `inspect` expect to find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dualcache import Cache

cache = Cache("memory://")


@cache(ttl="1m")
def doubled(n: int, *, times: int = 2) -> int:
    """Multiply."""
    return n * times


@cache
async def doubled_later(n: int) -> int:
    """Multiply, later."""
    return n * 2


@dataclass(frozen=True)
class Shop:
    name: str
    loads: ClassVar[list[str]] = []

    @cache(key="shop:{self.name}:{n}", ignore=("currency",))
    def price(self, n: int, currency: str = "EUR") -> str:
        """Tell a price."""
        self.loads.append(f"price {n}")
        return f"{self.name} {n} {currency}"

    @cache
    def by_default_key(self, n: int) -> str:
        self.loads.append(f"default {n}")
        return f"{self.name} {n}"

    @cache(key="later:{self.name}:{n}")
    async def later(self, n: int) -> str:
        self.loads.append(f"later {n}")
        return f"{self.name} {n}"

    @staticmethod
    @cache(key="static:{n}")
    def static(n: int) -> int:
        Shop.loads.append(f"static {n}")
        return n

    @cache(key="outer-static:{n}")
    @staticmethod
    def outer_static(n: int) -> int:
        Shop.loads.append(f"outer static {n}")
        return n

    @classmethod
    @cache(key="class:{n}")
    def of_class(cls, n: int) -> str:
        cls.loads.append(f"class {n}")
        return f"{cls.__name__} {n}"


class Mutable:
    def __init__(self, name: str) -> None:
        self.name = name

    @cache
    def load(self, n: int) -> str:
        return f"{self.name} {n}"


class Named(Mutable):
    def __cache_key__(self) -> str:
        return self.name
