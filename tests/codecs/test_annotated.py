from __future__ import annotations

import msgspec
import pytest

from dualcache import DecodeError
from dualcache.codecs.annotated import AnnotatedForm
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING


def test_what_only_its_type_reads_is_not_read_without_the_type() -> None:
    ids = (CodecId.MSGPACK, CodecId.MSGPACK_TYPED)
    stored = msgspec.msgpack.encode((1, 2))
    assert AnnotatedForm(*ids, msgspec.msgpack, tuple[int, int]).decode_typed(stored) == (1, 2)
    with pytest.raises(DecodeError):
        AnnotatedForm(*ids, msgspec.msgpack, MISSING).decode_typed(stored)
