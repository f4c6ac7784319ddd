"""A headless Chromium that a test drives through its debugging pipe: two file descriptors, JSON ended by NUL bytes."""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = next(
    (
        path
        for folder in (os.environ.get("OOMGUARD_AXE", ""), "node_modules/axe-core", "/usr/lib/node_modules/axe-core")
        if folder and (path := Path(folder, "axe.min.js")).is_file()
    ),
    None,
)
# What no page of ours has, and a name that got out of its place would make.
INTRUDERS = "document.querySelectorAll('img, iframe, object, a, [onerror], [onload], [style]').length"
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--no-first-run", "--remote-debugging-pipe",
)  # fmt: skip


class Chromium:
    """One browser with one page. What the page asks for, logs and throws is kept."""

    def __init__(self, profile: Path) -> None:
        from_test, self._write = os.pipe()
        self._read, to_test = os.pipe()
        actions: list[Any] = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        # The browser reads descriptor 3 and writes 4; first both are moved out of the way of these.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (from_test, to_test)]
        actions += [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high, 3)]
        assert CHROMIUM is not None  # else the tests skip
        arguments = [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}"]
        self._pid = os.posix_spawn(CHROMIUM, arguments, os.environ, file_actions=actions, setpgroup=0)
        for fd in (from_test, to_test, *high):
            os.close(fd)
        self._buffer, self._number, self._session = b"", 0, None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.showing: object = None  # what the test has opened, to be set by it
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Load a file and wait until it is drawn. What was kept of the page before is forgotten."""
        self.look(width=width, height=height, dark=dark)
        self.requests, self.errors, self._loaded, self.showing = [], [], False, None
        self.call("Page.navigate", url=page.as_uri())
        end = time.monotonic() + 60
        while not self._loaded:
            self._receive(end)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = "") -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features, media=media)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def ask(self, expression: str) -> Any:
        """Evaluate JavaScript, as the developer's console does; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def hover(self, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, file: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + 60
        while True:
            answer = self._receive(end)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def _receive(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            poll = select.poll()  # unlike select(), for any number: other tests leave many open
            poll.register(self._read, select.POLLIN)
            assert poll.poll(1000 * max(0.0, end - time.monotonic())), "the browser does not answer"
            got = os.read(self._read, 1 << 20)
            assert got, "the browser ended"
            self._buffer += got
        message, _, self._buffer = self._buffer.partition(b"\0")
        return self._keep(json.loads(message))

    def _keep(self, message: dict[str, Any]) -> dict[str, Any]:
        method, of = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent" and not of["request"]["url"].startswith("data:"):
            self.requests.append(of["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(of["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Runtime.consoleAPICalled" and of["type"] in ("error", "warning", "assert"):
            self.errors.append(str([argument.get("value") for argument in of["args"]]))
        elif method == "Log.entryAdded" and of["entry"]["level"] in ("error", "warning"):
            self.errors.append(of["entry"]["text"])
        return message

    def close(self) -> None:
        try:
            self._session = None
            self.call("Browser.close")
            while self._receive(time.monotonic() + 10):
                pass
        except AssertionError:  # it ended, or has to be
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            os.close(self._write)
            os.close(self._read)


def press(page: Chromium, *keys: str) -> None:
    for key in keys:
        for kind in ("keyDown", "keyUp"):
            text = {"Enter": "\r", "Space": " "}.get(key)
            more = {"text": text} if text and kind == "keyDown" else {}
            number = {
                "Tab": 9,
                "Enter": 13,
                "Escape": 27,
                "ArrowUp": 38,
                "ArrowDown": 40,
                "ArrowLeft": 37,
                "ArrowRight": 39,
            }
            page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=number[key], **more)


def findings(browser: Chromium, file: Path, *, width: int, dark: bool) -> list[list[str]]:
    """What axe says of a page, which has to let it in: the policy of ours would not."""
    assert AXE is not None
    browser.call("Page.setBypassCSP", enabled=True)
    try:
        browser.open(file, width=width, dark=dark)
        browser.showing = None
        browser.ask(AXE.read_text(encoding="utf-8") + ";null")
        return browser.ask(
            "axe.run(document).then(r => r.violations.map(v => [v.id, v.impact, v.nodes[0].html.slice(0, 200)]))"
        )
    finally:
        browser.call("Page.setBypassCSP", enabled=False)
