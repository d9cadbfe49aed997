"""Greenlets of gevent, with its monkey patches: they are to a cache what threads are.

In a process of its own each: what is patched stays patched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytest.importorskip("gevent")
SHOP = Path(__file__).parent / "shop.py"


@pytest.mark.parametrize("front", [0, 100], ids=["one tier", "front tier"])
@pytest.mark.parametrize("connections", [2, 40], ids=["few connections", "many connections"])
def test_thirty_greenlets_share_one_load_of_one_key(
    backend_url: str, front: int, connections: int
) -> None:
    patched = [sys.executable, "-W", "error", "-m", "gevent.monkey"]
    command = [*patched, str(SHOP), backend_url, str(front), str(connections)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told == {
        "values": True,
        "runs": [7],
        "removed": 1,
        "again": True,
        "runs again": 2,
        "after a kill": True,
        "counts": [1, 2, 3, 4, 5],
        "threads": [],
    }, done.stderr
    assert "Traceback" not in done.stderr
