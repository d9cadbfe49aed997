"""How the values of one cache are stored, unless a function says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cachetools import LRUCache

from dualcache.codecs.advice import Teller
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import DEFAULT_MAX_BYTES
from dualcache.core.entry import MISSING
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dualcache.core.entry import ValueCodec

__all__ = ["ValueCodecs"]

_NOTHING: Final[Mapping[str, Any]] = {}
_MOST_KNOWN: Final = 1_024
"""How many annotations of direct calls are remembered."""


class ValueCodecs:
    """Makes value codecs with the codec, the secrets and the limits of one cache.

    `is_shared`: other processes read what is stored. What one of them learns of classes, by storing
    a value or by an annotation, all of them know.
    """

    def __init__(
        self, codec: Any, secret: Any, *, is_shared: bool, limits: Mapping[str, Any]
    ) -> None:
        self._codec = codec
        self._secret = secret
        self._is_shared = is_shared
        self._limits = limits
        self._known: set[str] = set()
        self._direct: LRUCache[Any, ValueCodec] = LRUCache(_MOST_KNOWN)
        self.codec_for(MISSING)  # raises for a codec or a secret that cannot be right

    @property
    def max_value_bytes(self) -> int:
        """The most bytes that a value of this cache may take."""
        return self._limits.get("max_value_bytes", DEFAULT_MAX_BYTES)  # type: ignore[no-any-return]

    @property
    def shortest_secret(self) -> int | None:
        """The bytes of the shortest secret; `None`: nothing is signed."""
        if self._secret is None:
            return None
        from dualcache.codecs.sign import shortest_secret  # only tools ask for it

        return shortest_secret(self._secret)

    def codec_for(self, annotation: Any, codec: Any = None, **own: Any) -> ValueCodec:
        """Return the codec for values of a type; `own` limits go before those of the cache."""
        return self._made(annotation, codec, Teller(is_local=not self._is_shared), own)

    def direct_codec_for(self, annotation: Any, own: Mapping[str, Any] = _NOTHING) -> ValueCodec:
        """Return the codec of direct calls for values of a type, made once for each use of it."""
        key = (annotation, *own.items()) if own else annotation
        try:
            known = self._direct.get(key)
        except TypeError:  # an annotation or a codec that cannot be hashed
            return self._made_direct(annotation, **own)
        if known is None:
            known = self._direct[key] = self._made_direct(annotation, **own)
        return known

    def _made_direct(self, annotation: Any, codec: Any = None, **own: Any) -> ValueCodec:
        teller = Teller(is_direct=True, is_local=not self._is_shared)
        return self._made(annotation, codec, teller, own)

    def _made(
        self, annotation: Any, codec: Any, teller: Teller, own: Mapping[str, Any]
    ) -> ValueCodec:
        chosen = self._codec if codec is None else codec
        if self._is_shared and chosen == "reference":
            raise UsageError(
                'codec="reference" keeps objects of this process, and the cache is on a server',
                code="DC178",
                help="use it with memory://, or leave codec= out",
            )
        options: dict[str, Any] = {"known": self._known, **self._limits, **own}
        return make_value_codec(
            annotation, codec=chosen, secret=self._secret, teller=teller, **options
        )
