"""Running commands in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from dualcache.cli.main import main
from tests.patience import patient

if TYPE_CHECKING:
    import pytest

    from tests.servers import Server


class Done(NamedTuple):
    """The end of a command: its code, and what it has printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs `dualcache` against a server, in the namespace `shop`."""

    def __init__(self, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = server.url
        self._capsys = capsys

    def run(self, *arguments: str) -> Done:
        return self.bare(*arguments, "--url", patient(self.url), "--namespace", "shop")

    def bare(self, *arguments: str) -> Done:
        self._capsys.readouterr()
        code = main(arguments)
        shown = self._capsys.readouterr()
        return Done(code, shown.out, shown.err)
