"""Seconds that tests took, kept in `tests/durations.json` and shown. `--keep-durations` keeps them,
`--quick` runs what took less than half a second in all its cases.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FILE = Path(__file__).with_name("durations.json")
_QUICK_SECONDS = 0.5  # a test below is quick, and is not written down

_Durations = dict[str, float]
_found = pytest.StashKey[_Durations]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick",
        action="store_true",
        help="only tests that took less than half a second, without Ray",
    )
    parser.addoption(
        "--keep-durations", action="store_true", help="write tests/durations.json for those run"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_found] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--quick"):
        return
    known = read()
    left_out = [
        item
        for item in items
        if known.get(function_of(item.nodeid), 0.0) >= _QUICK_SECONDS
        or item.get_closest_marker("ray")
        or item.get_closest_marker("slow")
    ]
    items[:] = [item for item in items if item not in set(left_out)]
    config.hook.pytest_deselected(items=left_out)


class _Recorder:
    """Adds up reports, in the one process that gets those of all."""

    def __init__(self, config: pytest.Config) -> None:
        self._found = config.stash[_found]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = function_of(report.nodeid)
        self._found[name] = self._found.get(name, 0.0) + report.duration


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--keep-durations") and not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(_Recorder(session.config))


def pytest_sessionfinish(session: pytest.Session) -> None:
    found = session.config.stash[_found]
    if not found:
        return
    known = {name: seconds for name, seconds in read().items() if name not in found}
    kept = known | {n: round(s, 1) for n, s in found.items() if s >= _QUICK_SECONDS}
    lines = sorted(kept.items(), key=lambda pair: (-pair[1], pair[0]))
    FILE.write_text(json.dumps(dict(lines), indent=1) + "\n", encoding="utf-8")


def read() -> _Durations:
    """Seconds of every test function in all its cases; short ones are not there."""
    if not FILE.is_file():
        return {}
    found: _Durations = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def function_of(nodeid: str) -> str:
    """The test's file and function, without its case."""
    return nodeid.partition("[")[0]
