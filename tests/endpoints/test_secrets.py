"""What no key shows: tokens and keys that security dependencies read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID  # noqa: TC003  an annotation that is resolved

from fastapi import Cookie, Depends, FastAPI, Header, Request, Security
from fastapi.security import APIKeyHeader, HTTPBasic, HTTPBasicCredentials, OAuth2PasswordBearer
from pydantic import BaseModel, HttpUrl

from tests.endpoints.conftest import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache import Cache
    from tests.endpoints.conftest import Stage
    from tests.servers import Server

bearer = OAuth2PasswordBearer("token")
header = APIKeyHeader(name="x-key", auto_error=False)


class Places(BaseModel):
    home: HttpUrl


def current_name(what: Annotated[str, Depends(bearer)]) -> str:
    return what.upper()


class Session:
    """A dependency that is a class and depends on one that depends on a scheme."""

    def __init__(self, name: str = Depends(current_name)) -> None:
        self.name = name


def name_of(session: Annotated[Session, Depends()]) -> str:
    return session.name


def number_of(what: str = Depends(bearer)) -> int:
    return len(what)


def by_default(request: Request, post_id: int, given: str = Depends(bearer)) -> str:
    return given


def by_annotation(request: Request, post_id: int, given: Annotated[str, Security(bearer)]) -> str:
    return given


def over_a_step(request: Request, post_id: int, name: Annotated[str, Depends(current_name)]) -> str:
    return name


def over_two_steps(request: Request, post_id: int, name: str = Depends(name_of)) -> str:
    return name


def by_name(request: Request, post_id: int, x_auth_token: Annotated[str, Header()] = "") -> str:
    return x_auth_token


def by_cookie(request: Request, post_id: int, sid: Annotated[str, Cookie()] = "") -> str:
    return sid


def by_alias(
    request: Request, post_id: int, given: str = Header(default="", alias="X-Auth-Token")
) -> str:
    return given


def in_a_model(
    request: Request, post_id: int, who: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]
) -> str:
    return who.password


HEADERS = {"authorization": "Bearer hush-1", "x-auth-token": "hush-1", "cookie": "sid=hush-1"}
BASIC = {"authorization": "Basic YW5uOmh1c2gtMQ=="}


def test_what_a_scheme_reads_is_in_no_key_and_tells_answers_apart(
    redis_server: Server, redis_stage: Stage
) -> None:
    bodies: list[Callable[..., Any]] = [
        by_default, by_annotation, over_a_step, over_two_steps,
        by_name, by_cookie, by_alias, in_a_model,
    ]  # fmt: skip
    app = FastAPI()
    for body in bodies:
        decorated = redis_stage.endpoint(key_prefix=body.__name__)(body)
        app.get(f"/{body.__name__}/{{post_id}}")(decorated)
    site = redis_stage.site(app)
    for body in bodies:
        headers = BASIC if body is in_a_model else HEADERS
        path = f"/{body.__name__}/1"
        first = site.get(path, headers=headers)
        assert site.get(path, headers=headers) == first
        others = {"authorization": "Bearer hush-2", "x-auth-token": "hush-2"}
        if body is not in_a_model:
            assert site.get(path, headers=others) != first
    keys = keys_of(redis_server)
    assert len(keys) == 2 * len(bodies) - 1
    assert not [key for key in keys if "hush" in key.lower()]


def test_a_template_and_what_deletes_by_it_show_the_same_digest(stage: Stage) -> None:
    decorate = stage.endpoint(key_prefix="of_{given}:post", resource_id_name="post_id")
    cached: Any = decorate(by_annotation)

    def write(request: Request, post_id: int, key: str = Depends(bearer)) -> str:
        return key

    app = FastAPI()
    app.get("/{post_id}")(cached)
    extra = {"of_{key}:post": "{post_id}"}
    app.put("/{post_id}")(stage.endpoint(key_prefix="x", to_invalidate_extra=extra)(write))
    site = stage.site(app)
    assert site.get("/1", headers=HEADERS) == "hush-1"
    key = cached.key_for(None, 1, "hush-1")
    assert "hush" not in key
    assert key == stage.cache.key("of_{it!digest}:post:1", it="hush-1")
    assert stage.cache.contains(key)
    site.write("PUT", "/1", headers=HEADERS)
    assert not stage.cache.contains(key)


def test_what_is_no_free_text_stands_in_the_key(cache: Cache) -> None:
    @cache(key_prefix="post")
    def read(
        request: Request | None,
        post_id: int,
        number: Annotated[int, Depends(number_of)],
        user: Annotated[UUID | None, Depends(bearer)] = None,
        plain: Annotated[str, Depends(lambda: "x")] = "x",
    ) -> None: ...

    assert read.key_for(None, 1, 5) == "post:1:number=5:user=None:plain=x"


def test_a_template_may_ask_for_the_text_itself(cache: Cache) -> None:
    def read(request: Request | None, post_id: int, key: str | None = Depends(header)) -> None: ...

    shown = cache(key_prefix="of_{key!s}:post", resource_id_name="post_id")(read)
    assert shown.key_for(None, 1, "hush") == "of_hush:post:1"
    hidden = cache(key_prefix="of_{key}:post", resource_id_name="post_id")(read)
    assert hidden.key_for(None, 1, None) == "of_None:post:1"


def test_a_function_without_endpoint_options_hides_them_too(cache: Cache) -> None:
    @cache(name="who")
    def who(given: str = Depends(bearer)) -> str:
        return given

    assert "hush" not in who.key_for("hush")
    assert who.key_for("hush") != who.key_for("other")


def test_urls_and_models_with_urls_are_part_of_a_key(stage: Stage) -> None:
    app = FastAPI()

    @app.post("/")
    async def outer(request: Request, places: Places, home: HttpUrl) -> Any:
        result = cached(places, home)
        return await result if stage.is_async else result

    def places_of(places: Places, home: HttpUrl) -> int:
        return stage.count("places")

    cached = stage.cache(key_prefix="places")(stage.coloured(places_of))
    site = stage.site(app)
    body = {"home": "http://a.test/"}
    for _ in range(2):
        assert site.write("POST", "/?home=http://a.test", json=body) == 1
    assert site.write("POST", "/?home=http://b.test", json=body) == 2
    assert site.write("POST", "/?home=http://a.test", json={"home": "http://b.test/"}) == 3


def test_a_header_that_vary_hands_over_is_in_no_key(cache: Cache) -> None:
    @cache(key_prefix="me", vary=lambda request: request.headers.get("authorization"))
    def me(request: Request) -> str:
        return request.headers["authorization"]

    def asking(token: str) -> Request:
        headers = [(b"authorization", token.encode())]
        return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})

    keys = [me.key_for(asking(token)) for token in ("Bearer hush-1", "Bearer hush-2", "ann")]
    assert keys[0].startswith("me:global:vary=~")
    assert len(set(keys)) == 3
    assert "hush" not in "".join(keys)
    assert keys[2] == "me:global:vary='ann'"
