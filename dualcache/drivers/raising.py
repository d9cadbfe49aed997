"""The user's exception, without the frames and the context that the driver adds."""

from __future__ import annotations

from dualcache.core.flight import set_context

__all__ = ["users_own"]


def users_own(error: Exception, handled: BaseException | None) -> Exception:
    """Return the exception that a function raised when called from the frame that caught it.

    Its traceback begins with the function's own frame, and it does not follow from what the caller
    was handling then: other callers get the same exception. A function in C has no frame.
    """
    if error.__traceback__ is not None:
        error.with_traceback(error.__traceback__.tb_next)
    each: BaseException | None = error
    while handled is not None and each is not None and each is not handled:
        if each.__context__ is handled:
            set_context(each, None)
        each = each.__context__
    return error
