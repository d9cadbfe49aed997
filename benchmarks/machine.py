"""Where a run took place, and with which versions: numbers without them mean nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.servers import Server

PACKAGES: Final = (
    "redis",
    "hiredis",
    "msgspec",
    "cachetools",
    "anyio",
    "cachebox",
    "theine",
    "async-lru",
    "moka-py",
    "cashews",
    "aiocache",
    "dogpile.cache",
    "Flask-Caching",
    "django-redis",
    "valkey-glide",
    "valkey-glide-sync",
)


def describe(server: Server) -> dict[str, str]:
    """Return what the numbers of a run depend on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "server": f"{server.name.split('-')[0]} {'.'.join(map(str, server.version))}",
        "processors": f"{os.cpu_count()}, {processor()}",
        "system": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        **{name: found for name in PACKAGES if (found := installed(name))},
    }


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def processor() -> str:
    """Return the model's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
