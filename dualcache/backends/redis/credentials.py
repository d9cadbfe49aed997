"""Credentials that change: a provider of redis-py's kind, asked before each connection is opened.

Asked for here and not by redis-py, which would ask within the time-out of connecting: fetching a
token takes longer than that, and would be cut off each time.
"""

from __future__ import annotations

import os
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dualcache.drivers.threads import start
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable
from dualcache.options.checks import revealed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import TypeAlias

    from dualcache.options.target import Target

    UserAndPassword: TypeAlias = tuple[str | None, str]

__all__ = ["OPTION", "Credentials", "is_refused", "on_renewal"]

OPTION = "credential_provider"


class Credentials:
    """The credentials of one target's connections; without a provider, those of the URL.

    Callers share one question to the provider, in a separate thread. A caller waits for it as long
    as a call may wait; an answer that comes later is the next caller's.
    """

    def __init__(self, target: Target) -> None:
        self._provider: Any = target.redis_arguments.get(OPTION)
        self._seconds = target.longest_call
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = Lock()
        self._question: Future[UserAndPassword] | None = None

    def put_into(self, target: Target) -> Target:
        """Return the target with user and password of now; raise `BackendError`."""
        if self._provider is None:
            return target
        question = self._asked()
        try:
            found = question.result(self._seconds)
        except Exception as error:  # noqa: BLE001  whatever the provider raises
            raise self._failure(error, question) from None
        self._taken(question)
        return _with(target, found)

    async def put_into_async(self, target: Target) -> Target:
        """Return the same; a provider's own coroutine is awaited in the running loop."""
        if self._provider is None:
            return target
        import asyncio

        question = None
        try:
            async with asyncio.timeout(self._seconds):
                if _has_own_coroutine(self._provider):
                    found = _checked(await self._provider.get_credentials_async())
                else:
                    question = self._asked()
                    answer = asyncio.wrap_future(question)
                    answer.add_done_callback(_looked_at)
                    found = await asyncio.shield(answer)
        except Exception as error:  # noqa: BLE001  whatever the provider raises
            raise self._failure(error, question) from None
        self._taken(question)
        return _with(target, found)

    def _asked(self) -> Future[UserAndPassword]:
        """Return the question under way, or one whose answer nobody has taken yet."""
        from concurrent.futures import Future  # brings logging; redis-py has imported it by now

        if self._process != os.getpid():  # the thread that was asked is the parent's
            self._begin()
        with self._lock:
            question = self._question
            if question is None:
                question = self._question = Future[Any]()
                question.set_running_or_notify_cancel()  # who is cancelled cancels nothing
                work = partial(Thread, name="dualcache-credentials", daemon=True)
                start(work(target=self._ask, args=[question]))
            return question

    def _ask(self, question: Future[UserAndPassword]) -> None:
        try:
            question.set_result(_checked(_ask_provider(self._provider)))
        except BaseException as error:  # noqa: BLE001  it is raised where it is waited for
            question.set_exception(error)

    def _taken(self, question: Future[UserAndPassword] | None) -> None:
        """Let the next caller ask anew."""
        with self._lock:
            if self._question is question:
                self._question = None

    def _failure(self, error: Exception, question: Future[UserAndPassword] | None) -> BackendError:
        """Return the error for a provider that raised, or that gave no answer in time."""
        if question is not None and question.done():
            self._taken(question)
        if isinstance(error, BackendError):
            return error
        if isinstance(error, TimeoutError) and (question is None or not question.done()):
            return BackendTimeout(
                "the credential provider gave no answer in time",
                code="DC317",
                details=(("cause", "the credential provider gave no answer in time"),),
                help="let it keep its token and fetch the next one early, or raise call_timeout",
            )
        kind = type(error).__name__
        return BackendUnavailable(
            f"the credential provider raised {kind}",
            code="DC317",
            details=(("cause", f"the credential provider raised {kind}"),),
            help="check the service that it asks; the cache asks again before each connection",
        )


def on_renewal(target: Target, leave: Callable[[], None]) -> None:
    """Have connections opened again when a provider that streams has new credentials.

    redis-py sends AUTH on the connections of its pools, and ours are not among them.
    """
    subscribe = getattr(target.redis_arguments.get(OPTION), "on_next", None)
    if subscribe is not None:
        subscribe(lambda _: leave())


def is_refused(error: BackendError) -> bool:
    """Tell whether the server did not take user and password."""
    return isinstance(error, BackendRefused) and error.prefix in {"NOAUTH", "WRONGPASS"}


def _looked_at(answer: asyncio.Future[Any]) -> None:
    """Look at an answer that nobody may wait for any more: asyncio reports one that is missed."""
    if not answer.cancelled():
        answer.exception()


def _ask_provider(provider: Any) -> Any:
    """Ask in a thread of its own, where a coroutine may have a loop of its own."""
    if hasattr(provider, "get_credentials"):
        return provider.get_credentials()
    import asyncio

    return asyncio.run(provider.get_credentials_async())


def _has_own_coroutine(provider: Any) -> bool:
    """Tell whether a provider can be awaited; redis-py's default calls the blocking method."""
    method = getattr(type(provider), "get_credentials_async", None)
    return method is not None and getattr(method, "__module__", "") != "redis.credentials"


def _checked(given: Any) -> UserAndPassword:
    """Return user and password of what a provider returned: `(password,)` or `(user, password)`."""
    parts = [revealed(part) for part in given] if isinstance(given, tuple | list) else []
    if not 1 <= len(parts) <= 2 or not isinstance(parts[-1], str):
        made = BackendUnavailable(
            "the credential provider returned no (user, password)",
            code="DC317",
            details=(("cause", "the credential provider returned no (user, password)"),),
            help="return a tuple of two texts, or of the password alone",
        )
        made.is_configuration = True
        raise made
    return (parts[0] or None if len(parts) == 2 else None), parts[-1]


def _with(target: Target, found: UserAndPassword) -> Target:
    others = {name: value for name, value in target.redis_arguments.items() if name != OPTION}
    username, password = found
    return replace(target, username=username, password=password, redis_arguments=others)
