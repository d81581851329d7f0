"""Chromium without a window, asked over its DevTools protocol: no driver, no package but the standard library."""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from patience import patience

#: no window, no graphics card, and nothing said to anybody's servers
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)


def chromium() -> str | None:
    """The browser on this machine: ``$CHROMIUM``, or what is on the path."""
    named = os.environ.get("CHROMIUM")
    found = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    return next((path for name in found if (path := shutil.which(name))), None)


class Page:
    """One tab, over a web socket (RFC 6455, text frames alone)."""

    def __init__(self, address: str) -> None:
        host, _, path = address.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=patience(30))
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self._socket.sendall(f"{upgrade}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._buffer = b""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._socket.recv(4096)
        self._buffer = self._buffer.partition(b"\r\n\r\n")[2]
        self._asked = 0
        #: everything that the browser told without being asked
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Answer to a command of the protocol; ``RuntimeError`` where it refuses."""
        self._asked += 1
        self._send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._receive())
            if message.get("id") == self._asked:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                answer: dict[str, Any] = message["result"]
                return answer
            self.events.append(message)

    def run(self, script: str) -> Any:
        """Value of an expression in the page, awaited; an exception in it is a ``RuntimeError``."""
        found = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{script}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, script: str, seconds: float) -> Any:
        """The value of an expression as soon as it is true; ``TimeoutError`` if it never is."""
        end = time.monotonic() + patience(seconds)
        while not (found := self.run(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"After {patience(seconds):g} s this is {found!r}: {script}")
            time.sleep(0.1)
        return found

    def _send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 127]) + struct.pack(">Q", len(data))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(b"\x81" + size + mask + masked)

    def _receive(self) -> bytes:
        whole = b""
        while True:
            first, second = self._take(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
            data = self._take(size)
            # what is neither text nor its continuation keeps the connection alive
            if first & 0x0F in (0, 1):
                whole += data
                if first & 0x80:
                    return whole

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            more = self._socket.recv(65536)
            if not more:
                raise ConnectionError("Chromium has closed the connection.")
            self._buffer += more
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


@contextmanager
def opened(address: str, width: int = 1200, height: int = 900) -> Iterator[Page]:
    """A page that is loaded, with what it fetched and complained of among its events."""
    binary = chromium()
    assert binary is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        words = [binary, *_FLAGS, f"--user-data-dir={home}", f"--window-size={width},{height}", "about:blank"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                port = _port(Path(home) / "DevToolsActivePort")
                with urlopen(f"http://127.0.0.1:{port}/json") as answer:
                    tabs = json.load(answer)
                page = Page(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
                for part in ("Page", "Runtime", "Network", "Log"):
                    page.ask(f"{part}.enable")
                page.ask("Page.navigate", url=address)
                page.wait("location.href != 'about:blank' && document.readyState == 'complete'", 60)
                yield page
            finally:
                process.kill()


def _port(file: Path) -> int:
    end = time.monotonic() + patience(60)
    while time.monotonic() < end:
        if file.is_file() and (lines := file.read_text().split()):
            return int(lines[0])
        time.sleep(0.1)
    raise TimeoutError("Chromium did not say where it listens.")
