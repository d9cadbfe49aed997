"""Statistics of all processes: what each shares for a minute, and how shares are added up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import DecodeError, Struct, field
from msgspec.msgpack import Decoder, Encoder

from dualcache.core.counters import Counters, Tally
from dualcache.core.histogram import BYTES_BOUNDS, MS_BOUNDS, Histogram
from dualcache.observability.counting import counts_of, template_stats_of
from dualcache.observability.stats import FleetMinute, FleetStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "MINUTES",
    "MOST_TEMPLATES",
    "Share",
    "TemplateShare",
    "fleet_stats_of",
    "read_share",
    "share_of",
    "spelled",
]

MINUTES: Final = 15
"""For how many minutes before the running one shares are kept."""
MOST_TEMPLATES: Final = 50
"""How many functions a process tells apart in one minute; those with the most reads."""
OTHERS: Final = "others"
_VERSION: Final = 1


class TemplateShare(Struct, array_like=True, omit_defaults=True):
    """What one function counted in one process and minute."""

    function: str = ""
    hits: int = 0
    front_hits: int = 0
    stale_hits: int = 0
    negative_hits: int = 0
    coalesced: int = 0
    misses: int = 0
    loads: int = 0
    load_failures: int = 0
    refused: int = 0
    verified: int = 0
    differed: int = 0
    oldest_differed: float = 0.0
    invalidations: int = 0
    miss_reasons: dict[str, int] = field(default_factory=dict)
    not_stored: dict[str, int] = field(default_factory=dict)
    load_counts: dict[int, int] = field(default_factory=dict)
    load_total: float = 0.0
    size_counts: dict[int, int] = field(default_factory=dict)
    size_total: float = 0.0


class Share(Struct, array_like=True):
    """What one process counted in one minute."""

    version: int
    templates: dict[str, TemplateShare]


_COUNTED: Final = (
    "hits",
    "stale_hits",
    "negative_hits",
    "coalesced",
    "misses",
    "loads",
    "load_failures",
    "refused",
    "verified",
    "differed",
)
_encode: Final = Encoder().encode
_decode: Final = Decoder(Share).decode


def spelled(share: Share) -> bytes:
    """Return a share as it is stored."""
    return _encode(share)


def read_share(raw: bytes) -> Share | None:
    """Return a share that was stored; `None` for whatever is none, or of another release."""
    try:
        share = _decode(raw)
    except DecodeError:
        return None
    return share if share.version == _VERSION else None


def share_of(now: Mapping[str, Tally], before: Mapping[str, Tally]) -> Share | None:
    """Return the counts since `before`; `None` if there are none."""
    changed: dict[str, TemplateShare] = {}
    for label, tally in now.items():
        made = _since(tally, before.get(label))
        if made is not None:
            changed[label] = made
    if not changed:
        return None
    if len(changed) <= MOST_TEMPLATES:
        return Share(_VERSION, changed)
    by_reads = sorted(changed, key=lambda label: -changed[label].hits - changed[label].misses)
    kept = {label: changed[label] for label in by_reads[:MOST_TEMPLATES]}
    rest = Tally(Counters())
    for label in by_reads[MOST_TEMPLATES:]:
        _add(rest, changed[label])
    others = _since(rest, None)
    return Share(_VERSION, kept if others is None else {**kept, OTHERS: others})


def fleet_stats_of(
    minutes: Mapping[int, Iterable[Share]], since: float, *, is_complete: bool
) -> FleetStats:
    """Add up the shares of each minute; the keys are minutes since the epoch."""
    tallies: dict[str, Tally] = {}
    told: list[FleetMinute] = []
    most = 0
    for minute, shares in sorted(minutes.items()):
        of_minute, processes = Tally(Counters()), 0
        for share in shares:
            processes += 1
            for label, each in share.templates.items():
                _add(tallies.setdefault(label, Tally(Counters())), each)
                _add(of_minute, each)
        most = max(most, processes)
        told.append(FleetMinute(at=minute * 60.0, processes=processes, **counts_of(of_minute)))
    total = Tally(Counters())
    for tally in tallies.values():
        total.counters.add(tally.counters)
        total.front_hits += tally.front_hits
        total.invalidations += tally.invalidations
    return FleetStats(
        since=since,
        is_complete=is_complete,
        processes=most,
        minutes=tuple(told),
        templates={label: template_stats_of(label, each) for label, each in tallies.items()},
        **counts_of(total),
    )


def _since(now: Tally, before: Tally | None) -> TemplateShare | None:
    """Return what one function counted since; all of it where it has begun anew."""
    old = before or Tally(Counters())
    if any(getattr(now.counters, name) < getattr(old.counters, name) for name in _COUNTED):
        old = Tally(Counters())
    counted = {name: getattr(now.counters, name) - getattr(old.counters, name) for name in _COUNTED}
    front_hits = max(0, now.front_hits - old.front_hits)
    invalidations = max(0, now.invalidations - old.invalidations)
    if not (any(counted.values()) or front_hits or invalidations):
        return None
    load_counts, load_total = _histogram_since(now.counters.load_times, old.counters.load_times)
    size_counts, size_total = _histogram_since(now.counters.stored_bytes, old.counters.stored_bytes)
    return TemplateShare(
        function=now.function,
        front_hits=front_hits,
        oldest_differed=now.counters.oldest_differed if counted["differed"] else 0.0,
        invalidations=invalidations,
        miss_reasons=_reasons_since(now.counters.miss_reasons, old.counters.miss_reasons),
        not_stored=_reasons_since(now.counters.not_stored, old.counters.not_stored),
        load_counts=load_counts,
        load_total=load_total,
        size_counts=size_counts,
        size_total=size_total,
        **counted,
    )


def _reasons_since(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {
        reason: count - before.get(reason, 0)
        for reason, count in now.items()
        if count > before.get(reason, 0)
    }


def _histogram_since(
    now: Histogram | None, before: Histogram | None
) -> tuple[dict[int, int], float]:
    if now is None:
        return {}, 0.0
    if before is None:
        return now.sparse(), now.total
    pairs = enumerate(zip(now.counts, before.counts, strict=True))
    return {at: new - old for at, (new, old) in pairs if new > old}, now.total - before.total


def _add(tally: Tally, share: TemplateShare) -> None:
    counters = Counters()
    for name in _COUNTED:
        setattr(counters, name, getattr(share, name))
    counters.oldest_differed = share.oldest_differed
    counters.miss_reasons = share.miss_reasons
    counters.not_stored = share.not_stored
    if share.load_counts:
        counters.load_times = Histogram(MS_BOUNDS)
        counters.load_times.fill(share.load_counts, share.load_total)
    if share.size_counts:
        counters.stored_bytes = Histogram(BYTES_BOUNDS)
        counters.stored_bytes.fill(share.size_counts, share.size_total)
    tally.counters.add(counters)
    tally.front_hits += share.front_hits
    tally.invalidations += share.invalidations
    tally.function = share.function or tally.function
