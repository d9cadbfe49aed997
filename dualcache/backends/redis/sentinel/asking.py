"""Asking Sentinels for the address of a master, by redis-py, within a bounded time.

redis-py's `Sentinel` goes through its clients in order and takes the first good answer. Here these
clients are connections of ours, since redis-py's own know no bound on the resolver, nor in all.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec.structs import replace

from dualcache.backends.redis.connections import make_connection
from dualcache.backends.redis.credentials import OPTION, Credentials, is_refused
from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.redis_py import import_redis
from dualcache.backends.redis.wire.resp import pack
from dualcache.errors import BackendError, BackendRefused, BackendUnavailable
from dualcache.options.place import Address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dualcache.backends.redis.connections import Connection
    from dualcache.options.target import Target

__all__ = ["MOVED", "SILENT", "Failure", "Sentinels", "sentinel_target"]

MASTERS: Final = "SENTINEL MASTERS"


class Failure(NamedTuple):
    """Why no master was found; each caller that waited for the answer raises its own error."""

    code: str
    what: str
    cause: str = ""
    help: str = ""
    is_configuration: bool = False

    def error(self) -> BackendUnavailable:
        """Return a new error that tells it."""
        details = (("cause", self.cause),) if self.cause else ()
        made = BackendUnavailable(self.what, code=self.code, details=details, help=self.help)
        made.is_configuration = self.is_configuration
        return made


def sentinel_target(target: Target, address: Address, seconds: float) -> Target:
    """Return the target of one Sentinel, which has `seconds` for everything."""
    return replace(
        target,
        host=address.host,
        port=address.port,
        sentinels=(),
        db=0,
        username=target.sentinel_username,
        password=target.sentinel_password,
        is_tls=target.is_tls if target.sentinel_ssl is None else target.sentinel_ssl,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        call_timeout=seconds,
        # Sentinels before 6.2 do not know HELLO, and none has a name to set.
        protocol=2,
        client_name=None,
        redis_arguments=_arguments_of(target),
    )


def _arguments_of(target: Target) -> dict[str, Any]:
    """Return the arguments of a Sentinel's connection: its provider is not the master's."""
    made = dict(target.redis_arguments)
    made.pop(OPTION, None)
    provider = target.sentinel_provider
    return made if provider is None else made | {OPTION: provider}


SILENT: Final = Failure(code="DC320", what="no Sentinel answers", cause="no Sentinel answers")

MOVED: Final = Failure(code="DC324", what="another server is the master now")


class Sentinels:
    """The Sentinels of one target. One thread asks them; their connections are kept."""

    def __init__(self, target: Target) -> None:
        import_redis()
        from redis import sentinel

        assert target.service is not None, "only a URL of Sentinels comes here"
        self._service = target.service
        # A share for each, and one for the connection to the master itself.
        seconds = target.socket_connect_timeout / (len(target.sentinels) + 1)
        targets = (sentinel_target(target, each, seconds) for each in target.sentinels)
        self._asked: Any = [_OneSentinel(each) for each in targets]
        self._sentinel = sentinel.Sentinel([])
        self._sentinel.sentinels = list(self._asked)  # it puts the one that answers first
        self._not_found = sentinel.MasterNotFoundError

    def master(self) -> Address | Failure:
        """Return the master's address, or why none was found."""
        try:
            host, port = self._sentinel.discover_master(self._service)
        except self._not_found:
            return self._failure()
        return Address(str(host), int(port))

    def pass_over(self) -> None:
        """Ask the Sentinel that answered last after all others from now on."""
        self._sentinel.sentinels.append(self._sentinel.sentinels.pop(0))

    def close(self) -> None:
        for each in self._asked:
            each.close()

    def _failure(self) -> Failure:
        """Return why no Sentinel named a master: the first reason that can be fixed."""
        name = self._service
        answers = [each for each in self._asked if each.failure is None]
        refusals = [each.failure for each in self._asked if _is_fixable(each.failure)]
        if any(name in each.services for each in answers):
            return Failure(
                code="DC323",
                what=f"the Sentinels see no living master of {name}",
                cause=f"the Sentinels see no living master of {name} at the moment",
            )
        if answers:
            known = sorted({service for each in answers for service in each.services})
            return Failure(
                code="DC321",
                what=f"the Sentinels do not know a service {name}",
                help=f"they know: {', '.join(known)}" if known else "they watch no service",
                is_configuration=True,
            )
        if refusals:
            refusal = refusals[0]
            assert refusal is not None, "it is fixable"
            return Failure(
                code="DC322",
                what=f"the Sentinels refuse to answer: {refusal.what}",
                help=_fix_of(refusal),
                is_configuration=True,
            )
        return _failure_of_provider([each.failure for each in self._asked]) or SILENT


class _OneSentinel:
    """One Sentinel, as redis-py's `Sentinel` asks it."""

    def __init__(self, target: Target) -> None:
        from redis import Redis

        self.failure: BackendError | None = None
        """Why it gave no answer when it was asked last."""
        self.services: frozenset[str] = frozenset()
        """What it watched then."""
        self._target = target
        self._credentials = Credentials(target)
        self._connection: Connection | None = None
        self._parse = Redis(protocol=2).response_callbacks[MASTERS]

    def sentinel_masters(self) -> dict[str, Any]:
        """Return the state of each master that it watches, by name."""
        from redis.exceptions import ConnectionError as NoAnswer

        self.failure, self.services = None, frozenset()
        try:
            masters = self._answer()
        except BackendError as error:
            self.failure = error
            # redis-py asks the next one after this error, and after no other.
            raise NoAnswer(error.code) from None
        self.services = frozenset(masters)
        return masters

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.disconnect()

    def _answer(self) -> dict[str, Any]:
        was_connected = self._connection is not None
        given = self._target if was_connected else self._credentials.put_into(self._target)
        try:
            return self._ask(given)
        except BackendUnavailable:
            if not was_connected:
                raise
            # It was started anew since it was asked last.
            return self._ask(self._credentials.put_into(self._target))
        except BackendRefused as error:
            if not is_refused(error):
                raise
            # Never the same password twice: accounts lock. A provider may have another one by now.
            renewed = self._credentials.put_into(self._target)
            if renewed == given:
                raise
            return self._ask(renewed)

    def _ask(self, target: Target) -> dict[str, Any]:
        connection = self._connection or make_connection(target)
        self._connection = connection
        try:
            connection.begin()
            (reply,) = connection.ask(pack(("SENTINEL", "MASTERS")), 1)
            found: dict[str, Any] = self._parsed(reply)
        except Exception as error:  # noqa: BLE001  redis-py raises more than its own errors
            self.close()
            raise classify(error) from None
        return found

    def _parsed(self, reply: Any) -> Any:
        if isinstance(reply, BackendError):
            raise reply
        return self._parse(reply)


def _failure_of_provider(failures: Sequence[BackendError | None]) -> Failure | None:
    """Return why nobody could log in at the Sentinels, where their provider is the reason."""
    for failure in failures:
        if failure is not None and failure.code == "DC317":
            what = f"{failure.what}, for the Sentinels"
            return Failure(code="DC317", what=what, cause=what, help=failure.help)
    return None


def _is_fixable(failure: BackendError | None) -> bool:
    return failure is not None and (isinstance(failure, BackendRefused) or failure.is_configuration)


def _fix_of(refusal: BackendError) -> str:
    """Return what to write where a Sentinel refuses; the URL's password is not for Sentinels."""
    prefix = refusal.prefix if isinstance(refusal, BackendRefused) else ""
    if prefix in {"NOAUTH", "WRONGPASS"}:
        return (
            "check sentinel_username and sentinel_password, or sentinel_credential_provider; user "
            "and password in the URL are those of the master"
        )
    if prefix == "NOPERM":
        return "let the user of the Sentinels run SENTINEL MASTERS: +sentinel|masters"
    if prefix == "ERR":
        return "this is no Sentinel: check the port, which is 26379 by default"
    return refusal.help
