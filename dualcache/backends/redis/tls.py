"""What failed in a TLS handshake, and how to fix it: the words for errors of `ssl`.

`ssl` is never imported: the import costs more than everything here. Its exceptions are known by
name, and by what OpenSSL writes into `reason` and `verify_code`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from dualcache.errors import BackendUnavailable

if TYPE_CHECKING:
    from dualcache.errors import BackendError
    from dualcache.options.target import Target

__all__ = ["blame_files", "tls_fix"]

_UNTRUSTED: Final = frozenset({18, 19, 20, 21})
_NOT_YET, _EXPIRED = 9, 10
_OTHER_NAME: Final = frozenset({62, 64})
"""Verify codes of OpenSSL: X509_V_ERR_… of openssl/x509_vfy.h."""
_SERVERS: Final = "check the certificates: the server's "
_OWN: Final = "check the certificates: the server "
_BY_REASON: Final = (
    ("ALERT_CERTIFICATE_REQUIRED", f"{_OWN}asks for a client certificate: set ssl_certfile"),
    ("ALERT_HANDSHAKE_FAILURE", f"{_OWN}may ask for a client certificate: set ssl_certfile"),
    ("ALERT_UNKNOWN_CA", f"{_OWN}does not trust the authority that signed ssl_certfile"),
    ("ALERT_CERTIFICATE_EXPIRED", f"{_OWN}says that ssl_certfile has expired: renew it"),
    ("ALERT_BAD_CERTIFICATE", f"{_OWN}does not accept ssl_certfile"),
    ("ALERT_CERTIFICATE_UNKNOWN", f"{_OWN}does not accept ssl_certfile"),
    ("ALERT_CERTIFICATE_REVOKED", f"{_OWN}says that ssl_certfile is revoked"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", f"{_OWN}does not accept certificates like ssl_certfile"),
    ("ALERT_DECRYPT_ERROR", f"{_OWN}does not accept ssl_certfile"),
    ("KEY_VALUES_MISMATCH", "ssl_keyfile is not the key of ssl_certfile"),
    ("NO_CERTIFICATE", "ssl_ca_certs holds no certificate: give a file in PEM format"),
    ("PROTOCOL_VERSION", "the server speaks another version of TLS: see ssl_min_version"),
    ("UNSUPPORTED_PROTOCOL", "the server speaks another version of TLS: see ssl_min_version"),
    ("WRONG_VERSION", "the port does not speak TLS: write redis:// or another port"),
    (
        "UNKNOWN_PROTOCOL",
        "the port does not speak TLS: write redis:// for it, or use another port",
    ),
    ("CERTIFICATE", "check the certificates, ssl_ca_certs, and that the port speaks TLS"),
    ("HANDSHAKE", "check the certificates, ssl_ca_certs, and that the port speaks TLS"),
)
"""What OpenSSL says, and what fixes it; the first that is found counts."""
_OF_FILES: Final = ("PEM lib", "start line", "bad base64", "cadata", "ASN1 lib")
_FILES: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


def tls_fix(error: BaseException) -> str:
    """Return how to fix a TLS handshake; empty where the error says nothing of one."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "SSLCertVerificationError" in names:
        return _of_server(getattr(error, "verify_code", 0))
    if "SSLError" not in names or names & {"SSLEOFError", "SSLZeroReturnError"}:
        return ""
    reason = getattr(error, "reason", None) or ""
    found = next((fix for word, fix in _BY_REASON if word in reason), "")
    if not found and any(words in str(error) for words in _OF_FILES):
        return "a file of certificates cannot be read: see ssl_ca_certs, ssl_certfile, ssl_keyfile"
    return found


def blame_files(error: BackendError, target: Target) -> BackendError:
    """Return the error that names a file of certificates which is not there, where that is why."""
    # redis-py raises what `open` raised, without the name, as if the server were not there.
    if not target.is_tls or error.code != "DC200":
        return error
    given: dict[str, Any] = {name: getattr(target, name) for name in _FILES}
    given.update({name: target.redis_arguments.get(name) or given[name] for name in _FILES})
    for name, path in given.items():
        if path and not os.access(path, os.R_OK):
            made = BackendUnavailable(
                f"the file of {name} cannot be read",
                code="DC316",
                help=f"give {name} the path of a file that this process may read",
            )
            made.is_configuration = True
            return made
    return error


def _of_server(verify_code: Any) -> str:
    """Return how to fix the refusal of the server's certificate."""
    if verify_code in _UNTRUSTED:
        return f"{_SERVERS}is signed by an unknown authority: give its file as ssl_ca_certs"
    if verify_code in _OTHER_NAME:
        # Where ssl_ca_certs names an authority that signs nothing else, its name adds nothing.
        return (
            f"{_SERVERS}is for another host: write that host in the URL, or "
            "ssl_check_hostname=False if ssl_ca_certs trusts only this server"
        )
    if verify_code == _EXPIRED:
        return f"{_SERVERS}has expired: renew it on the server"
    if verify_code == _NOT_YET:
        return f"{_SERVERS}is not valid yet: compare the clocks"
    return f"{_SERVERS}is not trusted: see ssl_ca_certs"
