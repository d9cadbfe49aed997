"""What is in the namespace: a sample of its keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import RedisError

from dualcache import read_head
from dualcache.doctor.asking import text
from dualcache.doctor.findings import good, unknown, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dualcache.doctor.asking import Node
    from dualcache.doctor.findings import Finding

SAMPLE: Final = 1_000
PAGES: Final = 50
"""Pages of the key space that are looked through for the sample, at most."""
HEAD_BYTES: Final = 48


class Sample:
    """Counts of what some keys of the namespace hold."""

    def __init__(self) -> None:
        self.entries = self.immortal = self.pickled = 0
        self.foreign: list[str] = []


def examine_contents(nodes: list[Node], namespace: str) -> Iterator[Finding]:
    """Look at a sample of keys, for what does not belong there."""
    sample = Sample()
    prefix = f"{namespace}:" if namespace else ""
    try:
        for node in nodes:
            take_sample(node.client, prefix, sample, SAMPLE // len(nodes))
    except RedisError as error:
        yield unknown("keys", f"they cannot be looked at: {type(error).__name__}", "allow +scan")
        return
    yield foreign(sample, namespace)
    yield immortal(sample)
    if sample.pickled:
        cause = f"{sample.pickled} of {sample.entries} entries are pickles"
        risk = "anyone with the secret can run code in every reader"
        yield warning("pickle", f"{cause}: {risk}", 'leave codec="pickle" out')
    else:
        yield good("pickle", f"none among {sample.entries} entries")


def take_sample(client: Any, prefix: str, sample: Sample, limit: int) -> None:
    """Read the heads of up to `limit` keys."""
    pattern = "".join(f"\\{each}" if each in "*?[]\\" else each for each in prefix) + "*"
    cursor = taken = 0
    for _ in range(PAGES):
        cursor, names = client.scan(cursor, match=pattern, count=200)
        own = [name for name in names if not name.startswith(f"{prefix}~".encode())]
        note_all(client, own[: limit - taken], sample)
        taken += len(own)
        if not cursor or taken >= limit:
            return


def note_all(client: Any, names: list[bytes], sample: Sample) -> None:
    """Count some keys by what they hold."""
    if not names:
        return
    trip = client.pipeline(transaction=False)
    for name in names:
        trip.getrange(name, 0, HEAD_BYTES - 1)
        trip.pttl(name)
    answers = trip.execute(raise_on_error=False)
    for name, raw, left in zip(names, answers[::2], answers[1::2], strict=True):
        head = read_head(raw.encode() if isinstance(raw, str) else raw) if is_text(raw) else None
        if head is None:
            if left != -2:  # it has ended since it was listed
                sample.foreign.append(text(name))
        elif head.kind in {"value", "expired"}:
            sample.entries += 1
            sample.immortal += left == -1
            sample.pickled += head.codec == "pickle"


def is_text(raw: object) -> bool:
    """Tell whether an answer is a string of the server, and no error."""
    return isinstance(raw, bytes | str)


def foreign(sample: Sample, namespace: str) -> Finding:
    """Judge keys of other programs."""
    if not sample.foreign:
        where = f"under {namespace}:" if namespace else "in the database"
        return good("foreign-keys", f"none {where}, of {sample.entries} looked at")
    count = len(sample.foreign)
    example = "".join(each if each.isprintable() else "?" for each in min(sample.foreign)[:60])
    are = "key is" if count == 1 else "keys are"
    cause = f"{count} {are} not dualcache's, as {example}: clear() and patterns delete them"
    if namespace:
        fix = f"give one of the programs another namespace than {namespace}"
    else:
        fix = "give the cache a namespace, or a separate database"
    return warning("foreign-keys", cause, fix)


def immortal(sample: Sample) -> Finding:
    """Judge entries without an end."""
    if not sample.immortal:
        return good("ttl", f"all of {sample.entries} entries have one")
    cause = f"{sample.immortal} of {sample.entries} entries have none: they stay until evicted"
    return warning("ttl", cause, "give their functions a ttl; ttl=None is for ever")
