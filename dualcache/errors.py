"""The error tree, by whose fault it is.

DualCacheError
├── UsageError (ValueError)                      the caller's code or configuration
│   ├── KeyTemplateError                         a key or tag template cannot be right
│   ├── UnkeyableArgument (TypeError)            an argument cannot be part of a key
│   ├── CacheIdentificationInferenceError        no parameter is clearly the resource id
│   └── InvalidRequestError                      a read that is asked to invalidate
├── BackendError                                 Redis, the network, or its configuration
│   ├── BackendUnavailable (ConnectionError)     refused, closed, circuit breaker open
│   ├── BackendTimeout (TimeoutError)            no answer in time
│   ├── BackendRefused                           the server answered with an error
│   └── MissingClientError                       this cache has no Redis client
├── CodecError                                   a value cannot be encoded or decoded
│   ├── DecodeError                              stored bytes are not a value of this cache
│   │   └── SignatureError                       stored bytes have no valid signature
│   └── UnencodableValue (TypeError)             no codec keeps a value exactly
└── LoaderTimeout (TimeoutError)                 the user's function took longer than allowed

No message contains a value, a secret or a digest. All errors can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BackendError",
    "BackendRefused",
    "BackendTimeout",
    "BackendUnavailable",
    "CacheIdentificationInferenceError",
    "CodecError",
    "DecodeError",
    "DualCacheError",
    "InvalidRequestError",
    "KeyTemplateError",
    "LoaderTimeout",
    "MissingClientError",
    "SignatureError",
    "UnencodableValue",
    "UnkeyableArgument",
    "UsageError",
]


class DualCacheError(Exception):
    """Root of all errors of dualcache.

    `code` is explained in the documentation. `what` is one line. `details` are labelled lines below
    it; an empty label continues the line above, for carets. `help` says how to fix it.
    """

    def __init__(
        self,
        what: str,
        *,
        code: str,
        details: Sequence[tuple[str, str]] = (),
        help: str = "",  # noqa: A002  the label that users read
    ) -> None:
        super().__init__(what)
        self.what = what
        self.code = code
        self.details = tuple(details)
        self.help = help

    def __str__(self) -> str:
        lines = [*self.details, ("help", self.help)] if self.help else self.details
        shown = (f"\n  {label:<9} {text}" for label, text in lines)
        return f"[{self.code}] {self.what}{''.join(shown)}"

    def __reduce__(self) -> tuple[object, ...]:
        return (
            _rebuilt,
            (type(self), self.what, self.code, self.details, self.help, self.__dict__),
        )


class UsageError(DualCacheError, ValueError):
    """The calling code or the configuration is wrong; nothing was stored or deleted."""


class KeyTemplateError(UsageError):
    """A template names an unknown parameter, or could give two calls the same key."""


class UnkeyableArgument(UsageError, TypeError):
    """An argument has no canonical form, so it cannot be part of a key."""


class CacheIdentificationInferenceError(UsageError):
    """The endpoint decorator cannot find the parameter that is the id."""


class InvalidRequestError(UsageError):
    """An endpoint that only reads was asked to invalidate; its body did not run."""


class BackendError(DualCacheError):
    """Redis, the network, or their configuration is at fault.

    `is_configuration`: waiting does not fix it (a wrong password, a certificate, a missing right).
    `was_connected`: the connection was open before, so a new one may work. `is_garbled`: the bytes
    made no sense. `is_outage`: it counts against the server; False if the cause is on this side,
    such as a value too large for the connection. `node` is the cluster node that it is about.
    """

    is_configuration: bool = False
    was_connected: bool = False
    is_garbled: bool = False
    is_outage: bool = True
    node: str = ""


class BackendUnavailable(BackendError, ConnectionError):
    """The backend refused or closed the connection, or the circuit breaker is open."""


class BackendTimeout(BackendError, TimeoutError):
    """The backend did not reply in time; it may still carry out the command."""


class BackendRefused(BackendError):
    """The backend answered with an error; `prefix` is its first word (`OOM`, `NOPERM`, …).

    `is_lacking`: it does not have the command or the option, or this user may not use it. `right`:
    the missing rule of `ACL SETUSER`, such as `+scan`, if the server names it. `moved_to` is the
    cluster node that a redirection names.
    """

    prefix: str = "ERR"
    right: str = ""
    is_lacking: bool = False
    moved_to: str = ""


class MissingClientError(BackendError):
    """This cache has no Redis client: it is on `memory://` or `null://`."""


class CodecError(DualCacheError):
    """A value cannot be encoded, or bytes cannot be decoded."""


class DecodeError(CodecError):
    """Stored bytes are not a value of this cache; a read misses. `reason` is a short label."""

    reason: str = ""


class SignatureError(DecodeError):
    """Stored bytes have no signature made with one of the secrets."""


class UnencodableValue(CodecError, TypeError):
    """No codec keeps this value exactly; the caller gets it, and it is not stored."""


class LoaderTimeout(DualCacheError, TimeoutError):
    """The user's function took longer than `hard_timeout`; nothing was stored so far."""


def _rebuilt(
    kind: type[DualCacheError],
    what: str,
    code: str,
    details: tuple[tuple[str, str], ...],
    help_line: str,
    state: dict[str, object],
) -> DualCacheError:
    error = kind(what, code=code, details=details, help=help_line)
    error.__dict__.update(state)
    return error


for _name in __all__:
    globals()[_name].__module__ = "dualcache"  # where users import them from, as tracebacks show
