"""Whether this process is one of several that serve the same program; nothing is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["is_one_of_several"]

_SERVERS: Final = frozenset({"gunicorn", "uvicorn", "hypercorn", "granian", "fastapi"})
_OPTIONS: Final = ("--workers", "-w")


def is_one_of_several(
    environ: Mapping[str, str], arguments: Sequence[str], modules: Mapping[str, Any]
) -> bool:
    """Decide from the settings of a server whether it runs more than one worker process.

    `arguments` are those of the command line, `modules` those imported by now.
    """
    if _number(environ.get("WEB_CONCURRENCY", "")) > 1:
        return True
    words = [*arguments, *environ.get("GUNICORN_CMD_ARGS", "").split()]
    is_server = any(_program(word) in _SERVERS for word in arguments[:1]) or any(
        name in modules for name in ("gunicorn", "granian", "hypercorn")
    )
    if is_server and any(count > 1 for count in _counts(words)):
        return True
    # Celery's default pool has a process per core; threads and greenlets share memory.
    is_celery = any(_program(word) == "celery" for word in arguments[:1])
    if is_celery and "worker" in arguments:
        return not {"solo", "threads", "gevent", "eventlet"} & {
            word.partition("=")[2] or word for word in arguments
        }
    # The workers of `uvicorn --workers` are processes that multiprocessing has spawned.
    processes = modules.get("multiprocessing.process")
    if processes is not None and "uvicorn" in modules and processes.parent_process() is not None:
        return True
    return int(getattr(modules.get("uwsgi"), "numproc", 0)) > 1


def _program(path: str) -> str:
    """Return the name of a program without its folder and ending; pathlib costs much to import."""
    name = path.replace("\\", "/").rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _counts(words: Sequence[str]) -> Iterator[int]:
    """Yield the numbers of workers that are written behind an option, in whatever form."""
    for at, word in enumerate(words):
        if word in _OPTIONS:
            yield _number("".join(words[at + 1 : at + 2]))
        elif word.startswith("--workers="):
            yield _number(word.partition("=")[2])
        elif word.startswith("-w"):
            yield _number(word[2:].removeprefix("="))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
