"""Signatures: keyed blake2b over key, codec, flags, tags, shape and payload.

The tags belong to it: an entry without one of its tags would outlive an invalidation. So does the
shape: an entry of another release would be read as one of this.

The algorithm is fixed: nothing in stored bytes chooses it. What is read is verified before it is
decompressed or decoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import TYPE_CHECKING, Final

from dualcache.core.codec_ids import SIGNED, CodecId, unsigned
from dualcache.core.entry import Packed
from dualcache.errors import UsageError
from dualcache.options.checks import revealed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from hashlib import blake2b

    from dualcache.core.entry import Stored, Tag

__all__ = ["SIGNATURE_BYTES", "Signer", "shortest_secret"]

SIGNATURE_BYTES: Final = 16
_PERSON: Final = b"dualcache sig 1"
_LONGEST_KEY: Final = 64
_SCOPE: Final = Struct(">QBBQQ")
_TAG: Final = Struct(">8sQ")


class Signer:
    """Signs with the first secret, accepts what any of them signed.

    Raises `UsageError` where there is no secret, or one that is empty or no text or bytes.
    """

    __slots__ = ("_states",)

    def __init__(self, secret: str | bytes | Sequence[str | bytes]) -> None:
        from hashlib import blake2b

        self._states: list[blake2b] = []
        for one in _secrets(secret):
            key = one if len(one) <= _LONGEST_KEY else blake2b(one, person=_PERSON).digest()
            self._states.append(blake2b(key=key, digest_size=SIGNATURE_BYTES, person=_PERSON))

    def __repr__(self) -> str:
        return f"Signer({len(self._states)} secrets)"

    def signed(self, key: str, packed: Packed, tags: Sequence[Tag]) -> Packed:
        """Return the packed bytes with their signature before them; an object has none."""
        if packed.codec == CodecId.REFERENCE:
            return packed
        codec, flags, body = packed.codec, packed.flags | SIGNED, packed.payload
        signature = self._signatures(key, codec, flags, packed.shape, tags, body)[0]
        return Packed(codec, flags, signature + body, packed.shape)

    def verified(self, key: str, stored: Stored) -> memoryview:
        """Return the payload without its signature; raise `SignatureError` if that is not ours."""
        from hmac import compare_digest

        payload = memoryview(stored.payload)
        found, body = payload[:SIGNATURE_BYTES], payload[SIGNATURE_BYTES:]
        own = self._signatures(key, stored.codec, stored.flags, stored.shape, stored.tags, body)
        fits = [compare_digest(found, each) for each in own]
        if not any(fits):
            raise unsigned("no configured secret has signed this payload for this key")
        return body

    def _signatures(
        self,
        key: str,
        codec: int,
        flags: int,
        shape: bytes,
        tags: Sequence[Tag],
        body: bytes | memoryview,
    ) -> list[bytes]:
        name = key.encode("utf-8", "surrogatepass")
        parts = [_SCOPE.pack(len(name), codec, flags, len(tags), len(body)), name]
        for tag, tag_id in tags:
            text = tag.encode("utf-8", "surrogatepass")
            parts += (_TAG.pack(tag_id, len(text)), text)
        scope = b"".join((*parts, shape))
        digests: list[bytes] = []
        for state in self._states:
            own = state.copy()
            own.update(scope)
            own.update(body)
            digests.append(own.digest())
        return digests


def shortest_secret(secret: str | bytes | Sequence[str | bytes]) -> int:
    """Return the bytes of the shortest of the secrets."""
    return min(map(len, _secrets(secret)))


def _secrets(secret: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    first = revealed(secret)
    is_one = isinstance(first, (str, bytes)) or not isinstance(first, Iterable)
    listed = [first] if is_one else list(first)
    keys = [one for one in map(_as_bytes, map(revealed, listed)) if one]
    if not keys or len(keys) < len(listed):
        raise UsageError(
            "a secret is empty, or neither text nor bytes",
            code="DC174",
            help="give secret= a str or bytes that is not empty, or a list of them, newest first",
        )
    return keys


def _as_bytes(secret: object) -> bytes:
    if isinstance(secret, str):
        return secret.encode("utf-8", "surrogatepass")
    return secret if isinstance(secret, bytes) else b""
