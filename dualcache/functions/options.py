"""The options of one decorated function: checked at decoration, sorted by what they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dualcache.core.callables import adapted, refuse_async
from dualcache.core.entry import MISSING
from dualcache.functions.binding import Naming
from dualcache.options.option import Part, Where
from dualcache.options.policy import make_policy
from dualcache.options.table import names
from dualcache.options.written import by_name, check_negative, chosen, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dualcache.core.entry import ValueCodec
    from dualcache.keys.signature import FunctionSignature
    from dualcache.options.policy import Options
    from dualcache.runtime.runtime import Runtime

__all__ = ["FunctionOptions", "function_options"]

_KEY_OPTIONS: Final = names(Where.DECORATOR, Part.KEY)
_POLICY_OPTIONS: Final = names(Where.DECORATOR, Part.POLICY)
_VALUE_OPTIONS: Final = names(Where.DECORATOR, Part.VALUE)


class FunctionOptions(NamedTuple):
    """The options of a function as written, and their consequences.

    `codec_for` takes what the function returns, as an annotation. `tags_of` takes a result and the
    call's arguments; tags that no result decides are part of `naming`.
    """

    written: Mapping[str, Any]
    naming: Naming
    policy: Options
    codec_for: Callable[[Any], ValueCodec]
    tags_of: Callable[..., Any] | None

    @property
    def front(self) -> Any:
        """The option `front`, as the user wrote it."""
        return self.written.get("front", True)


def function_options(
    runtime: Runtime,
    signature: FunctionSignature,
    written: Mapping[str, Any],
    known: Collection[str],
) -> FunctionOptions:
    """Check the options of a decorator; `known` are those that this spelling has."""
    owner = signature.name
    refuse_unknown(written, known, owner=owner)
    check_negative(written, owner=owner)
    policy = chosen(by_name(written, owner=owner), _POLICY_OPTIONS)
    own = chosen(written, _VALUE_OPTIONS)

    def codec_for(annotation: Any) -> ValueCodec:
        return runtime.codecs.codec_for(annotation, **own)

    # Made for its errors: what is wrong is told at decoration. The policy of the function is made
    # at its first call, when annotations can be resolved.
    parameters = signature.parameters
    if not signature.is_coroutine and callable(policy.get("refresh_from")):
        refuse_async(policy["refresh_from"], option="refresh_from", owner=owner)
    make_policy(
        "", codec_for(MISSING), policy, runtime.defaults, owner=owner, parameters=parameters
    )
    naming = chosen(written, _KEY_OPTIONS)
    tags, tags_of = naming.get("tags", ()), None
    if callable(tags):
        tags_of = adapted(tags, parameters, option="tags", owner=owner)
        naming["tags"] = ()
    return FunctionOptions(written, Naming(**naming), policy, codec_for, tags_of)
