"""A headless Chromium that is told what to do through a pipe: no port, nothing but the standard library."""

import base64
import fcntl
import json
import os
import select
import signal
import time
from contextlib import suppress
from itertools import count

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 120.0


class Chromium:
    """A browser with one page; `close` ends it.

    Args:
        program: the executable.
        profile: an empty folder for what a browser keeps.

    `heard` has what the page said since it was opened: (method, params) of errors, console messages and requests.
    """

    def __init__(self, program, profile):
        (out, told), (answers, into) = os.pipe(), os.pipe()
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (out, into)]  # beyond 3 and 4, where they go
        quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        places = [(os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(theirs, (3, 4), strict=True)]
        command = [program, *FLAGS, f"--user-data-dir={profile}"]
        self._process = os.posix_spawn(program, command, os.environ, file_actions=[*quiet, *places])
        for end in (out, into, *theirs):
            os.close(end)
        self._told, self._answers, self._rest = told, answers, b""
        self._ids, self._session, self.heard = count(1), None, []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """Send a command and return its result; what is heard meanwhile is kept."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._told, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self.heard.append((answer.get("method"), answer.get("params", {})))

    def _next(self):
        end = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._answers], [], [], max(end - time.monotonic(), 0))
            assert ready, f"Chromium says nothing for {PATIENCE_S:g} s"
            part = os.read(self._answers, 1 << 20)
            assert part, "Chromium has gone"
            self._rest += part
        first, _, self._rest = self._rest.partition(b"\0")
        return json.loads(first)

    def open(self, page, width, theme="light", height=900, media=""):
        """Show a file at a width in pixels, with a colour scheme; return once it is loaded."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self("Emulation.setEmulatedMedia", media=media, features=features)
        self.heard.clear()
        self("Page.navigate", url=page.as_uri())
        while not any(method == "Page.loadEventFired" for method, _ in self.heard):
            answer = self._next()
            self.heard.append((answer.get("method"), answer.get("params", {})))

    def ask(self, expression):
        """Return the value of a JavaScript expression in the page."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key, code=None, text=""):
        """Press and release a key, as a keyboard does."""
        about = {"key": key, "code": code or key, "windowsVirtualKeyCode": {"Enter": 13, "Tab": 9, " ": 32}.get(key, 0)}
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self("Input.dispatchKeyEvent", type="keyUp", **about)

    def click(self, expression):
        """Click the middle of the element that an expression gives."""
        box = self.ask(
            f"(() => {{ const e = {expression}; e.scrollIntoView({{block: 'center', inline: 'center'}});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def shot(self, path, whole=True):
        """Save a picture of the page."""
        clip = {}
        if whole:
            size = self.ask("[innerWidth, document.documentElement.scrollHeight]")
            clip = {"clip": {"x": 0, "y": 0, "width": size[0], "height": min(size[1], 16000), "scale": 1}}
        data = self("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self):
        """Return what the page complained of: errors, refusals of its policy, and console messages."""
        kinds = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [params for method, params in self.heard if method in kinds]

    def requests(self):
        """Return the addresses asked for, but for the page itself and what it holds."""
        asked = [p["request"]["url"] for method, p in self.heard if method == "Network.requestWillBeSent"]
        return [url for url in asked[1:] if not url.startswith("data:")]

    def close(self):
        """End the browser."""
        self._session = None
        with suppress(OSError, AssertionError):
            self("Browser.close")
        end = time.monotonic() + 20
        while os.waitpid(self._process, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(self._process, signal.SIGKILL)
            time.sleep(0.05)
        os.close(self._told)
        os.close(self._answers)
