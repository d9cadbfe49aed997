"""`RouteLoads`: how the responses of a route are loaded and found, in both colours.

The engine's policy of a route is made once, not for each request as that of a direct call is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.core.entry import MISSING
from dualcache.core.policy import Call, Counters, no_loader
from dualcache.core.scope import switched_off
from dualcache.engine.read import get
from dualcache.http.advice import log_unstored
from dualcache.http.keys import key_of
from dualcache.http.results import is_response
from dualcache.http.stored import StoredResponse
from dualcache.keys.names import full_tags, user_key, user_tag
from dualcache.options.policy import make_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from dualcache.core.policy import Policy
    from dualcache.front.of_function import FunctionFront
    from dualcache.http.policy import HttpPolicy
    from dualcache.runtime.runtime import Runtime

__all__ = ["RouteLoads", "Routes"]

CODEC: Final = {"codec": "msgpack", "check": False}
"""Whatever the cache has for values; bytes and numbers are read as they were written."""


class Routes:
    """The routes that one decorated function answers: mostly one."""

    def __init__(self, runtime: Runtime, policy: HttpPolicy, name: str) -> None:
        """`name` stands in statistics where no route tells its template."""
        self._runtime = runtime
        self._policy = policy
        self._name = name
        self._loads: dict[str, RouteLoads] = {}

    def now_ms(self) -> int:
        """Return the time by the clock of the cache: another one inside of `override`."""
        return self._runtime.backend.env.now_ms()

    def loads_of(self, template: str, fields: Callable[[], Collection[str]] = tuple) -> RouteLoads:
        """Return the loads of the route with this template, whose key holds these fields too."""
        loads = self._loads.get(template)
        if loads is None:
            label = key_of(self._policy.key or template or self._name, "", "")
            policy = self._policy.with_fields(fields())
            loads = self._loads[template] = RouteLoads(self._runtime, policy, label)
        return loads


class RouteLoads:
    """The loads of one route of one cache, counted under its label."""

    name = ""
    """A route is known by its label."""
    front: FunctionFront | None = None
    """Responses use that part of the front tier which direct calls use."""

    def __init__(self, runtime: Runtime, http_policy: HttpPolicy, label: str) -> None:
        self.label = label
        self.counters = Counters()
        self._runtime = runtime
        self.http_policy = http_policy
        self._policy: Policy | None = None
        self._is_registered = False
        self._unasked = 0
        self._told: set[str] = set()

    @property
    def ttl(self) -> float | None:
        """Seconds that results are stored for; `None`: without end, or before the first call."""
        ttl_ms = None if self._policy is None else self._policy.ttl_ms
        return None if ttl_ms is None else ttl_ms / 1000

    @property
    def unstored(self) -> int:
        """How many responses were not stored that could be: if it stays the same, all were."""
        reasons = self.counters.not_stored.copy()  # another thread may add one
        return sum(reasons.values()) - reasons.get("condition", 0) + self._unasked

    def note_unstored(self, reason: str) -> None:
        """Log a reason why a response is kept for nobody, the first time."""
        if reason not in self._told:
            self._told.add(reason)
            log_unstored(self.label, reason)

    def forget_policy(self) -> None:
        """Make the policy anew at the next request: the cache lives elsewhere now."""
        self._policy = None

    async def aload(self, key: str, tags: Iterable[str], loader: Callable[[], Any]) -> Any:
        """Return the response that is stored, or the result of the loader."""
        if id(self._runtime) in switched_off.get():
            found = await loader()
            self._unasked += 1
            return found
        return await self._runtime.backend.aget_or_load(self._call(key, tags, loader))

    def load(self, key: str, tags: Iterable[str], loader: Callable[[], Any]) -> Any:
        """Return the response that is stored, or the result of the loader."""
        if id(self._runtime) in switched_off.get():
            found = loader()
            self._unasked += 1
            return found
        return self._runtime.backend.get_or_load(self._call(key, tags, loader))

    async def afind(self, key: str) -> StoredResponse | None:
        """Return the response that is stored; never load."""
        backend = self._runtime.active_backend
        return _response(await backend.arun(get(self._call(key), backend.env)))

    def find(self, key: str) -> StoredResponse | None:
        """Return the response that is stored; never load."""
        backend = self._runtime.active_backend
        return _response(backend.run(get(self._call(key), backend.env)))

    def _call(
        self, key: str, tags: Iterable[str] = (), loader: Callable[[], Any] = no_loader
    ) -> Call:
        prefix = self._runtime.prefix
        names = full_tags(prefix, [user_tag(tag) for tag in tags])
        policy = self._policy or self._make_policy()
        return Call(prefix + user_key(key), policy, names, function=loader)

    def _make_policy(self) -> Policy:
        if not self._is_registered:  # a route that only writes never comes here
            self._is_registered = True
            self._runtime.functions.add(self)
        runtime, policy = self._runtime, self.http_policy
        value_codec = runtime.codecs.direct_codec_for(StoredResponse, CODEC)
        options: dict[str, Any] = {
            "ttl": None if policy.ttl_ms is None else policy.ttl_ms / 1000,
            "condition": is_response,
            "stale_while_revalidate": policy.stale_while_revalidate,
            "stale_if_error": policy.stale_if_error,
            # Not what the cache has for exceptions: a status of 500 is a failure in any case.
            "stale_on": None,
        }
        made = self._policy = make_policy(
            self.label,
            value_codec,
            options,
            runtime.defaults,
            owner="cache.http()",
            counters=self.counters,
            front=runtime.backend.front_for(value_codec),
        )
        return made


def _response(found: Any) -> StoredResponse | None:
    return None if found is MISSING else found
