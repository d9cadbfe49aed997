"""`instrument`: metrics and spans of a cache, by the API of OpenTelemetry.

Without an SDK it does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from opentelemetry.metrics import get_meter
from opentelemetry.trace import get_tracer

from dualcache import __version__
from dualcache.integrations.opentelemetry.metrics import Metrics
from dualcache.integrations.opentelemetry.spans import Spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from dualcache import Cache

__all__ = ["instrument"]

_instrumented: Final[WeakSet[Cache]] = WeakSet()


def instrument(
    cache: Cache,
    *,
    metrics: bool = True,
    traces: bool = True,
    include_keys: bool = False,
    attributes: Mapping[str, str] | None = None,
    meter_provider: MeterProvider | None = None,
    tracer_provider: TracerProvider | None = None,
) -> None:
    """Give metrics and spans of a cache to OpenTelemetry; a second call changes nothing.

    `include_keys` puts keys into spans, as `cache.key`; metrics have key templates only.
    `attributes` are added to each measurement, to tell several caches of a program apart. The
    providers are the global ones unless you give others.
    """
    if cache in _instrumented:
        return
    _instrumented.add(cache)
    if metrics:
        meter = get_meter("dualcache", __version__, meter_provider)
        Metrics(cache, meter, attributes or {}).register()
    if traces:
        cache.trace(
            Spans(get_tracer("dualcache", __version__, tracer_provider), include_keys=include_keys)
        )
