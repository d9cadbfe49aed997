"""Which forms a function's values take, in which order, and which forms it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from msgspec import convert

from dualcache.codecs import tagged
from dualcache.codecs.annotated import PARTS, TypedForm, is_telling, json_form, msgpack_form
from dualcache.codecs.arrays import ARRAY_CODECS, allow
from dualcache.codecs.compare import is_same
from dualcache.codecs.models import ModelForm, TaggedModelForm, mentions_models, validated
from dualcache.codecs.pickle import PickleForm
from dualcache.codecs.raw import RawBytesForm, RawTextForm
from dualcache.core.codec_ids import CodecId
from dualcache.core.entry import MISSING
from dualcache.core.interrupts import interrupt_in
from dualcache.core.nearest import nearest
from dualcache.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dualcache.typing import Codec

__all__ = ["Form", "Step", "forms_for", "is_exactly", "readers_for", "untyped_reader"]

_NAMES: Final = (*ARRAY_CODECS, "any", "json", "msgpack", "pickle", "raw", "reference", "tagged")


class Form(Protocol):
    """One way to spell values; each direction may raise anything."""

    @property
    def id(self) -> CodecId: ...

    def encode(self, value: Any, /) -> bytes: ...

    def decode(self, data: bytes | memoryview, /) -> Any: ...


class Step(NamedTuple):
    """A form to try, and whether what it wrote is read again and compared."""

    form: Form
    is_checked: bool


class _TaggedForm:
    """The tagged form; exact by construction.

    `has_objects`: objects of classes with fields are kept by the name of their class; without
    `has_names` nothing is kept by a name. `known` are the names that are read; `None`: all that
    this process has learned.
    """

    __slots__ = ("_has_names", "_has_objects", "_known")

    id = CodecId.TAGGED

    def __init__(
        self, known: set[str] | None = None, *, has_objects: bool = True, has_names: bool = True
    ) -> None:
        self._known = known
        self._has_objects = has_objects
        self._has_names = has_names

    def encode(self, value: Any) -> bytes:
        return tagged.encode(
            value, has_objects=self._has_objects, has_names=self._has_names, known=self._known
        )

    def decode(self, data: bytes | memoryview) -> Any:
        return tagged.decode(data, self._known)


class _UserForm:
    """The user's own codec; what it promises is not compared, since its classes are unknown."""

    __slots__ = ("_codec",)

    id = CodecId.USER

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def encode(self, value: Any) -> bytes:
        data: object = self._codec.encode(value)
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("encode() of the codec did not return bytes")
        return bytes(data)

    def decode(self, data: bytes | memoryview) -> Any:
        return self._codec.decode(bytes(data))


def forms_for(
    annotation: object,
    codec: str | Codec | None,
    known: set[str] | None,
    *,
    check: bool,
    is_signed: bool,
) -> tuple[Step, ...]:
    """Return the forms to try, best first; raise `UsageError` for a codec that cannot be.

    `known` are the names of classes that the cache has learned.
    """
    if codec is None:
        return _default_forms(annotation, known, check=check)
    if not isinstance(codec, str):
        return (Step(_user_form(codec), is_checked=False),)
    if codec in {"any", "pickle"}:
        pickled = Step(_pickle_form(codec, is_signed=is_signed), is_checked=False)
        before = _forms_before_pickle(annotation, known, check=check) if codec == "any" else ()
        return (*before, pickled)
    if codec == "reference":
        return ()
    if codec == "raw":
        return (Step(RawBytesForm(), is_checked=False), Step(RawTextForm(), is_checked=False))
    if codec == "json":
        return (Step(json_form(annotation), check),)
    if codec == "msgpack":
        return (Step(msgpack_form(annotation), check),)
    if codec in ARRAY_CODECS:
        allow(codec)
        return (Step(_TaggedForm(known), check),)
    if codec == "tagged":
        return (Step(_TaggedForm(known), check),)
    raise _unknown(codec)


def readers_for(
    annotation: object, steps: Sequence[Step], known: set[str] | None
) -> dict[int, Callable[[bytes | memoryview], Any]]:
    """Return the readers by codec number: all that can do no harm, and what is configured."""
    annotated = (msgpack_form(annotation), json_form(annotation))
    forms: list[Form] = [*annotated, _TaggedForm(known), RawBytesForm(), RawTextForm()]
    if mentions_models(annotation):
        forms += (ModelForm(annotation), TaggedModelForm(annotation))
    readers: dict[int, Callable[[bytes | memoryview], Any]] = {}
    if annotation is not MISSING:
        forms.append(TypedForm(annotation))
        readers = {int(form.typed_id): form.decode_typed for form in annotated}
    forms += (step.form for step in steps)
    return {**readers, **{int(form.id): form.decode for form in forms}}


def untyped_reader(
    codec: int, readers: Mapping[int, Callable[[bytes | memoryview], Any]]
) -> Callable[[bytes | memoryview], Any]:
    """Return the reader of a codec that takes no annotation into account."""
    return _UNTYPED.get(codec) or readers[codec]


def is_exactly(value: Any, annotation: Any) -> bool:
    """Tell whether a value is one of `annotation` as it is: reading it by that changes nothing.

    What neither msgspec nor pydantic can read by is not known to fit.
    """
    if isinstance(annotation, type) and annotation.__module__ == "builtins":
        return type(value) is annotation  # what it holds may be anything
    if mentions_models(annotation):
        return _is_unchanged(value, lambda: validated(value, annotation))
    if _is_unchanged(value, lambda: convert(value, annotation, builtin_types=PARTS)):
        return True
    form = msgpack_form(annotation)  # of members of enums only their values are converted
    return _is_unchanged(value, lambda: form.decode_typed(form.encode(value)))


def _is_unchanged(value: Any, read: Callable[[], Any]) -> bool:
    try:
        return is_same(value, read())
    except Exception as error:
        if interrupt_in(error) is not None:
            raise
        return False


def _default_forms(annotation: object, known: set[str] | None, *, check: bool) -> tuple[Step, ...]:
    named = Step(_TaggedForm(known), check)
    if mentions_models(annotation):
        whole = Step(TaggedModelForm(annotation), check)
        models = (Step(ModelForm(annotation), is_checked=True), whole) if check else (whole,)
        return (*models, named)
    if annotation is MISSING:
        packed = Step(msgpack_form(annotation), is_checked=True)
        return (packed, named) if check else (named, packed)
    # What the annotation says need not be said by names of classes, which may be moved.
    plain = Step(_TaggedForm(known, has_objects=False), check)
    typed = Step(TypedForm(annotation), is_checked=True)
    if check or is_telling(annotation):
        return (Step(msgpack_form(annotation), check), plain, typed, named)
    return (plain, Step(msgpack_form(annotation), is_checked=True), typed, named)


def _forms_before_pickle(
    annotation: object, known: set[str] | None, *, check: bool
) -> tuple[Step, ...]:
    """Return the forms that `codec="any"` tries first.

    Without an annotation, a class that is kept by its name could be read only by a process that has
    learned it. Pickle finds it in every process.
    """
    if annotation is not MISSING:
        return _default_forms(annotation, known, check=check)
    plain = _TaggedForm(known, has_objects=False, has_names=False)
    return (Step(msgpack_form(annotation), is_checked=True), Step(plain, check))


def _user_form(codec: Codec) -> _UserForm:
    methods = (getattr(codec, "encode", None), getattr(codec, "decode", None))
    if isinstance(codec, type) or not all(map(callable, methods)):
        raise UsageError(
            "a custom codec is an instance with the methods encode and decode",
            code="DC172",
            details=[("codec", f"a {type(codec).__name__}")],
            help="give codec= an instance of your class",
        )
    return _UserForm(codec)


def _pickle_form(codec: str, *, is_signed: bool) -> PickleForm:
    if not is_signed:
        raise UsageError(
            f'codec="{codec}" needs a secret',
            code="DC170",
            details=[("why", "anyone who can write to the server could run code in this process")],
            help="give secret= to the cache; a list of secrets rotates them",
        )
    return PickleForm()


def _unknown(codec: str) -> UsageError:
    near = nearest(codec, _NAMES)
    offer = f'did you mean "{near}"? ' if near else ""
    return UsageError(
        f'there is no codec "{codec}"',
        code="DC171",
        help=f"{offer}there are {', '.join(_NAMES)}, and codecs of your own",
    )


_UNTYPED: Final = {
    int(form.id): form.decode for form in (msgpack_form(MISSING), json_form(MISSING))
}
"""Readers of what says by itself what it is, without an annotation."""
