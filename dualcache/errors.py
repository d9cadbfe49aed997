"""The error tree, by whose fault it is.

DualCacheError
├── UsageError (ValueError)                      the caller's code or configuration
│   ├── KeyTemplateError                         a key or tag template cannot be right
│   ├── UnkeyableArgument (TypeError)            an argument has no canonical key form
│   ├── CacheIdentificationInferenceError        no resource id can be told
│   └── InvalidRequestError                      a read that is asked to invalidate
├── BackendError                                 Redis, the network, or its configuration
│   ├── BackendUnavailable (ConnectionError)     refused, cut, breaker open
│   ├── BackendTimeout (TimeoutError)            no answer within the budget
│   ├── BackendRefused                           the server answered with an error
│   └── MissingClientError                       this cache has no Redis client to hand out
├── CodecError                                   bytes and values
│   ├── DecodeError                              stored bytes are not a value of ours
│   │   └── SignatureError                       stored bytes carry no valid signature
│   └── UnencodableValue (TypeError)             a value that no codec keeps exactly
└── LoaderTimeout (TimeoutError)                 the user's function took longer than allowed

No message holds a value, a secret or a digest. All errors can be pickled.
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
    """Root of every error that dualcache raises on its own account.

    `code` is explained in the documentation; `what` is one line; `details` are labelled lines below
    it (an empty label continues the line above, for carets); `help` says how to fix it.
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
    """A key or tag template names an unknown parameter, or cannot tell two calls apart."""


class UnkeyableArgument(UsageError, TypeError):
    """An argument has no canonical form, so no key can be made of it."""


class CacheIdentificationInferenceError(UsageError):
    """The endpoint decorator cannot tell which parameter is the resource id."""


class InvalidRequestError(UsageError):
    """A read endpoint was given something to invalidate; its body did not run."""


class BackendError(DualCacheError):
    """Redis, the way to it, or its configuration is at fault.

    `is_configuration`: it will not fix itself (a wrong password, a certificate, a missing right).
    `was_connected`: it came over a connection that was open, so a fresh one may do.
    `is_garbled`: the bytes on the wire made no sense.
    `is_outage`: it tells against the server; False where the cause is on this side, such as a value
    too large for the link. `node` is the node of a cluster that it is about.
    """

    is_configuration: bool = False
    was_connected: bool = False
    is_garbled: bool = False
    is_outage: bool = True
    node: str = ""


class BackendUnavailable(BackendError, ConnectionError):
    """The backend refused, cut the connection, or is not asked while the breaker is open."""


class BackendTimeout(BackendError, TimeoutError):
    """The backend did not reply within the budget; the command may still be carried out."""


class BackendRefused(BackendError):
    """The backend answered with an error; `prefix` is its first word (`OOM`, `NOPERM`, …).

    `is_lacking`: it does not have the command or the option, or this user may not use it.
    `right`: the rule of `ACL SETUSER` that is missing, such as `+scan`, where the server names it.
    `moved_to` is the node of a cluster that a redirection names.
    """

    prefix: str = "ERR"
    right: str = ""
    is_lacking: bool = False
    moved_to: str = ""


class MissingClientError(BackendError):
    """This cache has no Redis client to hand out (it runs on `memory://` or `null://`)."""


class CodecError(DualCacheError):
    """Bytes and values do not fit together."""


class DecodeError(CodecError):
    """Stored bytes are not a value of ours: a miss for a read. `reason` is a short label."""

    reason: str = ""


class SignatureError(DecodeError):
    """Stored bytes carry no signature made with one of the secrets."""


class UnencodableValue(CodecError, TypeError):
    """No codec keeps this value exactly; it is returned to the caller and not stored."""


class LoaderTimeout(DualCacheError, TimeoutError):
    """The user's function took longer than `hard_timeout`; nothing was stored."""


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
