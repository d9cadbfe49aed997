"""Whether a server that was connected is a master: a Sentinel may not know yet that it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dualcache.backends.redis.errors import classify
from dualcache.backends.redis.push.protocol import role_of
from dualcache.backends.redis.wire.resp import pack
from dualcache.errors import BackendRefused, BackendUnavailable

if TYPE_CHECKING:
    from dualcache.backends.redis.connections import AsyncConnection

__all__ = ["ROLE", "answer_of_role", "require_master"]

ROLE: Final = pack(("ROLE",))


async def answer_of_role(connection: AsyncConnection) -> Any:
    """Return the server's answer to `ROLE`, on a connection of redis-py's; a refusal is a value."""
    try:
        await connection.send_command("ROLE")
        return await connection.read_response(disable_decoding=True)
    except Exception as error:  # noqa: BLE001  redis-py raises more than its own errors
        made = classify(error)
        if isinstance(made, BackendRefused):
            return made
        raise made from None


def require_master(answer: Any) -> None:
    """Raise where the answer to `ROLE` tells of a replica."""
    # A user who may not ask for the role is let through: Sentinels are asked all the same.
    if isinstance(answer, BackendRefused) or role_of(answer) == "master":
        return
    raise BackendUnavailable(
        "the server that the Sentinels name is not a master",
        code="DC324",
        details=(("cause", "the server that the Sentinels name is not a master at the moment"),),
    )
