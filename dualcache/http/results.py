"""The results of a load: a response to be stored, or a sign that there is none."""

from __future__ import annotations

from dualcache.http.stored import StoredResponse

__all__ = ["Passes", "ServerFailed", "is_response"]


class Passes:
    """The result of a load whose response is kept for nobody: every request runs its own."""

    __slots__ = ()


class ServerFailed(Exception):
    """A response that tells of a failure: a stale one may stand in for it (RFC 5861 §4)."""

    def __init__(self, response: StoredResponse) -> None:
        super().__init__(response.status)
        self.response = response


def is_response(result: object) -> bool:
    """Tell whether the result of a load is to be stored."""
    return isinstance(result, StoredResponse)
