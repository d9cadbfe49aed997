from __future__ import annotations

import inspect
import itertools
import sys
import traceback
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import attrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualcache.errors import KeyTemplateError, UnkeyableArgument, UsageError
from dualcache.keys.names import user_key
from dualcache.keys.plans import KeyMaker, make_key, make_names
from dualcache.keys.signature import FunctionSignature

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID


class Session:
    pass


class Kind(type):
    pass


class Mapped(metaclass=Kind):
    pass


def taking(hint: Any) -> Callable[..., None]:
    def function(db: Any) -> None:
        raise NotImplementedError

    function.__annotations__["db"] = hint
    return function


def get_user(user_id: int, lang: str = "en") -> None:
    raise NotImplementedError


def page(user_id: int, page: int = 1) -> None:
    raise NotImplementedError


def free(a: Any, b: Any = None) -> None:
    raise NotImplementedError


def query(db: Session, term: str) -> None:
    raise NotImplementedError


def every_kind(a: int, /, b: str, *args: int, c: int = 3, **rest: int) -> None:
    raise NotImplementedError


def nothing() -> None:
    raise NotImplementedError


def keys(function: Callable[..., Any], key: str | None = None, **options: Any) -> KeyMaker:
    options.setdefault("prefix", "")
    return make_key(FunctionSignature.of(function), key=key, **options)


def names(function: Callable[..., Any], *templates: str, what: Any = "tag") -> Callable[..., Any]:
    return make_names(FunctionSignature.of(function), templates, what=what)


def test_a_template_key_holds_the_prefix_and_the_values() -> None:
    made = keys(page, "user:{user_id}:{page}", prefix="shop:")
    assert made.of(5, 2) == "shop:user:5:2"
    assert made.label == "user:{user_id}:{page}"


def test_a_default_key_holds_the_functions_name_and_every_value() -> None:
    made = keys(get_user, prefix="shop:")
    assert made.of(1, "a:b") == f"shop:{__name__}.get_user:1:'a%3Ab'"
    assert made.label == f"{__name__}.get_user"
    assert keys(get_user, name="users").of(1, "en") == "users:1:'en'"
    assert keys(nothing).of() == f"{__name__}.nothing"
    assert keys(get_user, ignore=("lang",)).of(1, "en") == f"{__name__}.get_user:1"


def test_every_kind_of_parameter_has_its_place() -> None:
    call = FunctionSignature.of(every_kind)
    made = make_key(call, prefix="", key=None, name="f")
    assert made.of(*call.bind((1, "x", 5), {"z": 1, "y": 2})) == "f:1:'x':(5):3:dict('y'=2,'z'=1)"


NEVER_MEET = [
    ("a:b", "c"), ("a", "b:c"), (1, None), ("1", None), (True, None), (1.0, None), (None, None),
    ("None", None),
    ("", None), ([1, 2], None), ((1, 2), None), ("1:2", None), (b"x", None), ("x", None),
]  # fmt: skip


def test_default_keys_of_these_never_meet() -> None:
    made = keys(free, name="f")
    assert len({made.of(*values) for values in NEVER_MEET}) == len(NEVER_MEET)


@given(st.text(), st.text(), st.text(), st.text())
def test_default_keys_meet_only_where_the_values_are_equal(a: str, b: str, c: str, d: str) -> None:
    of = keys(free, name="f").of
    assert (of(a, b) == of(c, d)) is ((a, b) == (c, d))


def test_in_a_template_one_meets_its_text_unless_keys_are_typed() -> None:
    plain, typed = keys(free, "x:{a}"), keys(free, "x:{a}", typed_key=True)
    assert plain.of(1, 0) == plain.of("1", 0) == "x:1"
    assert len({typed.of(value, 0) for value in (1, "1", True, 1.0, b"1")}) == 5


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("u:{a.user.id}", "u:7"),
        ("u:{a.user.name}", "u:x%3Ay"),
        ("u:{a.rows[0]}", "u:3"),
        ("u:{a.rows[key]}", "u:k"),
        ("u:{a.user.id:03d}", "u:007"),
        ("u:{a.user.id!s}", "u:7"),
        ("u'{{\"\\:{a.user.id}", "u'{\"\\:7"),
        ("no values", "no%20values"),
    ],
)
def test_the_compiled_form_reads_what_the_template_says(template: str, expected: str) -> None:
    request = SimpleNamespace(user=SimpleNamespace(id=7, name="x:y"), rows={0: 3, "key": "k"})
    assert keys(free, template).of(request, 0) == expected


def test_long_keys_end_in_a_digest_and_are_found_by_their_own_name() -> None:
    made = keys(get_user, "user:{lang}", prefix="shop:")
    key = made.of(1, "x" * 10_000)
    assert len(key) == len("shop:") + 512
    assert key == f"shop:{user_key('user:' + 'x' * 10_000)}"
    emoji = made.of(1, "😀" * 130)
    assert 500 < len(emoji.encode()) <= len("shop:") + 512


def test_integers_of_any_size_have_a_key() -> None:
    huge = 10 ** (sys.get_int_max_str_digits() + 1)
    assert keys(get_user, "user:{user_id}").of(huge, "en").startswith("user:0x")
    assert keys(get_user).of(huge, "en").startswith(f"{__name__}.get_user:0x")


def test_a_value_cannot_make_an_internal_or_an_empty_name() -> None:
    made = keys(get_user, "{lang}", prefix="shop:")
    assert made.of(1, "~t:x") == "shop:%7Et%3Ax"
    assert made.of(1, "x") == "shop:x"
    with pytest.raises(UsageError, match=r"the key of a call of get_user\(\) is empty"):
        made.of(1, "")


def test_vary_and_version_are_parts_of_the_key() -> None:
    def vary(user_id: int, lang: str) -> tuple[str, int]:
        return lang.upper(), user_id

    assert (
        keys(get_user, "u:{user_id}", vary=vary, version=2).of(1, "en")
        == "u:1:vary=('EN',1):version=2"
    )
    assert keys(get_user, name="u", version="2").of(1, "en") == "u:1:'en':version='2'"
    call = FunctionSignature.of(every_kind)
    spread = make_key(
        call, prefix="", key="k", vary=lambda a, b, *args, c, **rest: (a, b, args, c, rest)
    )
    assert spread.of(*call.bind((1, "x", 5), {"z": 1})) == "k:vary=(1,'x',(5),3,dict('z'=1))"


def test_what_vary_raises_is_the_users_and_what_it_returns_is_checked() -> None:
    def fails(user_id: int, lang: str) -> None:
        message = f"{user_id}{lang}"
        raise LookupError(message)

    with pytest.raises(LookupError, match="1en"):
        keys(get_user, "u:{user_id}", vary=fails).of(1, "en")
    with pytest.raises(
        UnkeyableArgument, match=r"the result of vary for get_user\(\) cannot be part"
    ):
        keys(get_user, "u:{user_id}", vary=lambda *_: object()).of(1, "en")


def test_an_unkeyable_annotation_is_refused_at_decoration() -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        keys(query)
    assert str(caught.value) == (
        "[DC111] parameter db of query() cannot be part of a key\n"
        f"  parameter db: {__name__}.Session\n"
        '  help      only if the result never depends on it: ignore=("db",); '
        'otherwise name the part that identifies it: key="…:{db.id}:…", '
        "or a __cache_key__() method on its class"
    )
    for hint in (Annotated[Session, "hush"], Mapped, Annotated[Mapped, "hush"]):
        with pytest.raises(UnkeyableArgument) as caught:
            keys(taking(hint))
        shown = "Mapped" if "Mapped" in str(hint) else "Session"
        assert caught.value.details == (("parameter", f"db: {__name__}.{shown}"),)
    assert keys(query, ignore=("db",)).of(Session(), "x").endswith(":'x'")
    with pytest.raises(UnkeyableArgument, match="parameter db of query"):
        keys(query, "q:{db}:{term}")
    with pytest.raises(UnkeyableArgument, match="parameter db of query"):
        names(query, "q:{db}")
    assert keys(query, "q:{db.id}:{term}").of(SimpleNamespace(id=1), "x") == "q:1:x"


def test_an_unkeyable_value_is_refused_at_the_call_naming_its_parameter() -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        keys(free).of(1, [Session()])
    assert str(caught.value) == (
        "[DC110] argument b of free() cannot be part of a key\n"
        f"  type      {__name__}.Session has no canonical form\n"
        '  help      only if the result never depends on it: ignore=("b",); '
        'otherwise name the part that identifies it: key="…:{b.id}:…", '
        "or a __cache_key__() method on its class"
    )
    with pytest.raises(UnkeyableArgument, match=r"\{a.id\}"):
        keys(free, "x:{a}").of(Session(), 1)


def test_a_field_that_is_not_there_is_told_at_the_call() -> None:
    for template in ("x:{a.id}", "x:{a[id]}", "x:{a.id:03d}"):
        with pytest.raises(KeyTemplateError, match="key template of free") as caught:
            keys(free, template).of(Session(), 1)
        assert caught.value.code == "DC104"


def test_an_unknown_placeholder_is_told_at_decoration() -> None:
    with pytest.raises(KeyTemplateError) as caught:
        keys(get_user, "user:{user_id}:{langg}")
    assert str(caught.value) == (
        "[DC102] key template of get_user() names an unknown parameter\n"
        '  template  "user:{user_id}:{langg}"\n'
        "                            ^^^^^^^ not a parameter of get_user(user_id, lang)\n"
        "  help      did you mean {lang}?"
    )
    with pytest.raises(KeyTemplateError, match=r"pattern template of get_user\(\) names"):
        names(get_user, "u_{nope}_*", what="pattern")


@pytest.mark.parametrize("template", ["", "~t:{user_id}", 5, b"x"])
def test_a_template_that_cannot_be_a_key_is_refused(template: Any) -> None:
    with pytest.raises(KeyTemplateError) as caught:
        keys(get_user, template)
    assert caught.value.code == "DC105"


def test_placeholders_that_cannot_be_told_apart_are_refused_only_where_values_are_stored() -> None:
    with pytest.raises(KeyTemplateError, match="could give two calls the same key"):
        keys(free, "x:{a}_{b}")
    assert keys(get_user, "x:{lang}_{user_id}").of(1, "en") == "x:en_1"
    assert keys(every_kind, "x:{args}_{rest}_{b}").of(1, "b", (), 3, {}) == "x:()_dict()_b"
    assert names(free, "x:{a}_{b}", what="key")("a", "b") == ("x:a_b",)


def test_unresolved_annotations_are_checked_again_at_the_first_call() -> None:
    def load(a: UUID, b: UUID) -> None:
        raise NotImplementedError

    made = keys(load, "x:{a}_{b}")
    for _ in range(2):
        with pytest.raises(KeyTemplateError, match="could give two calls the same key"):
            made.of(1, 2)
    globals()["UUID"] = int
    try:
        assert made.of(1, 2) == "x:1_2"
    finally:
        del globals()["UUID"]
    assert made.of("1", "2") == "x:1_2"


def test_an_unresolved_annotation_may_turn_out_unkeyable() -> None:
    def load(a: UUID) -> None:
        raise NotImplementedError

    made = keys(load)
    tagged = names(load, "t:{a}")
    globals()["UUID"] = Session
    try:
        for make in (made.of, tagged):
            with pytest.raises(UnkeyableArgument, match="parameter a of load"):
                make(1)
    finally:
        del globals()["UUID"]


def test_typed_in_functions_and_lambdas_need_a_key_or_a_name() -> None:
    typed_in: dict[str, Any] = {"__name__": "__main__"}
    exec("def script(): ...", typed_in)
    script = typed_in["script"]
    with pytest.raises(UsageError, match=r"script\(\) of __main__ needs a key or a name"):
        keys(script)
    assert keys(script, is_shared=False).of() == "__main__.script"
    assert keys(script, "k").of() == "k"
    with pytest.raises(UsageError, match="a lambda needs a key or a name"):
        keys(lambda: 1, is_shared=False)
    assert keys(lambda: 1, name="one").of() == "one"


def test_ignore_names_only_parameters() -> None:
    with pytest.raises(UsageError, match=r'did you mean "lang"'):
        keys(get_user, ignore=("langg",))
    with pytest.raises(UsageError, match="leave it out of ignore"):
        keys(get_user, ignore=("zzz",))
    with pytest.raises(UsageError, match=r'write ignore=\("lang",\)'):
        keys(get_user, ignore="lang")


def test_ignore_names_what_goes_into_the_keywords() -> None:
    def search(term: str, **options: Any) -> None:
        raise NotImplementedError

    session = Session()
    for key in (None, "search:{term}:{options}"):
        made = keys(search, key, ignore=("db",))
        assert made.of("tea", {"db": session, "page": 1}) == made.of("tea", {"page": 1})
        assert made.of("tea", {"page": 1}) != made.of("tea", {"page": 2})
        with pytest.raises(UnkeyableArgument):
            keys(search, key).of("tea", {"db": session})
    named = keys(search, "search:{term}:{options[page]}", ignore=("db",))
    assert named.of("tea", {"db": session, "page": 1}) == "search:tea:1"


@dataclass(frozen=True)
class Frozen:
    x: int

    def load(self) -> None:
        raise NotImplementedError


@dataclass
class Changing:
    x: int


class Pair(NamedTuple):
    x: int


@attrs.frozen
class FrozenAttrs:
    x: int


@attrs.define
class ChangingAttrs:
    x: int


class FrozenStruct(msgspec.Struct, frozen=True):
    x: int


class ChangingStruct(msgspec.Struct):
    x: int


class FrozenModel(pydantic.BaseModel, frozen=True):
    x: int


class ChangingModel(pydantic.BaseModel):
    x: int


class Number(int):
    pass


class Identified:
    def __cache_key__(self) -> int:
        return 5


@pytest.mark.parametrize(
    ("receiver", "form"),
    [
        (Frozen(1), "Frozen(x=1)"), (Pair(1), "Pair(x=1)"), (FrozenAttrs(1), "FrozenAttrs(x=1)"),
        (FrozenStruct(1), "FrozenStruct(x=1)"), (FrozenModel(x=1), "FrozenModel(x=1)"),
        (Number(1), "Number(1)"),
        (Identified(), "Identified(5)"), (Session, "Session"),
    ],
)  # fmt: skip
def test_a_method_is_keyed_by_an_object_that_is_its_value(receiver: object, form: str) -> None:
    assert keys(Frozen.load, name="load").of(receiver) == f"load:{__name__}.{form}"


@pytest.mark.parametrize(
    "receiver", [Session(), Changing(1), ChangingAttrs(1), ChangingStruct(1), ChangingModel(x=1)]
)
def test_a_method_of_any_other_object_is_refused_with_the_lines_to_write(receiver: object) -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        keys(Frozen.load).of(receiver)
    assert caught.value.code == "DC112"
    assert "def __cache_key__(self)" in str(caught.value)
    assert '@cache(key="' in str(caught.value)
    assert keys(Frozen.load, ignore=("self",)).of(receiver) == f"{__name__}.Frozen.load"


def test_names_come_without_prefix_and_wildcards_only_from_the_template() -> None:
    make = names(get_user, "user_{lang}_*", "search_[ab]?", what="pattern")
    assert make(1, "a*b") == ("user_a%2Ab_*", "search_[ab]?")
    assert names(get_user, "users", "user:{user_id}", "{lang}")(1, "~x") == (
        "users",
        "user:1",
        "%7Ex",
    )
    assert names(get_user)(1, "x") == ()
    assert names(get_user, "~mine")(1, "x") == ("~mine",)


@pytest.mark.parametrize("pattern", ["u_[{lang}]", "[ab][^x{lang}]", "u_[{user_id}", r"\\[{lang}"])
def test_a_pattern_takes_no_value_inside_a_class(pattern: str) -> None:
    with pytest.raises(KeyTemplateError) as caught:
        names(get_user, pattern, what="pattern")
    assert caught.value.code == "DC108"


@pytest.mark.parametrize(
    "pattern", ["[ab]_{lang}", r"\[{lang}", r"[\]]{lang}", "{lang}_[ab]", "]{lang}"]
)
def test_a_pattern_takes_a_value_beside_a_class(pattern: str) -> None:
    names(get_user, pattern, what="pattern")


def test_a_long_pattern_keeps_its_wildcards() -> None:
    long = "x" * 600
    make = names(get_user, "u_{lang}_*", "u_{lang}", what="pattern")
    assert make(1, long) == (f"u_{long}_*", user_key(f"u_{long}"))


def test_the_compiled_function_can_be_read() -> None:
    made = keys(page, "user:{user_id}:{page}")
    assert inspect.getsource(made.of).startswith("def make_name(p0, p1):")
    with pytest.raises(TypeError) as caught:
        made.of()
    assert traceback.format_exception(caught.value)


@given(
    st.lists(st.one_of(st.integers(), st.text(), st.none(), st.floats()), min_size=2, max_size=2)
)
def test_compiled_and_plain_rendering_agree(values: list[Any]) -> None:
    from dualcache.keys.templates import parse_template, render

    for template, typed in itertools.product(("x:{a}:{b}", "{a}:{b}", "{a!s}:"), (False, True)):
        plain = render(parse_template(template), dict(zip("ab", values, strict=True)), typed)
        assert keys(free, template, typed_key=typed).of(*values) == user_key(plain)


class Catalogue:
    """Its methods call their object otherwise than `self`."""

    def item(this, number: int) -> int:  # noqa: N805  # pyright: ignore[reportSelfClsParameterName]
        return number


class Sealed(pydantic.BaseModel):
    code: pydantic.SecretStr


def unsealed(letter: Sealed) -> None:
    raise NotImplementedError


def test_nobody_is_advised_to_ignore_an_object_or_a_secret_without_a_condition() -> None:
    with pytest.raises(UnkeyableArgument) as caught:
        keys(Catalogue.item).of(Catalogue(), 1)
    assert "ignore" not in caught.value.help
    assert "{this.id}" in caught.value.help
    with pytest.raises(UnkeyableArgument, match="SecretStr") as caught:
        keys(unsealed).of(Sealed(code=pydantic.SecretStr("open")))
    assert caught.value.help.startswith("only if the result never depends on it: ignore=")
