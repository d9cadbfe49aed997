"""The shop on Django: `python -m examples.shop.django_shop`."""

from __future__ import annotations

import os

import django
from django.conf import settings
from django.core.cache import cache
from django.core.management import execute_from_command_line
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

from dualcache.integrations.django import dualcache_of, invalidate_on_commit
from examples.shop.goods import Goods, port

goods = Goods()
settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["dualcache.integrations.django"],
    SECRET_KEY=os.environ.get("SHOP_SECRET_KEY", "the same in all workers, and known to nobody"),
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": goods.path,
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    CACHES={
        "default": {
            "BACKEND": "dualcache.integrations.django.DualCache",
            "LOCATION": os.environ.get("DUALCACHE_URL", "memory://"),
            "OPTIONS": {"namespace": "django-shop", "front": 1_000, "max_staleness": 1},
        }
    },
)
django.setup()
shop = dualcache_of("default")  # for decorators: the cache behind django.core.cache.cache


class Good(models.Model):
    """The table that `goods.py` has made."""

    name = models.TextField()
    cents = models.IntegerField()

    class Meta:
        app_label = "shop"
        db_table = "goods"
        managed = False

    def __str__(self) -> str:
        return self.name


# The item and the list are made of prices. They would outlive the copy of a price, so prices are
# read from the server: front=False.
@shop(key="price:{item_id}", ttl="5m", tags=["item:{item_id}"], front=False)
def price(item_id: int) -> int:
    return goods.price(item_id)


@shop(key="item:{item_id}", ttl="5m", tags=["item:{item_id}"])
def item(item_id: int) -> dict[str, int | str]:
    name = Good.objects.values_list("name", flat=True).get(pk=item_id)
    return {"id": item_id, "name": name, "price": price(item_id)}


def items() -> list[dict[str, int | str]]:
    rows = Good.objects.order_by("id").values("id", "name")
    return [{**row, "price": price(row["id"])} for row in rows]


def list_goods(request: HttpRequest) -> JsonResponse:
    shown = cache.get_or_set("goods", items, timeout=300, tags=["goods"])
    return JsonResponse(shown, safe=False)


def read_item(request: HttpRequest, item_id: int) -> JsonResponse:
    try:
        return JsonResponse(item(item_id))
    except Good.DoesNotExist as error:
        raise Http404 from error


@require_POST
def buy(request: HttpRequest, item_id: int) -> JsonResponse:
    with transaction.atomic():
        changed(item_id, cents=models.F("cents") + 1)
        new = Good.objects.values_list("cents", flat=True).get(pk=item_id)
    return JsonResponse({"price": new})


@require_POST
def rename(request: HttpRequest, item_id: int) -> JsonResponse:
    with transaction.atomic():
        changed(item_id, name=request.GET["name"])
    return JsonResponse({"name": request.GET["name"]})


def changed(item_id: int, **values: object) -> None:
    """Change a row; what is cached of it is invalidated when the transaction has committed."""
    if not Good.objects.filter(pk=item_id).update(**values):
        raise Http404
    invalidate_on_commit(shop, tags=[f"item:{item_id}", "goods"])


@require_POST
def fence(request: HttpRequest) -> HttpResponse:
    """After this, this worker shows every change that any worker has acknowledged before."""
    shop.fence()
    return HttpResponse()


urlpatterns = [
    path("goods", list_goods),
    path("goods/<int:item_id>", read_item),
    path("goods/<int:item_id>/buy", buy),
    path("goods/<int:item_id>/rename", rename),
    path("fence", fence),
]

if __name__ == "__main__":
    execute_from_command_line(["shop", "runserver", "--noreload", str(port())])
