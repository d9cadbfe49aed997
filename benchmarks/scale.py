"""The documentation's page on scale: what was measured up to 64 processes, and a model beyond.

The model is arithmetic on a few measured prices: `Prices` names them, its methods are the model.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.page import put_between
from benchmarks.results import Row, cpu_ratio, ratio
from benchmarks.table import US, number, piped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from benchmarks.results import Results

FLEETS: Final = (10, 100, 1_000, 10_000)
STALENESS: Final = 5
"""The default of `max_staleness`, in seconds."""
SIGNS: Final = 3
"""How many signs of life a listener asks for within `max_staleness`."""
INVALIDATIONS = FILLS = 100
"""What the example has of both in a second, in all."""
SHARES: Final = (0.01, 0.1)
"""How many of all processes hold a key that changes, in the example."""
ENTRIES: Final = 10_000
HOT_KEYS: Final = 1_000_000
THREADS: Final = 20
"""The default of `max_connections`: at most so many data connections for `def`."""
HALF: Final = 0.5
"""The share of a primary's processor that the example leaves to pushes."""


class Prices(NamedTuple):
    """What was measured, and what follows from it."""

    push_us: float
    """A push, of a primary's processor time."""
    batched_us: float
    """The same where 20 changes come at once, which share a push; for each change."""
    heard_us: float
    """A push, of the processor time of the process that hears it."""
    sign_us: float
    """A sign of life, of a primary's processor time."""
    connection_kb: float
    key_bytes: float
    """A key in the tracking table, with the first connection that has read it."""
    reader_bytes: float
    """Each further connection that has read the same key."""
    fill_pushes: float
    """The pushes to each process for a fill, by broadcast."""

    def broadcast_pushes(self, processes: int, invalidations: float, fills: float) -> float:
        """Return pushes per second of all primaries: every process hears every change."""
        return processes * (invalidations + self.fill_pushes * fills)

    def tracked_pushes(self, processes: int, invalidations: float, share: float) -> float:
        """Return the same by tracking: those hear of it who hold the key; fills push nothing."""
        return processes * share * invalidations

    def load(self, pushes: float, primaries: int = 1) -> float:
        """Return the share of each primary's processor that so many pushes per second take."""
        return pushes * self.push_us / 1e6 / primaries

    def signs_load(self, processes: int) -> float:
        """Return the share that signs of life take of each primary: all are asked."""
        return processes * SIGNS / STALENESS * self.sign_us / 1e6

    def most_by_broadcast(self, changes: float, primaries: int = 1) -> int:
        """Return how many processes may listen until pushes take half of each primary."""
        return int(HALF * primaries * 1e6 / (changes * self.push_us))

    def table_mb(self, processes: int, entries: int, keys: int) -> float:
        """Return the memory of a tracking table: some entries in each process, of so many keys."""
        items = processes * entries
        tracked = min(keys, items)
        return (tracked * self.key_bytes + (items - tracked) * self.reader_bytes) / 1e6


Curve = dict[float, Row]


class Found:
    """The rows of a run by case and subject, then by x."""

    def __init__(self, results: Iterable[Results]) -> None:
        self.curves: dict[tuple[str, str], Curve] = {}
        self.machines: list[Mapping[str, str]] = []
        for each in results:
            self.machines.append(each.machine)
            for topic in each.topics.values():
                for row in topic.rows:
                    self.curves.setdefault((row.case, row.subject), {})[row.x or 0] = row

    def at(self, case: str, subject: str) -> Curve:
        return self.curves[case, subject]

    def only(self, case: str, subject: str) -> float:
        return self.at(case, subject)[0].value

    def push_us(self, change: str) -> float:
        """Return what one more listener by broadcast adds to the price of a change."""
        case = f"server, processor time of {change}"
        alone = self.only(f"{case} that nobody hears", "broadcast")
        costs = self.at(f"{case}, over processes", "broadcast")
        most = max(costs)
        return statistics.median(
            (row.value - alone) / x for x, row in costs.items() if x >= min(16, most)
        )

    def prices(self) -> Prices:
        table = self.at("server, memory of the tracking table for a key, over processes", TRACKING)
        most = max(table)
        fills = self.at("pushes for a fill, over processes", "broadcast")
        heard = self.at("process, processor time of a push, over processes", "broadcast")
        return Prices(
            push_us=self.push_us("an invalidation"),
            batched_us=self.push_us(BATCH),
            heard_us=statistics.median(row.value for row in heard.values()),
            sign_us=self.only("server, processor time of a sign of life", TRACKING),
            connection_kb=self.only("server, memory of a connection", "idle"),
            key_bytes=table[1].value,
            reader_bytes=(table[most].value - table[1].value) / (most - 1),
            fill_pushes=round(statistics.median(row.value / x for x, row in fills.items()), 1),
        )


TRACKING: Final = "tracking"
BATCH: Final = "an invalidation, 20 in one call"


def write_scale(results: Iterable[Results], page: Path) -> None:
    """Put the tables between the marks of the page."""
    found = Found(results)
    prices = found.prices()
    blocks = {
        "where": where(found),
        "fleet": fleet(found),
        "listeners": listeners(found),
        "primaries": primaries(found),
        "connections": connections(found),
        "prices": priced(prices),
        "model": modelled(prices),
        "broadcast": broadcast(prices),
        "table": tracking_tables(prices),
    }
    written = page.read_text(encoding="utf-8")
    for name, text in blocks.items():
        written = put_between(marks(name), text, written)
    page.write_text(written, encoding="utf-8")


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name} begin -->", f"<!-- {name} end -->"


def where(found: Found) -> str:
    machine = found.machines[0]
    loads = " and ".join(each.get("load before", "").partition(" ")[0] for each in found.machines)
    processors = machine["processors"].partition(",")[0]
    return (
        f"Measured with {machine['server']}, {machine['python']} and redis-py {machine['redis']}, "
        f"on {processors} processors that had other work too (load average before: {loads})."
    )


BY_HAND: Final = "redis.cluster get + pickle"
FASTER: Final = {
    "`def`, one caller": ("one caller, over primaries", US, BY_HAND),
    "`async def`, 10 tasks at once": ("10 tasks, over primaries", US, BY_HAND),
    "`async def`, 100 tasks at once": ("100 tasks, over primaries", US, BY_HAND),
    "4 processes at once, `def`": ("4 processes, over primaries", US, BY_HAND),
    "`get_many` of 100 keys, beside `mget_nonatomic`": (
        "100 keys in one call, over primaries",
        US,
        "redis.cluster mget_nonatomic",
    ),
    "an entry with one tag, beside one without": ("tags, over primaries", "no tag", "one tag"),
    "an entry with three tags, beside one without": (
        "tags, over primaries",
        "no tag",
        "three tags",
    ),
}


def fleet(found: Found) -> str:
    lines = [["times the processor time, and by the clock", "1 primary", "2", "3"]]
    for told, (case, ours, other) in FASTER.items():
        if (case, ours) in found.curves:
            pairs = pair_up(found.at(case, ours), found.at(case, other))
            lines.append([told, *[times(other, ours) for ours, other in pairs]])
    case = "one caller, over primaries"
    single = found.at(case, f"one server, {US}")[1]
    lines.append(
        [
            "dualcache itself on a cluster, beside one server, `def`",
            *[times(row, single) for _, row in sorted(found.at(case, US).items())],
        ]
    )
    return piped(lines)


def pair_up(ours: Curve, other: Curve) -> list[tuple[Row, Row]]:
    return [(ours[x], other[x]) for x in sorted(ours) if x in other]


def times(of: Row, to: Row) -> str:
    cpu = cpu_ratio(of, to)
    clock = number(ratio(of, to))
    return f"{clock} by the clock" if cpu is None else f"{number(cpu)} · {clock}"


def listeners(found: Found) -> str:
    counted = sorted(found.at("connections, over processes", TRACKING))
    lines = [["", "by", *[f"{x:g}" for x in counted]]]
    for told, (case, subjects) in LISTENED.items():
        for subject in subjects:
            row = found.curves.get((f"{case}, over processes", subject))
            if row:
                lines.append([told, subject, *[number(round(row[x].value, 2)) for x in counted]])
    return piped(lines)


EVERY: Final = (TRACKING, "broadcast", "pubsub")
LISTENED: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "connections": ("connections", EVERY),
    "pushes for an invalidation": ("pushes for an invalidation", EVERY),
    "pushes for a fill": ("pushes for a fill", EVERY),
    "server, µs of processor time for an invalidation": (
        "server, processor time of an invalidation",
        EVERY,
    ),
}


def primaries(found: Found) -> str:
    lines: list[list[str]] = []
    for case in ("connections of a process", "pushes for an invalidation to a process"):
        for subject in (TRACKING, "broadcast"):
            row = found.at(f"{case}, over primaries", subject)
            lines = lines or [["", "by", *[primary(x) for x in sorted(row)]]]
            lines.append([case, subject, *[number(round(row[x].value, 2)) for x in sorted(row)]])
    return piped(lines)


def primary(x: float) -> str:
    return "1 primary" if x == 1 else f"{x:g}"


def connections(found: Found) -> str:
    case = "pushes for a change, over data connections of one process that have read"
    row = found.at(case, TRACKING)
    heads = [
        "data connections of one process that have read the key",
        *[f"{x:g}" for x in sorted(row)],
    ]
    return piped([heads, ["pushes for one change", *[number(row[x].value) for x in sorted(row)]]])


def priced(prices: Prices) -> str:
    lines = [
        ["price", "measured"],
        ["a push, processor time of the server", f"{number(prices.push_us)} µs"],
        [
            "… where 20 changes come at once and share pushes, for each change",
            f"{number(prices.batched_us)} µs",
        ],
        ["a push, processor time of the process that hears it", f"{number(prices.heard_us)} µs"],
        ["a sign of life, processor time of the server", f"{number(prices.sign_us)} µs"],
        ["a connection, memory of the server", f"{number(prices.connection_kb)} kB"],
        ["a key in the tracking table, one reader", f"{number(prices.key_bytes)} bytes"],
        ["each further connection that has read it", f"{number(prices.reader_bytes)} bytes"],
        ["a fill by `broadcast`, pushes to each process", number(prices.fill_pushes)],
    ]
    return piped(lines)


def modelled(prices: Prices) -> str:
    """Write what each primary has to bear with 10 to 10 000 processes."""
    rows: dict[str, list[str]] = {
        "connections at each primary, `async def`, one event loop": [
            count(2 * each) for each in FLEETS
        ],
        f"… `def`, up to {THREADS} threads at once": [count((1 + THREADS) * e) for e in FLEETS],
        "memory of the connections, `async def`": [
            megabytes(2 * each * prices.connection_kb / 1_000) for each in FLEETS
        ],
        "signs of life a second at each primary": [
            f"{count(each * SIGNS / STALENESS)} ({percent(prices.signs_load(each))})"
            for each in FLEETS
        ],
    }
    for share in SHARES:
        name = f"pushes a second by `tracking`, {share:.0%} of the processes hold the key"
        rows[name.replace("%", " %")] = [
            pushed(prices, prices.tracked_pushes(each, INVALIDATIONS, share)) for each in FLEETS
        ]
    rows["pushes a second by `broadcast`"] = [
        pushed(prices, prices.broadcast_pushes(each, INVALIDATIONS, FILLS)) for each in FLEETS
    ]
    lines = [["processes", *map(count, FLEETS)]]
    return piped([*lines, *[[name, *cells] for name, cells in rows.items()]])


def pushed(prices: Prices, pushes: float) -> str:
    return f"{count(pushes)} ({percent(prices.load(pushes))})"


def broadcast(prices: Prices) -> str:
    lines = [
        [
            "changes a second under the namespace",
            "processes, one primary",
            "three primaries",
            "ten primaries",
            "of a core in each process",
        ]
    ]
    for changes in (10, 100, 1_000, 10_000):
        most = [count(prices.most_by_broadcast(changes, n)) for n in (1, 3, 10)]
        lines.append([count(changes), *most, percent(changes * prices.heard_us / 1e6)])
    return piped(lines)


def tracking_tables(prices: Prices) -> str:
    lines = [["processes", *map(count, FLEETS)]]
    for keys in (ENTRIES, HOT_KEYS):
        told = "the same keys everywhere" if keys == ENTRIES else f"any of {count(HOT_KEYS)} keys"
        sizes = [prices.table_mb(each, ENTRIES, keys) for each in FLEETS]
        lines.append([f"{count(ENTRIES)} entries each, {told}", *map(megabytes, sizes)])
    return piped(lines)


def count(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def megabytes(value: float) -> str:
    return f"{number(value / 1_000)} GB" if value >= 1_000 else f"{number(value)} MB"


def percent(share: float) -> str:
    return "more than all" if share > 1 else f"{100 * share:.2g} %"
