from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dualcache.options.workers import is_one_of_several

CHILD = SimpleNamespace(parent_process=lambda: "the server")
PARENT = SimpleNamespace(parent_process=lambda: None)


@pytest.mark.parametrize(
    ("environ", "arguments", "modules", "verdict"),
    [
        ({}, ["app.py"], {}, False),
        ({}, [], {}, False),
        ({"WEB_CONCURRENCY": "4"}, ["app.py"], {}, True),
        ({"WEB_CONCURRENCY": "1"}, ["app.py"], {}, False),
        ({"WEB_CONCURRENCY": "many"}, ["app.py"], {}, False),
        ({}, ["/bin/gunicorn", "app:app", "-w", "4"], {}, True),
        ({}, ["/bin/gunicorn", "app:app", "-w4"], {}, True),
        ({}, ["/bin/gunicorn", "app:app", "-w=2"], {}, True),
        ({}, ["/bin/gunicorn", "app:app", "-w"], {}, False),
        ({}, ["/bin/gunicorn", "app:app", "--workers=2"], {}, True),
        ({}, ["/bin/gunicorn", "app:app", "--workers", "1"], {}, False),
        ({"GUNICORN_CMD_ARGS": "--workers 3"}, ["x"], {"gunicorn": 1}, True),
        ({}, ["app.py", "--workers", "3"], {}, False),
        ({}, ["/bin/uvicorn", "app:app", "--workers", "2"], {}, True),
        ({}, ["-c"], {"multiprocessing.process": CHILD, "uvicorn": 1}, True),
        ({}, ["-c"], {"multiprocessing.process": CHILD}, False),
        ({}, ["/bin/uvicorn"], {"multiprocessing.process": PARENT, "uvicorn": 1}, False),
        ({}, ["/bin/celery", "-A", "app", "worker"], {}, True),
        ({}, ["/bin/celery", "-A", "app", "beat"], {}, False),
        ({}, ["/bin/celery", "-A", "app", "worker", "--pool=threads"], {}, False),
        ({}, ["/bin/celery", "-A", "app", "worker", "-P", "solo"], {}, False),
        ({}, ["uwsgi"], {"uwsgi": SimpleNamespace(numproc=4)}, True),
        ({}, ["uwsgi"], {"uwsgi": SimpleNamespace(numproc=1)}, False),
    ],
)
def test_a_server_tells_whether_it_has_several_workers(
    environ: dict[str, str], arguments: list[str], modules: dict[str, Any], verdict: bool
) -> None:
    assert is_one_of_several(environ, arguments, modules) is verdict
