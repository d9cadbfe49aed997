"""What the user of the cache may do: `ACL DRYRUN`, or by trying what harms nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError

from dualcache.doctor.asking import PROBE, text
from dualcache.doctor.findings import fault, good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dualcache import Right
    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "+get": ("GET", "KEY"),
    "+mget": ("MGET", "KEY"),
    "+set": ("SET", "KEY", "1", "XX", "PX", "1"),
    "+del": ("DEL", "KEY"),
    "+pttl": ("PTTL", "KEY"),
    "+pexpire": ("PEXPIRE", "KEY", "1"),
    "+persist": ("PERSIST", "KEY"),
    "+strlen": ("STRLEN", "KEY"),
    "+scan": ("SCAN", "0", "COUNT", "1"),
    "+unlink": ("UNLINK", "KEY"),
    "+getrange": ("GETRANGE", "KEY", "0", "0"),
    "+evalsha": ("EVALSHA", "0" * 40, "1", "KEY"),
    "+script|load": ("SCRIPT", "LOAD", "return 1"),
    "+hvals": ("HVALS", "KEY"),
    "+cluster|slots": ("CLUSTER", "SLOTS"),
    "+cluster|nodes": ("CLUSTER", "NODES"),
    "+cluster|info": ("CLUSTER", "INFO"),
    "+ping": ("PING",),
    "+client|id": ("CLIENT", "ID"),
    "+client|list": ("CLIENT", "LIST", "ID", "1"),
    "+role": ("ROLE",),
}
"""A command for each rule that changes nothing: the key is not there."""
SERIOUS: Final = ("TOLD", "PARTIAL")
"""What a right costs where something does not work without it."""
ONLY_DRY: Final[dict[str, tuple[str, ...]]] = {
    "+hset": ("HSET", "KEY", "1", "1"),
    "+multi": ("MULTI",),
    "+exec": ("EXEC",),
    "+select": ("SELECT", "0"),
    "+asking": ("ASKING",),
    "+client|tracking": ("CLIENT", "TRACKING", "OFF"),
    "+subscribe": ("SUBSCRIBE", "CHANNEL"),
    "+publish": ("PUBLISH", "CHANNEL", ""),
}
"""Commands that would write, change the connection, or be heard."""


def examine_rights(node: Node, rights: Sequence[Right], namespace: str) -> Iterator[Finding]:
    """Find the rights that are missing, of those that the cache needs."""
    prefix = f"{namespace}:" if namespace else ""
    user = node.answer("ACL", "WHOAMI")
    may_say = not isinstance(user, RedisError)
    name = text(user) if may_say else node.user
    can_ask = may_say and not isinstance(node.answer("ACL", "DRYRUN", name, "PING"), RedisError)
    missing: list[Right] = []
    unsure: list[str] = []
    for right in rights:
        allowed = is_allowed(node, right.rule, prefix, name if can_ask else "")
        if allowed is None:
            unsure.append(right.rule)
        elif not allowed:
            missing.append(right)
    for right in missing:
        make = fault if right.loss.name in SERIOUS else warning
        fix = f"ACL SETUSER {name or '<user>'} {right.rule}"
        yield make("rights", f"{right.rule} is missing: {right.without}", fix)
    if not missing:
        who = f"user {name}" if name else "the user"
        yield good("rights", f"{who} has all rights that this cache needs")
    checked = [rule for rule in unsure if not rule.startswith(("~", "&"))]
    if checked:
        yield unknown(
            "rights", f"not checked: {' '.join(checked)}", "allow +acl|dryrun +acl|whoami"
        )


def is_allowed(node: Node, rule: str, prefix: str, user: str) -> bool | None:
    """Tell whether a rule is granted; `None`: it cannot be found out."""
    names = {"KEY": f"{prefix}{PROBE}", "CHANNEL": f"{prefix}~c"}
    for command in commands_for(rule, can_ask=bool(user)):
        words = [names.get(word, word) for word in command]
        answer = node.answer("ACL", "DRYRUN", user, *words) if user else node.answer(*words)
        if user and isinstance(answer, RedisError):
            continue
        denied = denied_by(answer)
        if denied == rule[0]:
            return False
        # A denied command says nothing of the keys, while a denied key shows that the command is
        # allowed: servers look at the command first.
        if denied != "+":
            return True
    return None


def commands_for(rule: str, *, can_ask: bool) -> tuple[tuple[str, ...], ...]:
    """Return commands that show whether a rule is granted, the best first."""
    if rule.startswith("~"):
        return tuple(each for each in COMMANDS.values() if "KEY" in each)
    if rule.startswith("&"):
        return tuple(each for each in ONLY_DRY.values() if "CHANNEL" in each) if can_ask else ()
    command = COMMANDS.get(rule) or (ONLY_DRY.get(rule) if can_ask else None)
    return () if command is None else (command,)


def denied_by(answer: object) -> str:
    """Return the kind of rule that an answer finds missing: `+`, `~` or `&`; empty: none."""
    words = str(answer) if isinstance(answer, RedisError) else text(answer)
    if "permissions" not in words:
        return ""
    if " key" in words:
        return "~"
    return "&" if " channel" in words else "+"
