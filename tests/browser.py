"""A headless Chromium that a test steers through its DevTools protocol, and which requests its page made."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-sync"


class Page:
    """The one tab of a browser; `requested` and `errors` gather what its pages asked for and threw.

    `dialogs` gathers the kinds of the questions that they asked, as `beforeunload`, all of which are answered by yes.
    """

    def __init__(self, socket: Any):
        self.socket, self.number = socket, 0
        self.requested: list[str] = []
        self.errors: list[str] = []
        self.dialogs: list[str] = []
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = self._send(method, parameters)
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(message["params"]["exceptionDetails"]))
            elif message.get("method") == "Page.javascriptDialogOpening":
                self.dialogs.append(message["params"]["type"])
                self._send("Page.handleJavaScriptDialog", {"accept": True})
            elif message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        return self.number

    def evaluate(self, script: str) -> Any:
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def wait(self, script: str, seconds: float = 60) -> Any:
        """What a script gives once it is true."""
        end = time.monotonic() + seconds
        while not (found := self.evaluate(script)):
            assert time.monotonic() < end, (
                f"never true: {script}; the page: {self.evaluate('document.body.innerText')}"
            )
            time.sleep(0.1)
        return found

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.call("Emulation.setTouchEmulationEnabled", enabled=width < 600)

    def tap(self, x: float, y: float, *, finger: bool) -> None:
        """A click, or what a finger does."""
        if finger:
            self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
            self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def press(self, key: str, code: str, *, ctrl: bool = False, repeat: bool = False) -> None:
        """A key, down and up; one letter is typed too, where something takes it."""
        named = {"key": key, "code": code, "modifiers": 2 if ctrl else 0}
        typed = {"text": key} if len(key) == 1 and not ctrl else {}
        # Without its number a key that types nothing would do nothing of its own.
        numbers = {"Enter": 13, "Backspace": 8, "Tab": 9, "Escape": 27}
        named |= {"windowsVirtualKeyCode": numbers[key]} if key in numbers else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", autoRepeat=repeat, **named, **typed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def picture(self, path: Path) -> None:
        shown = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shown["data"]))


@contextlib.contextmanager
def browser(profile: Path, **environment: str) -> Iterator[Page]:
    """A page of a Chromium with a profile of its own, until the end of the block; `environment` adds variables."""
    from websockets.sync.client import connect

    process = subprocess.Popen(
        [CHROMIUM, *SWITCHES.split(), f"--user-data-dir={profile}", "--remote-debugging-port=0", "about:blank"],
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )
    try:
        found = profile / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not found.exists() or "\n" not in found.read_text():
            assert time.monotonic() < end and process.poll() is None, "Chromium did not start"
            time.sleep(0.1)
        port = found.read_text().split("\n")[0]
        tabs = json.load(urlopen(f"http://127.0.0.1:{port}/json"))
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(address, max_size=None) as socket:
            yield Page(socket)
    finally:
        process.terminate()
        process.wait(timeout=20)
