"""A headless Chromium, told what to do over a pipe of its own: no driver, and no port.

    with browsing.chromium(folder) as tab:
        tab.open("http://127.0.0.1:8484/")
        tab.run("document.title")

Chromium speaks the DevTools protocol on descriptors 3 and 4 (--remote-debugging-pipe), one JSON message after another with a
zero byte between them.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

DEADLINE = 600  # seconds for one answer; nothing is decided by it
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--mute-audio"),
    *("--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe"),
)


class Tab:
    """One page. `console` is what it said: errors, what its policy refused, and exceptions; `asked` every address it asked
    for."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest, self._number = write, read, b"", 0
        self._session = ""
        self.console: list[str] = []
        self.asked: list[str] = []
        (target,) = (t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._read], [], [], DEADLINE)[0], "the browser does not answer"
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Log.entryAdded":
            self.console.append(f"{params['entry']['level']} {params['entry']['text']}")
        elif method == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(a.get("value")) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
        elif method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        self._seen = method

    def open(self, address: str) -> None:
        """Go there, until the page is loaded. An event stream does not keep it waiting."""
        self.console.clear()
        self.asked.clear()
        self.send("Page.navigate", url=address)
        self.until(lambda: self.run("document.readyState") == "complete" and self.run("location.href") != "about:blank")

    def run(self, script: str) -> Any:
        """The value of an expression; of a promise, what it comes to."""
        made = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in made, made["exceptionDetails"]
        return made["result"].get("value")

    def until(self, true: Callable[[], Any]) -> Any:
        """Look again and again; what hangs is ended by the tests' own deadline."""
        for _ in range(5000):
            try:
                if found := true():
                    return found
            except AssertionError as error:
                if "ended" in str(error) or "does not answer" in str(error):
                    raise
            self.run("new Promise(done => setTimeout(done, 20))")
        raise AssertionError("it never came true")

    def picture(self, path: Path, width: int = 1280, height: int = 800, scale: float = 1.0, dark: bool = False) -> None:
        self.size(width, height, scale)
        self.dark(dark)
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def size(self, width: int, height: int, scale: float = 1.0, mobile: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)

    def dark(self, wanted: bool) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if wanted else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)


@contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """A browser with a profile of its own, or a skipped test where there is none."""
    program = shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium: apt-get install chromium")
    theirs, mine = os.pipe(), os.pipe()  # what it reads, what it writes

    def connect() -> None:
        read, write = os.dup(theirs[0]), os.dup(mine[1])
        os.dup2(read, 3)
        os.dup2(write, 4)

    process = subprocess.Popen(
        [program, *ARGUMENTS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        preexec_fn=connect,
    )
    os.close(theirs[0])
    os.close(mine[1])
    try:
        yield Tab(theirs[1], mine[0])
    finally:
        process.terminate()
        process.wait(900)
        os.close(theirs[1])
        os.close(mine[0])
