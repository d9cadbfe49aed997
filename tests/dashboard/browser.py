"""A headless Chromium, driven by its DevTools protocol over two pipes; it needs no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

from tests.bodies import WAIT_SECONDS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

PROGRAM: Final = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
READS, WRITES = 3, 4
"""The numbers of the pipes, as Chromium wants them."""
UNTIL: Final = """new Promise((done, failed) => {{
  const end = performance.now() + {patience};
  const look = () => {{
    if ({condition}) done(true);
    else if (performance.now() > end) failed(new Error("never: " + {text}));
    else requestAnimationFrame(look);
  }};
  look();
}})"""


class Browser:
    """One process; `open` gives a page. `complaints` are errors of scripts and of the network."""

    def __init__(self, folder: Path) -> None:
        self.complaints: list[str] = []
        self._last = 0
        self._unread = b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # Above the numbers that they get in the child, so that no copy overwrites another.
        ends = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in (theirs_in, theirs_out)]

        def place() -> None:
            os.dup2(ends[0], READS)
            os.dup2(ends[1], WRITES)

        command = [PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   "--force-device-scale-factor=1", "--remote-debugging-pipe",
                   f"--user-data-dir={folder}", "about:blank"]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            preexec_fn=place,  # noqa: PLW1509  two calls of the system, which take no lock
            pass_fds=(READS, WRITES),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (theirs_in, theirs_out, *ends):
            os.close(each)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send("Browser.close")
        self._process.wait(WAIT_SECONDS)
        os.close(self._in)
        os.close(self._out)

    def open(self, url: str) -> Page:
        """Open a page in a window of its own, with cookies of its own."""
        context = self.send("Target.createBrowserContext")["browserContextId"]
        target = self.send(
            "Target.createTarget", url="about:blank", browserContextId=context
        )["targetId"]  # fmt: skip
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            page.send(f"{domain}.enable")
        page.send("Page.navigate", url=url)
        return page

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._last:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self._note(told)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, *_ = select.select([self._in], [], [], WAIT_SECONDS)
            assert ready, "the browser does not answer"
            more = os.read(self._in, 1 << 20)
            assert more, "the browser has ended"
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told

    def _note(self, told: dict[str, Any]) -> None:
        details = told.get("params", {})
        if told["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(details["exceptionDetails"]))
        if told["method"] == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.complaints.append(details["entry"]["text"])


class Page:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.send(method, self._session, **parameters)

    def value(self, expression: str) -> Any:
        """Evaluate an expression, and wait for it if it is a promise."""
        told = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def text(self, selector: str) -> str:
        """Return the text of an element as a person sees it."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        patience = WAIT_SECONDS * 1000
        text = json.dumps(condition)
        self.value(UNTIL.format(condition=condition, text=text, patience=patience))

    def click(self, selector: str) -> None:
        self.value(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.send("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        more = {"text": "\r"} if key == "Enter" else {}
        for kind, text in (("keyDown", more), ("keyUp", {})):
            self.send(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text
            )

    def resize(self, width: int, height: int = 900) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def darken(self, scheme: str) -> None:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.send("Emulation.setEmulatedMedia", features=[feature])

    def picture(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
