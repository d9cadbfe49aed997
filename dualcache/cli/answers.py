"""Why a server cannot be used, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dualcache import BackendDown


def unusable(server: str, failures: list[BackendDown]) -> str:
    """Say why a server cannot be used, and what to do about it."""
    if not failures:
        return f"no answer from {server}"
    failure = failures[0]
    if failure.is_configuration:
        return f"{server} refuses this program: {failure.cause}"
    # A server without TLS waits for the end of a line that the first bytes of TLS do not have.
    is_tls_silent = failure.reason == "DC201" and server.startswith(("rediss:", "valkeys:"))
    ask = "does the port speak TLS?" if is_tls_silent else "is the server running there?"
    return f"no answer from {server}: {failure.cause}; {ask}"
