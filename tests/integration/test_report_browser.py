"""report.html in a real browser, at desktop and phone width: drawn, without errors, without a
request, within the screen.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from evoray.report.page import write_report
from tests.runs import hostile, make_run

pytestmark = pytest.mark.slow

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
]


class Page:
    """One tab, driven over the DevTools protocol.

    Attributes:
        events: Everything that the browser has reported.
    """

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=30)
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def evaluate(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", expression=expression, returnByValue=True)[
            "result"
        ].get("value")

    def wait_for(self, expression: str) -> None:
        until = time.monotonic() + 30
        while not self.evaluate(expression):
            assert time.monotonic() < until, f"{expression} did not come true"
            time.sleep(0.1)

    def troubles(self) -> list[dict[str, Any]]:
        """Exceptions, console errors, and requests for anything but the file itself."""
        found = []
        for event in self.events:
            method, parameters = event.get("method"), event.get("params", {})
            is_error = method == "Runtime.exceptionThrown"
            is_error |= method == "Runtime.consoleAPICalled" and parameters["type"] in (
                "error",
                "assert",
            )
            is_error |= method == "Log.entryAdded" and parameters["entry"]["level"] == "error"
            if method == "Network.requestWillBeSent":
                is_error = not parameters["request"]["url"].startswith(("file:", "data:", "blob:"))
            if is_error:
                found.append(event)
        return found


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Page]:
    program = next(
        (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
    )
    if program is None:
        pytest.skip("no chromium or google-chrome is installed")
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        until = time.monotonic() + 60
        while not (port_file.is_file() and port_file.read_text(encoding="utf-8").strip()):
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < until, "the browser did not start"
            time.sleep(0.1)
        port = port_file.read_text(encoding="utf-8").splitlines()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
            targets = json.loads(answer.read())
        yield Page(next(t["webSocketDebuggerUrl"] for t in targets if t["type"] == "page"))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_report_is_drawn_without_errors_and_fits(
    browser: Page, tmp_path: Path, width: int
) -> None:
    folder = make_run(tmp_path / "run")
    hostile(folder)
    write_report([folder], folder.report)
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.send(f"{domain}.enable")
    browser.send(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=width < 500,
    )
    browser.send("Page.navigate", url=folder.report.as_uri())
    browser.wait_for("document.readyState === 'complete' && !!window.Plotly")
    count = "document.querySelectorAll('[id^=figure-]').length"
    browser.wait_for(
        f"{count} > 0 && [...document.querySelectorAll('[id^=figure-]')].every(d => "
        "d.querySelector('.main-svg'))"
    )
    assert browser.evaluate(count) == 7
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("window.broken") is None
    assert browser.evaluate("document.querySelectorAll('.modebar-btn').length") > 0 or width < 500
    assert (
        browser.evaluate(
            "document.querySelectorAll('[data-title^=RoundPart], [data-val*=loud]').length"
        )
        == 0
    ), "plotly offers an upload"
    column = (
        "[...document.querySelector('table.sortable').tBodies[0].rows].map(r => "
        "parseFloat(r.cells[2].dataset.v))"
    )
    browser.evaluate("document.querySelectorAll('table.sortable th')[2].click()")
    ascending = browser.evaluate(column)
    browser.evaluate("document.querySelectorAll('table.sortable th')[2].click()")
    assert ascending == sorted(ascending)
    assert browser.evaluate(column) == sorted(ascending, reverse=True)
    assert browser.troubles() == []
