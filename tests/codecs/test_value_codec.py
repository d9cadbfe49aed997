from __future__ import annotations

import enum
import pickle
import threading
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dualcache.codecs.compare import is_immutable, is_same
from dualcache.codecs.sign import Signer, shortest_secret
from dualcache.codecs.value_codec import make_value_codec
from dualcache.core.codec_ids import COMPRESSED, NEEDS_TYPE, SIGNED, CodecId
from dualcache.core.entry import MISSING, Packed, Stored, Tag, ValueCodec
from dualcache.core.envelope import open_envelope, seal
from dualcache.errors import DecodeError, SignatureError, UnencodableValue, UsageError
from tests.codecs.values import plain_values
from tests.soft_limit import SoftLimit, soft_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEY = "shop:user:1"
NOON = datetime(2024, 3, 1, 12)  # noqa: DTZ001  naive on purpose
NIL = UUID(int=0)
PARIS = ZoneInfo("Europe/Paris")


class Colour(str, enum.Enum):  # noqa: UP042  the spelling that most code has
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float


class Row(TypedDict):
    id: int
    when: datetime


@dataclass
class User:
    id: int
    when: datetime = NOON
    tags: set[str] = field(default_factory=set)
    colour: Colour = Colour.RED
    price: Decimal = Decimal("1.50")
    uid: UUID = NIL
    computed: int = field(init=False, default=3)


@dataclass
class Admin(User):
    level: int = 1


@dataclass
class Counting:
    n: int

    def __post_init__(self) -> None:
        self.n += 1


@dataclass
class WithInitVar:
    n: int
    seed: InitVar[int]

    def __post_init__(self, seed: int) -> None:
        self.n += seed


@attrs.define
class Attrs:
    id: int
    pair: tuple[int, str] = (1, "a")


class Struct(msgspec.Struct):
    id: int
    when: datetime = NOON


class Link(pydantic.BaseModel):
    url: pydantic.HttpUrl


class Model(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field(default="x", validation_alias="Name", serialization_alias="nAME")
    colour: Colour = Colour.RED
    children: list[Model] = []
    links: dict[str, Link] = {}


NAMED = Model.model_validate({"id": 2, "Name": "y"})
LINK = Link(url=pydantic.HttpUrl("http://a.b"))


class Stamped(Model):
    at: datetime = pydantic.Field(default_factory=lambda: datetime.now(UTC))
    lucky: float = float("nan")


@pydantic.dataclasses.dataclass
class ModelData:
    id: int


@dataclass
class HoldsModel:
    model: Model
    when: datetime


def kept(value: Any, annotation: object = MISSING, **options: Any) -> tuple[Any, Packed]:
    value_codec = make_value_codec(annotation, **options)
    packed = pack(value_codec, value)
    return value_codec.unpack(KEY, stored(packed)), packed


def pack(value_codec: ValueCodec, value: Any, tags: Sequence[Tag] = ()) -> Packed:
    """Return a value as it is stored under KEY with these tags."""
    return value_codec.sign(KEY, value_codec.pack(value), tags)


def stored(packed: Packed, key: str = KEY, tags: Sequence[Tag] = ()) -> Stored:
    raw = seal(key, packed, version=b"12345678", created_ms=1, fresh_ms=None, load_ms=1, tags=tags)
    return open_envelope(key, raw)


def reason_of(value_codec: ValueCodec, packed: Packed) -> str:
    with pytest.raises(DecodeError) as caught:
        value_codec.unpack(KEY, stored(packed))
    return str(vars(caught.value)["reason"])


@given(plain_values())
def test_any_plain_value_comes_back_the_same(value: object) -> None:
    back, _ = kept(value)
    assert is_same(back, value)


@given(plain_values())
def test_an_annotation_never_changes_a_value(value: object) -> None:
    for annotation in (MISSING, "User", Any, object, dict, list[int], int | None):
        back, _ = kept(value, annotation)
        assert is_same(back, value), annotation


@pytest.mark.parametrize(
    ("value", "annotation", "codec"),
    [
        ({"a": [1, 2.5, None, "x", True]}, MISSING, CodecId.MSGPACK),
        ({"a": (1,)}, MISSING, CodecId.TAGGED),
        (None, None, CodecId.MSGPACK),
        (1.0, float, CodecId.MSGPACK),
        (1, float, CodecId.TAGGED),
        (True, int, CodecId.TAGGED),
        ((1, 2), tuple[int, ...], CodecId.MSGPACK_TYPED),
        ({1, 2}, set[int], CodecId.MSGPACK_TYPED),
        ("\ud800", str, CodecId.TAGGED),
        (2**70, int, CodecId.TAGGED),
        (Colour.RED, Colour, CodecId.MSGPACK_TYPED),
        (Point(1, 2.0), Point, CodecId.MSGPACK_TYPED),
        (Row(id=1, when=NOON), Row, CodecId.MSGPACK_TYPED),
        (User(1), User, CodecId.MSGPACK_TYPED),
        ([User(1)], list[User] | None, CodecId.MSGPACK_TYPED),
        (Attrs(1), Attrs, CodecId.MSGPACK_TYPED),
        (Struct(1), Struct, CodecId.MSGPACK_TYPED),
        (NOON.replace(tzinfo=UTC), datetime, CodecId.MSGPACK),
        (NOON.replace(tzinfo=PARIS), datetime, CodecId.TAGGED),
        (NOON.replace(tzinfo=timezone(timedelta(hours=1))), datetime, CodecId.TAGGED),
        (NOON.replace(fold=1), datetime, CodecId.TAGGED),
        (User(1, NOON.replace(tzinfo=PARIS)), User, CodecId.TYPED),
        (Model(id=1), Model, CodecId.MODEL),
        (
            [Model(id=1, children=[NAMED])],
            list[Model],
            CodecId.MODEL,
        ),
        (
            Model(id=1, links={"a": LINK}),
            Model,
            CodecId.MODEL_TAGGED,
        ),
        (Stamped(id=1, children=[Model(id=2)]), Stamped, CodecId.MODEL_TAGGED),
        (ModelData(1), ModelData, CodecId.MODEL),
        (HoldsModel(Model(id=1), NOON.replace(tzinfo=PARIS)), HoldsModel, CodecId.MODEL_TAGGED),
        (
            (Model(id=1), {"a": Stamped(id=2)}),
            tuple[Model, dict[str, Stamped]],
            CodecId.MODEL_TAGGED,
        ),
        (None, Model | None, CodecId.MODEL),
        ({"a": (1,)}, Model | dict[str, Any], CodecId.MODEL_TAGGED),
        (5, Model, CodecId.TAGGED),
        ([1], threading.Thread, CodecId.TAGGED),
    ],
)
def test_values_take_the_first_form_that_keeps_them(
    value: Any, annotation: object, codec: CodecId
) -> None:
    back, packed = kept(value, annotation)
    assert is_same(back, value)
    assert CodecId(packed.codec) is codec


@pytest.mark.parametrize(
    ("value", "annotation", "advice"),
    [
        ((x for x in "ab"), MISSING, "list of the items"),
        (open("/dev/null"), MISSING, "plain values"),  # noqa: SIM115, PTH123  closed by the test
        (threading.Lock(), MISSING, "plain values"),
        ({"a": threading.Lock()}, MISSING, "plain values"),
    ],
)
def test_what_no_form_keeps_is_refused_with_advice(
    value: Any, annotation: object, advice: str
) -> None:
    with pytest.raises(UnencodableValue) as caught:
        pack(make_value_codec(annotation), value)
    assert advice in caught.value.help
    assert caught.value.code == "DC300"
    if hasattr(value, "close"):
        value.close()


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (User(1), MISSING),
        (Admin(1), User),
        ([Stamped(id=1)], list[Model]),
        (Counting(1), Counting),
        (WithInitVar(1, 2), WithInitVar),
    ],
)
def test_what_an_annotation_does_not_read_back_is_kept_by_the_name_of_its_class(
    value: Any, annotation: object
) -> None:
    back, packed = kept(value, annotation)
    assert is_same(back, value)
    assert packed.codec == CodecId.TAGGED


def test_a_coroutine_is_refused_with_advice() -> None:
    async def load() -> None: ...

    coroutine = load()
    with pytest.raises(UnencodableValue, match="await it"):
        pack(make_value_codec(), coroutine)
    coroutine.close()


def test_a_structure_that_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(UnencodableValue, match="contains itself"):
        pack(make_value_codec(), value)


def test_packing_uses_up_no_iterator() -> None:
    class Lazy(pydantic.BaseModel):
        items: Any

    value = Lazy(items=(x for x in "ab"))
    with pytest.raises(UnencodableValue):
        pack(make_value_codec(Lazy), value)
    assert list(value.items) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "annotation", "codec"),
    [
        ([1, 2], list[int], CodecId.MSGPACK),
        (User(1).price, Decimal, CodecId.MSGPACK_TYPED),
        ({"a": (1,)}, dict, CodecId.TAGGED),
        ({"a": (1,)}, MISSING, CodecId.TAGGED),
        (NOON.replace(tzinfo=PARIS), datetime, CodecId.TAGGED),
        (User(1), User, CodecId.MSGPACK_TYPED),
        (User(1, NOON.replace(tzinfo=PARIS)), User, CodecId.TYPED),
        (Stamped(id=1), Stamped, CodecId.MODEL_TAGGED),
        ([1], threading.Thread, CodecId.TAGGED),
        ([1], int | threading.Thread, CodecId.TAGGED),
    ],
)
def test_without_the_check_only_forms_that_are_exact_go_unchecked(
    value: Any, annotation: object, codec: CodecId
) -> None:
    back, packed = kept(value, annotation, check=False)
    assert is_same(back, value)
    assert CodecId(packed.codec) is codec


@pytest.mark.parametrize(
    ("value", "annotation", "options", "codec"),
    [
        ([1], list[int], {}, CodecId.MSGPACK),
        ({1: "a"}, dict[int, str], {}, CodecId.MSGPACK),
        (b"x", bytes, {}, CodecId.MSGPACK),
        ({"a": 1}, dict[str, Any], {"codec": "json"}, CodecId.JSON),
        ({1: "a"}, dict[int, str], {"codec": "json"}, CodecId.JSON_TYPED),
        (b"x", bytes, {"codec": "json"}, CodecId.JSON_TYPED),
        ([], list[User], {}, CodecId.MSGPACK),
        ([], list[Point], {"check": False}, CodecId.MSGPACK_TYPED),
        (["a"], list[Decimal | str], {}, CodecId.MSGPACK),
        ([1], list[int], {"check": False}, CodecId.MSGPACK),
        ([1], int | threading.Thread, {"codec": "json", "check": False}, CodecId.JSON),
    ],
)
def test_a_value_is_marked_where_reading_it_back_needs_the_annotation(
    value: Any, annotation: object, options: dict[str, Any], codec: CodecId
) -> None:
    back, packed = kept(value, annotation, **options)
    assert is_same(back, value)
    assert CodecId(packed.codec) is codec
    if codec in NEEDS_TYPE:
        for reader in (MISSING, Any):
            assert reason_of(make_value_codec(reader), packed) == "untyped"
        assert reason_of(make_value_codec(int | threading.Thread), packed) == "shape"
    else:
        assert is_same(make_value_codec().unpack(KEY, stored(packed)), value)


@pytest.mark.parametrize("value", [Model(id=1), Stamped(id=1)])
def test_a_model_is_not_read_as_anything_but_a_model(value: Model) -> None:
    packed = pack(make_value_codec(type(value)), value)
    assert reason_of(make_value_codec(), packed) == "untyped"
    assert reason_of(make_value_codec(dict), packed) == "untyped"


def test_what_is_there_is_told_without_decoding_it() -> None:
    plain, signed = make_value_codec(), make_value_codec(secret="s")
    plain.verify(KEY, stored(Packed(CodecId.MSGPACK, 0, b"no msgpack")))
    plain.verify(KEY, stored(pack(make_value_codec(User), User(1))))
    signed.verify(KEY, stored(pack(signed, 1)))
    reference = make_value_codec(codec="reference", secret="s")
    reference.verify(KEY, stored(pack(reference, object())))
    for value_codec, packed in (
        (plain, pack(signed, 1)),
        (signed, pack(plain, 1)),
        (plain, Packed(CodecId.PICKLE, 0, b"x")),
    ):
        with pytest.raises(DecodeError):
            value_codec.verify(KEY, stored(packed))


def test_pickle_needs_a_secret() -> None:
    with pytest.raises(UsageError) as caught:
        make_value_codec(codec="pickle")
    assert caught.value.code == "DC170"


def test_a_planted_pickle_is_never_touched() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("unpickled",))

    planted = Packed(CodecId.PICKLE, 0, pickle.dumps(Bomb()))
    assert reason_of(make_value_codec(), planted) == "codec"
    assert reason_of(make_value_codec(secret="s"), planted) == "codec"
    assert reason_of(make_value_codec(codec="pickle", secret="s"), planted) == "signature"
    forged = Packed(CodecId.PICKLE, SIGNED, bytes(16) + planted.payload)
    assert reason_of(make_value_codec(codec="pickle", secret="s"), forged) == "signature"


def test_pickle_keeps_what_nothing_else_does() -> None:
    back, packed = kept(threading.Thread, codec="pickle", secret="s")
    assert back is threading.Thread
    assert packed.flags == SIGNED
    with pytest.raises(UnencodableValue) as caught:
        pack(make_value_codec(codec="pickle", secret="s"), threading.Lock())
    assert caught.value.code == "DC302"


def test_with_a_secret_everything_is_signed_for_its_key_and_nothing_else_is_read() -> None:
    value_codec = make_value_codec(secret="s")
    packed = pack(value_codec, [1])
    assert value_codec.unpack(KEY, stored(packed)) == [1]
    with pytest.raises(SignatureError):
        value_codec.unpack("other", stored(packed, "other"))
    for changed in (
        replace(packed, payload=packed.payload[:-1] + b"\x02"),
        replace(packed, payload=b"short"),
        replace(packed, codec=CodecId.TAGGED),
        replace(packed, flags=SIGNED | COMPRESSED),
        pack(make_value_codec(), [1]),
        pack(make_value_codec(secret="t"), [1]),
    ):
        assert reason_of(value_codec, changed) == "signature"
    assert reason_of(make_value_codec(), packed) == "signature"


TAGS = (Tag("~t:users", b"12345678"), Tag("~t:user:1", bytes(8)))


@pytest.mark.parametrize(
    "tags",
    [
        (),
        TAGS[:1],
        TAGS[::-1],
        (*TAGS, Tag("~t:more", b"12345678")),
        (Tag("~t:users", b"87654321"), TAGS[1]),
        (Tag("~t:other", b"12345678"), TAGS[1]),
        (Tag("~t:user", b"s1234567"), TAGS[1]),
    ],
)
def test_the_tags_are_signed_too(tags: Sequence[Tag]) -> None:
    value_codec = make_value_codec(secret="s")
    packed = pack(value_codec, [1], TAGS)
    assert value_codec.unpack(KEY, stored(packed, tags=TAGS)) == [1]
    with pytest.raises(SignatureError):
        value_codec.unpack(KEY, stored(packed, tags=tags))


@pytest.mark.parametrize("options", [{}, {"secret": "s"}, {"secret": "s", "compress_above": 10}])
def test_a_copy_of_what_this_process_has_is_decoded_without_looking_at_it_again(
    options: dict[str, Any],
) -> None:
    value_codec = make_value_codec(list[User], **options)
    value = [User(1)] * 100
    for packed in (value_codec.pack(value), pack(value_codec, value, TAGS)):
        assert is_same(value_codec.copy(packed), value)
    with pytest.raises(DecodeError):
        make_value_codec(**options).copy(make_value_codec(User).pack(User(1)))
    reference = make_value_codec(codec="reference")
    assert reference.copy(reference.pack(value)) is value


def test_only_a_bare_payload_has_a_reader_of_its_own() -> None:
    plain, signed, packing = (
        make_value_codec(),
        make_value_codec(secret="s"),
        make_value_codec(compress_above=10),
    )
    entry = stored(pack(plain, [1]))
    read = plain.reader_of(entry)
    assert read is not None
    assert read(entry.payload) == [1]
    assert signed.reader_of(stored(pack(signed, [1]))) is None
    assert packing.reader_of(stored(pack(packing, "long " * 1_000))) is None


def test_secrets_rotate() -> None:
    old, new = make_value_codec(secret="old"), make_value_codec(secret=[b"new", "old", "x" * 100])
    assert new.unpack(KEY, stored(pack(old, 1))) == 1
    assert make_value_codec(secret="new").unpack(KEY, stored(pack(new, 1))) == 1
    with pytest.raises(SignatureError):
        old.unpack(KEY, stored(pack(new, 1)))


def test_a_signer_shows_no_secret() -> None:
    assert repr(Signer(["hunter2", "old"])) == "Signer(2 secrets)"


def test_an_annotation_with_names_that_do_not_resolve_is_read_untyped() -> None:
    @dataclass
    class Broken:
        other: NoSuchName  # type: ignore[name-defined]  # noqa: F821  as under TYPE_CHECKING

    assert kept([1], Broken)[1].codec == CodecId.MSGPACK
    assert kept([1], Broken, check=False)[1].codec == CodecId.TAGGED


@pytest.mark.parametrize("secret", ["", b"", [], ["a", ""], [1]])
def test_a_secret_that_is_none_is_refused(secret: Any) -> None:
    with pytest.raises(UsageError) as caught:
        make_value_codec(secret=secret)
    assert caught.value.code == "DC174"


def test_json_keeps_what_json_can_say() -> None:
    for value, annotation in (
        ({"a": [1]}, MISSING),
        (User(1), User),
        ([1], threading.Thread | int),
    ):
        back, packed = kept(value, annotation, codec="json")
        assert is_same(back, value)
        assert packed.codec == (CodecId.JSON_TYPED if annotation is User else CodecId.JSON)
    with pytest.raises(UnencodableValue, match="leave codec= out"):
        pack(make_value_codec(codec="json"), {1: 2})


def test_raw_keeps_bytes_and_text() -> None:
    for value in (b"\x00x", "text", "\ud800", "", b""):
        assert is_same(kept(value, codec="raw")[0], value)
    with pytest.raises(UnencodableValue, match="keeps bytes and str"):
        pack(make_value_codec(codec="raw"), 1)


def test_msgpack_and_tagged_can_be_asked_for() -> None:
    assert kept([1], codec="msgpack")[1].codec == CodecId.MSGPACK
    assert kept([1], codec="tagged")[1].codec == CodecId.TAGGED


def test_reference_keeps_the_object_itself() -> None:
    value = threading.Lock()
    back, packed = kept(value, codec="reference", secret="s")
    assert back is value
    assert packed == Packed(CodecId.REFERENCE, 0, value)


class Reversing:
    def encode(self, value: Any, /) -> bytes:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # a codec that is wrong
        return value[::-1].encode()

    def decode(self, data: bytes, /) -> Any:
        return data.decode()[::-1]


def test_a_codec_of_ones_own() -> None:
    back, packed = kept("abc", codec=Reversing())
    assert (back, packed) == ("abc", Packed(CodecId.USER, 0, b"cba"))
    with pytest.raises(UnencodableValue) as caught:
        pack(make_value_codec(codec=Reversing()), 5)
    assert caught.value.code == "DC302"
    assert (
        reason_of(make_value_codec(codec=Reversing()), Packed(CodecId.USER, 0, b"\xff"))
        == "payload"
    )
    assert reason_of(make_value_codec(), packed) == "codec"


class Interrupted(Reversing):
    """Its work is interrupted, whichever way it goes."""

    def __init__(self, reach: Callable[[], None]) -> None:
        self.reach = reach

    def encode(self, value: Any, /) -> bytes:
        self.reach()
        return super().encode(value)

    def decode(self, data: bytes, /) -> Any:
        self.reach()
        return super().decode(data)


def test_an_interrupt_is_no_failure_of_a_codec() -> None:
    with soft_limit() as reach:
        value_codec = make_value_codec(codec=Interrupted(reach))
        with pytest.raises(SoftLimit):
            pack(value_codec, "abc")
        with pytest.raises(SoftLimit):
            value_codec.copy(Packed(CodecId.USER, 0, b"cba"))


@pytest.mark.parametrize(
    ("options", "code", "advice"),
    [
        ({"codec": "jsn"}, "DC171", 'did you mean "json"'),
        ({"codec": "zzzzzz"}, "DC171", "there are numpy, arrow, any, json"),
        ({"codec": Reversing}, "DC172", "instance"),
        ({"codec": 5}, "DC172", "instance"),
        ({"max_value_bytes": 0}, "DC175", "max_value_bytes="),
        ({"compress_above": True}, "DC175", "compress_above="),
    ],
)
def test_options_that_cannot_be_are_refused(
    options: dict[str, Any], code: str, advice: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make_value_codec(**options)
    assert caught.value.code == code
    assert advice in caught.value.help


def test_a_value_over_the_limit_is_neither_stored_nor_read() -> None:
    with pytest.raises(UnencodableValue) as caught:
        pack(make_value_codec(max_value_bytes=100), "x" * 100)
    assert caught.value.code == "DC301"
    packed = pack(make_value_codec(), "x" * 100)
    assert reason_of(make_value_codec(max_value_bytes=100), packed) == "oversized"


@given(
    codec=st.integers(0, 14).filter(lambda codec: codec != CodecId.REFERENCE),
    flags=st.sampled_from([0, COMPRESSED, SIGNED]),
    payload=st.binary() | st.sampled_from([b"\x91" * 100_000, b"[" * 100_000]),
    annotation=st.sampled_from([MISSING, User, Model, list[Stamped]]),
)
def test_hostile_payloads_are_a_decode_error_or_a_value(
    codec: int, flags: int, payload: bytes, annotation: object
) -> None:
    try:
        make_value_codec(annotation).unpack(KEY, stored(Packed(codec, flags, payload)))
    except DecodeError as error:
        assert vars(error)["reason"]  # noqa: PT017  a value is as good


def test_a_message_holds_no_value() -> None:
    value_codec = make_value_codec(Colour)
    with pytest.raises(DecodeError) as caught:
        value_codec.unpack(KEY, stored(pack(make_value_codec(), "hunter2")))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_callers_may_share_is_told_here_too() -> None:
    assert is_immutable((1, "a"))


def test_the_shortest_secret_is_told_by_its_length_alone() -> None:
    assert shortest_secret("sécret") == 7
    assert shortest_secret([b"x" * 32, "short"]) == 5
