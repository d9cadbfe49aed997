"""Opening a connection of either colour: RESP3, or RESP2 where the server refuses HELLO.

What is refused here concerns every call, so it is a matter of configuration, whatever its words:
each proxy has its own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from dualcache.backends.redis.connections import make_async_connection, make_connection
from dualcache.backends.redis.credentials import Credentials, is_refused
from dualcache.backends.redis.errors import classify, telling_rights
from dualcache.backends.redis.sentinel.role import ROLE, answer_of_role, require_master
from dualcache.backends.redis.tls import blame_files
from dualcache.backends.redis.wire.resp import pack
from dualcache.errors import BackendError, BackendRefused, BackendTimeout, BackendUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from dualcache.backends.redis.connections import AsyncConnection, Connection
    from dualcache.backends.redis.errors import OnMissingRight
    from dualcache.backends.redis.sentinel.watch import MasterWatch
    from dualcache.options.target import Target

__all__ = ["Handshake", "answers_older", "hung_up"]

PASSING: Final = frozenset({"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"})
"""The server is not ready yet."""
ABOUT_HELLO: Final = frozenset({"ERR", "NOPROTO"})
"""How HELLO may be refused. Not a wrong password, which must not be sent again: accounts lock."""

PROOF: Final = ("GET", "~p")
"""A read, which every service has; any reply will do."""


class _HungUp(BackendUnavailable):
    """The connection was accepted, and closed within its handshake: some proxies do at HELLO."""


class Handshake:
    """Opens the connections of one backend, and remembers which protocol its server speaks.

    `on_open` is called after each: another server may be behind the address, or other rights.
    `on_missing_right` is called for each reply that says so, where no event of the flow tells it.
    `watch` tells who the master is, where that is not in the URL.
    """

    def __init__(
        self,
        target: Target,
        on_open: Callable[[], None] = lambda: None,
        on_missing_right: OnMissingRight | None = None,
        watch: MasterWatch | None = None,
    ) -> None:
        self.on_refused = telling_rights(on_missing_right)
        self._target = target
        self._credentials = Credentials(target)
        self._has_opened = False
        self._on_open = on_open
        self._watch = watch
        self._protocol = target.protocol

    def located(self) -> Target:
        """Return the target of the server to connect to; raise `BackendError`."""
        watch = self._watch
        return self._target if watch is None else watch.located()

    async def located_async(self) -> Target:
        """Return the same without blocking the loop."""
        watch = self._watch
        return self._target if watch is None else await watch.located_async()

    def open(self, target: Target) -> Connection:
        """Return a connection on which a call may begin; raise `BackendError`."""
        try:
            return self._open(target)
        except (BackendUnavailable, BackendTimeout):
            if self._watch is not None:
                self._watch.doubt(target)
            raise

    async def open_async(self, target: Target) -> AsyncConnection:
        """Return a connection of the running loop; raise `BackendError`."""
        try:
            return await self._open_async(target)
        except (BackendUnavailable, BackendTimeout):
            if self._watch is not None:
                self._watch.doubt(target)
            raise

    def _open(self, target: Target) -> Connection:
        target = replace(target, protocol=self._protocol)
        given = self._credentials.put_into(target)
        check = self._watch is not None
        try:
            connection = _opened(given, check=check)
        except BackendRefused as error:
            renewed = self._credentials.put_into(target) if is_refused(error) else given
            given = _next(given, renewed, error)
            connection = _opened(given, check=check)
        except _HungUp as error:
            given = self._older(given, error)
            connection = _opened_older(given, error)
        self._took(given)
        connection.on_refused = self.on_refused
        self._on_open()
        return connection

    async def _open_async(self, target: Target) -> AsyncConnection:
        target = replace(target, protocol=self._protocol)
        credentials = self._credentials
        given = await credentials.put_into_async(target)
        check = self._watch is not None
        try:
            connection = await _async_opened(given, check=check)
        except BackendRefused as error:
            renewed = given
            if is_refused(error):
                renewed = await credentials.put_into_async(target)
            given = _next(given, renewed, error)
            connection = await _async_opened(given, check=check)
        except _HungUp as error:
            given = self._older(given, error)
            connection = await _async_opened_older(given, error)
        self._took(given)
        self._on_open()
        return connection

    def _older(self, given: Target, error: _HungUp) -> Target:
        """Return where to try RESP2 after the connection was closed, or raise the error."""
        # A server that has spoken RESP3 is going down, and Sentinel has no such proxies before it.
        if given.protocol == 2 or self._has_opened or self._watch is not None:
            raise error
        return replace(given, protocol=2)

    def _took(self, given: Target) -> None:
        """Remember which protocol has worked; not before, as a refusal may mean something else."""
        self._has_opened = True
        self._protocol = given.protocol


def _next(given: Target, renewed: Target, error: BackendRefused) -> Target:
    """Return what to try after a refusal, or raise it where nothing else can help."""
    if is_refused(error):
        # Never the same password twice: accounts lock. A provider may have another one by now.
        if renewed == given:
            raise error
        return renewed
    if given.protocol == 2 or error.prefix not in ABOUT_HELLO:
        raise error
    return replace(given, protocol=2)  # Redis before 6 and some proxies do not know HELLO


def _opened(target: Target, *, check: bool) -> Connection:
    """Return a new connection that is connected; `check`: to a master."""
    connection = make_connection(target)
    try:
        connection.begin()
        connection.connect()
        if check:
            require_master(connection.ask(ROLE, 1)[0])
    except BaseException as error:
        with suppress(Exception):
            connection.disconnect()
        if not isinstance(error, Exception):
            raise
        raise _failed(error, connection, target) from None
    return connection


def _opened_older(target: Target, cut: _HungUp) -> Connection:
    """Return a connection by RESP2 that has answered, or raise the error of the one before."""
    # By RESP2 nothing may have to be sent to open a connection, so that opening it proves nothing.
    connection = _opened(target, check=False)
    try:
        connection.ask(pack(PROOF), 1)
    except Exception:  # noqa: BLE001  whatever it is, the server does not answer
        with suppress(Exception):
            connection.disconnect()
        raise cut from None
    return connection


async def _async_opened(target: Target, *, check: bool) -> AsyncConnection:
    """Return a new connection of the running loop that is connected; `check`: to a master."""
    connection = make_async_connection(target)
    try:
        async with asyncio.timeout(target.socket_connect_timeout):
            await connection.connect()
            if check:
                require_master(await answer_of_role(connection))
    except BaseException as error:  # noqa: BLE001  also when it is cancelled
        # Cancelled within its handshake, a connection of redis-py stays connected without its user
        # and db: used again, it would read db 0. `nowait`: the goodbye could be cancelled, too.
        await connection.disconnect(nowait=True)
        raise _failed(error, connection, target) from None
    return connection


async def _async_opened_older(target: Target, cut: _HungUp) -> AsyncConnection:
    """Return a connection by RESP2 that has answered, or raise the error of the one before."""
    from redis import exceptions

    connection = await _async_opened(target, check=False)
    try:
        async with asyncio.timeout(target.socket_connect_timeout):
            await connection.send_command(*PROOF)
            with suppress(exceptions.ResponseError):
                await connection.read_response()
    except BaseException as error:
        await connection.disconnect(nowait=True)
        if not isinstance(error, Exception):
            raise
        raise cut from None
    return connection


def hung_up(error: BackendError, connection: object) -> bool:
    """Tell whether the server has accepted a connection, and closed it within the handshake."""
    is_dialled = bool(getattr(connection, "is_dialled", False))
    return is_dialled and error.code == "DC200" and isinstance(error, BackendUnavailable)


def answers_older(target: Target) -> bool:
    """Tell whether a server that hangs up at HELLO answers by RESP2."""
    older = replace(target, protocol=2)
    try:
        _opened_older(older, _HungUp("closed", code="DC200")).disconnect()
    except BackendError:
        return False
    return True


def _failed(error: BaseException, connection: object, target: Target) -> BackendError:
    """Return the error of a connection that could not be opened."""
    made = _refused_for_all(blame_files(classify(error), target))
    if not hung_up(made, connection):
        return made
    return _HungUp(made.what, code=made.code, details=made.details, help=made.help)


def _refused_for_all(error: BackendError) -> BackendError:
    """Mark a refusal of the handshake as a matter of configuration."""
    if not isinstance(error, BackendRefused) or error.prefix in PASSING or error.is_configuration:
        return error
    made = BackendRefused(
        f"the server refused the handshake with {error.prefix}",
        code="DC216",
        details=error.details,
        help="check db, protocol and client_name in the URL, and any proxy before the server",
    )
    made.prefix = error.prefix
    made.is_configuration = True
    return made
