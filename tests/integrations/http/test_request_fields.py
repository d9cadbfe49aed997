"""Fields that FastAPI hands to an endpoint, or to what checks who asks, are part of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, APIKeyQuery, HTTPBearer
from pydantic import BaseModel, Field

from dualcache.frameworks.request_fields import fields_read
from tests.integrations.http.conftest import status_of, statuses

if TYPE_CHECKING:
    from tests.integrations.http.conftest import Shop

API_KEY = APIKeyHeader(name="X-Key", auto_error=False)


class Hints(BaseModel):
    save_data: bool = False
    device: str = Field("", alias="Sec-Device")


def checked(x_token: Annotated[str, Header()] = "") -> None:
    if x_token != "right":
        raise HTTPException(403)


@pytest.mark.parametrize("is_included", [False, True])
def test_who_is_checked_by_a_dependency_gets_no_response_of_others(
    shop: Shop, is_included: bool
) -> None:
    app, router = FastAPI(), APIRouter()
    own = [] if is_included else [Depends(checked)]

    @router.get("/", dependencies=own)
    @shop.http(ttl=60)
    def read(key: Annotated[str | None, Security(API_KEY)]) -> str | None:
        return key

    app.include_router(router, prefix="/v1", dependencies=[Depends(checked)] if is_included else [])
    site = shop.site(app)
    right = {"x-token": "right"}
    assert statuses(site, "/v1/", "/v1/", headers=right) == ["uri-miss", "hit"]
    assert [site.send("GET", "/v1/").status_code for _ in range(2)] == [403, 403]
    told = [site.send("GET", "/v1/", headers={**right, "x-key": key}) for key in ("a", "b", "a")]
    assert [each.json() for each in told] == ["a", "b", "a"]
    assert status_of(told[-1])["hit"] is True
    assert told[-1].headers["vary"] == "accept-language, x-key, x-token"


def test_a_field_that_tells_who_asks_passes_as_before(shop: Shop) -> None:
    app = FastAPI()

    @app.get("/")
    @shop.http(ttl=60)
    def read(authorization: Annotated[str, Header()]) -> str:
        return authorization

    site = shop.site(app)
    assert statuses(site, "/", "/", headers={"authorization": "a"}) == ["bypass", "bypass"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (Annotated[str, Header()], {"given"}),
        (Annotated[str, Header(alias="X-Own")], {"x-own"}),
        (Annotated[Hints, Header()], {"save-data", "sec-device"}),
        (Annotated[Hints, Header(convert_underscores=False)], {"save_data", "sec-device"}),
        (Annotated[str, Security(API_KEY)], {"x-key"}),
        (Annotated[str, Security(APIKeyQuery(name="key"))], set()),
        (Annotated[str, Security(APIKeyCookie(name="key"))], set()),
        (Annotated[str, Security(HTTPBearer())], set()),
        (Annotated[None, Depends(checked)], {"x-token"}),
        (int, set()),
    ],
)
def test_the_fields_of_a_route_are_found(annotation: Any, expected: set[str]) -> None:
    def read(given: Any) -> None:
        pass

    read.__annotations__["given"] = annotation
    app = FastAPI()
    app.get("/")(read)
    assert fields_read({"route": app.routes[-1]}) == expected


def test_a_route_of_another_framework_has_none() -> None:
    assert fields_read({}) == frozenset()
