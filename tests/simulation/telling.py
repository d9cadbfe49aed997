"""How ops, replies and contents read in a counterexample."""

from __future__ import annotations

from typing import Any

from dualcache.core.entry import HEADER_BYTES, Kind
from dualcache.core.envelope import open_envelope
from dualcache.core.flight import FlightResult, Outcome
from dualcache.core.ops import Batch, Op, RawRead
from dualcache.core.revocation import from_message
from dualcache.errors import DecodeError
from tests.simulation.connections import Message
from tests.simulation.values import KEY


def told(value: Any) -> str:  # noqa: C901  one case per type
    """Write a value as a person would want to read it."""
    match value:
        case None | bool() | int() | str():
            return str(value)
        case bytes():
            return told_bytes(value)
        case BaseException():
            return f"{type(value).__name__}: {value}"
        case RawRead(raw, tag_ids):
            return f"{told(raw)}{''.join(f', tag {told(each)}' for each in tag_ids)}"
        case FlightResult(outcome):
            return "abandoned" if outcome is None else told(outcome)
        case Outcome(value=found, error=error):
            return told(found) if error is None else type(error).__name__
        case Batch(ops):
            return f"[{'; '.join(map(told, ops))}]"
        case Op():
            fields = (getattr(value, name) for name in value.__struct_fields__)
            return f"{type(value).__name__}({', '.join(told(each) for each in fields)})"
        case Message(content):
            return f"Message{from_message(content)}"
        case tuple() if hasattr(value, "_fields"):
            return f"{type(value).__name__}({', '.join(map(told, value))})"
        case tuple():
            return f"({', '.join(map(told, value))})"
        case _:
            return getattr(value, "name", type(value).__name__)


def told_bytes(content: bytes) -> str:
    if len(content) < HEADER_BYTES:
        return content[:1].decode() + str(int.from_bytes(content[1:])) if content else "nothing"
    try:
        stored = open_envelope(KEY, content)
    except DecodeError as error:
        return f"unreadable ({error.code})"
    token = told_bytes(stored.version)
    if stored.kind is not Kind.VALUE:
        return f"{stored.kind.name} {token}"
    tags = "".join(f" {tag.name}={told_bytes(tag.id)}" for tag in stored.tags)
    return f"VALUE {token} version {bytes(stored.payload).decode().strip()}{tags}"
