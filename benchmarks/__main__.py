"""The command line: run topics, print tables, write JSON; or make documentation of such a JSON."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import machine, pictures, table, targets
from benchmarks.bench import Bench, Skip
from benchmarks.page import write_page
from benchmarks.results import Results, Topic, read_results, write_results
from benchmarks.scale import write_scale
from benchmarks.topics import MODULES, topic
from tests.servers import HOW_TO_GET_ONE, Binary, Server, found_binaries

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

FAILED: Final = "failed"


def main(arguments: Sequence[str]) -> int:
    if arguments[:1] == ["plot"]:
        return draw(arguments[1:])
    if arguments[:1] == ["pictures"]:
        pictures.write()
        return 0
    if arguments[:1] == ["scale"]:
        return write_scale_page(arguments[1:])
    options = parsed(arguments)
    binary = chosen_binary(options.server)
    with Server(binary) as server:
        described = machine.describe(server)
    print("\n".join(f"{name:>18}  {value}" for name, value in described.items()))
    topics: dict[str, Topic] = {}
    for name in options.topics or MODULES:
        topics[name] = measured(name, binary, is_quick=options.quick)
        print(table.printed(name, topics[name]), flush=True)
        if options.json:  # after each topic: a run that is broken off keeps what it has
            write_results(Results(described, options.quick, topics), options.json)
    notes = [note for found in topics.values() for note in found.notes]
    return 1 if any(note.startswith(FAILED) for note in notes) else 0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="topic", help=", ".join(MODULES))
    parser.add_argument(
        "--quick", action="store_true", help="see that all works; no numbers to use"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--server", metavar="BINARY", help="a path, or a name as in valkey-9.1")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.topics if name not in MODULES]
    if unknown:
        known = f"{', '.join(MODULES)}, `plot FILE`, `scale FILE` and `pictures`"
        parser.error(f"no topic {', '.join(unknown)}; there are {known}")
    return options


def chosen_binary(wanted: str | None) -> Binary:
    """Return the server to use: a program, one of those found by its name, or the first found."""
    if wanted is not None and Path(wanted).is_file():
        return Binary(Path(wanted).name, Path(wanted).absolute())
    for binary in found_binaries():
        if wanted in {None, binary.name}:
            return binary
    names = ", ".join(binary.name for binary in found_binaries())
    sys.exit(f"no server {wanted!r} among: {names}" if names else HOW_TO_GET_ONE)


def measured(name: str, binary: Binary, *, is_quick: bool) -> Topic:
    """Run one topic; one that cannot be measured here says why, one that fails spoils no other."""
    began = time.monotonic()
    with Bench(binary, is_quick=is_quick) as bench, warnings_noted(bench):
        try:
            rows = topic(name)(bench)
        except Skip as reason:
            rows = []
            bench.note(f"skipped: {reason}")
        except Exception as error:  # noqa: BLE001  told, and the exit code says so, too
            traceback.print_exc()
            rows = []
            bench.note(f"{FAILED}: {traceback.format_exception_only(error)[-1].splitlines()[-1]}")
    print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    return Topic(rows, targets.reached(name, rows), bench.notes)


@contextmanager
def warnings_noted(bench: Bench) -> Generator[None]:
    """Note what dualcache warns of: a hit while the backend is down is none."""
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: bench.note(f"dualcache said: {record.getMessage()}")  # type: ignore[method-assign]  # one line
    logger = logging.getLogger("dualcache")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def draw(arguments: Sequence[str]) -> int:
    """Make the plots and the results of the documentation's page from a JSON."""
    parser = argparse.ArgumentParser("python -m benchmarks plot", description=draw.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs", "performance.md"))
    options = parser.parse_args(arguments)
    write_page(read_results(options.file), options.page)
    return 0


def write_scale_page(arguments: Sequence[str]) -> int:
    """Make the tables of the page on scale from what `fleet` and `listeners` found."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks scale", description=write_scale_page.__doc__
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="file")
    parser.add_argument("--page", type=Path, default=Path("docs", "concepts", "scale.md"))
    options = parser.parse_args(arguments)
    write_scale([read_results(each) for each in options.files], options.page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
