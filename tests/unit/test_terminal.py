"""Commands in a terminal and in a pipe: every value is there, no text is taken for markup, none
steers the terminal.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table
from torch import nn

import evoray
from evoray.files.visible_text import visible
from evoray.records.run_folder import RunFolder, write_json
from jobs.cli import main
from jobs.terminal.console import Terminal, set_up_streams
from jobs.terminal.errors import complain
from jobs.terminal.progress import phase
from objectives.base import Goal
from objectives.complexity import Cost
from searchspaces.base import Choices, Gene

HOSTILE = "[red]x[/] [link=a]b :smile: \x1b]0;title\x07 \x1b[31m \u202e\ud800 \\[/]"
SHOWN = r"[red]x[/] [link=a]b :smile: \x1b]0;title\x07 \x1b[31m \u202e\ud800 \[/]"


class Long:
    """A space whose keys are as long as many genes make them."""

    name = "long"
    genes = tuple(Gene(f"g{i}", (1, 2, 3)) for i in range(70))

    def __init__(self) -> None:
        self.published: dict[str, object] = {}

    def repair(self, choices: Choices) -> Choices:
        return np.clip(choices, 0, 2).astype(np.int16)

    def costs(self, choices: Choices) -> dict[str, np.ndarray]:
        return {"macs": choices.sum(axis=1) + 12345.5}

    def build_supernet(self) -> nn.Module:
        return nn.Identity()

    def build_subnet(self, supernet: object, architecture: object) -> nn.Module:
        return nn.Identity()


class Weighted:
    """A cost model that costs nothing."""

    unit = "%"
    goal = Goal.MAXIMIZE

    def __init__(self, name: str, turn: int) -> None:
        self.name, self._turn = name, turn

    def evaluate(self, choices: Choices) -> np.ndarray:
        return choices @ (np.arange(choices.shape[1])[:: self._turn] / 7) + 1000.123456


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("terminal") / "run"
    costs = [
        Weighted("gain", 1),
        Weighted("[red]x[/] [link a]b :smile: [/]", -1),
        Cost(Long(), "macs"),
    ]
    evoray.search(Long(), costs, searcher="random", evaluations=300, population=300, run_dir=path)
    write_json(path / "job.json", {**RunFolder(path).job(), "space": HOSTILE})
    return path


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main(words)
    return capsys.readouterr().out


def on_a_terminal(*words: str, columns: int = 80) -> str:
    """Runs a command in a terminal of its own and returns what it writes there."""
    mine, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "LANG": "C.UTF-8"}
    with subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *words], stdout=theirs, env=environment
    ) as process:
        os.close(theirs)
        chunks = []
        while True:
            try:
                chunk = os.read(mine, 65536)
            except OSError:  # the other side is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
    os.close(mine)
    assert process.returncode == 0
    return b"".join(chunks).decode()


def front_of(run: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(printed(["show", str(run), "--json"], capsys))[
        "fronts"
    ][0]["front"]
    return rows


def test_a_pipe_gets_every_row_column_and_digit(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(["show", str(run)], capsys).splitlines()
    rows = front_of(run, capsys)
    assert len(rows) > 30
    assert all(name in lines[2] for name in ("key", "gain (%) ↑", "macs"))
    for line, row in zip(lines[3:], rows, strict=True):
        words = line.split()[int(bool(row["knee"])) :]
        assert words[0] == row["key"]
        assert [float(word) for word in words[1:]] == pytest.approx(
            list(row["values"].values()), rel=1e-11
        )


def test_csv_and_json_hold_the_same_values(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = list(csv.reader(io.StringIO(printed(["show", str(run), "--csv"], capsys))))
    rows = front_of(run, capsys)
    assert table[0] == ["key", "knee", *rows[0]["values"]]
    assert [[key, int(knee), *map(float, values)] for key, knee, *values in table[1:]] == [
        [row["key"], row["knee"], *row["values"].values()] for row in rows
    ]
    assert sum(row["knee"] for row in rows) == 1


@pytest.mark.slow
def test_a_narrow_terminal_shows_every_value_and_folds_keys(run: Path) -> None:
    text = on_a_terminal("show", str(run), columns=60)
    assert "Pareto front" in text
    assert "12,4" in text  # macs
    assert "…" not in text
    assert "\x1b]" not in text
    assert "\x1b[31m" not in text
    assert SHOWN in text


def test_the_terminal_table_marks_the_knee_and_says_when_there_is_none(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(["show", str(run)], capsys).count("knee") == 1
    job = RunFolder.open(run).job()
    write_json(RunFolder.create(tmp_path / "empty", job).path / "job.json", job)
    assert "no evaluations of job" in printed(["show", str(tmp_path / "empty")], capsys)


def test_texts_are_no_markup_and_steer_nothing(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    console = Terminal()
    console.print(HOSTILE)
    table = Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    with phase(console, HOSTILE, 2) as bar:
        bar._last_line -= 100
        bar.update(1, HOSTILE)
    with console.status(HOSTILE):
        pass
    complain(ValueError(HOSTILE))
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert shown.out.count(SHOWN) == 6
    assert SHOWN in shown.err
    assert visible("plain é ↑ 数") == "plain é ↑ 数"


def test_a_path_with_brackets_is_printed_whole(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "sweep[lr=0.1][bold]" / "page.html"
    output.parent.mkdir()
    assert printed(["report", str(run), "--output", str(output)], capsys) == f"{output}\n"


def test_warnings_are_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        set_up_streams()
        logging.getLogger("evoray.records.ledger").warning(
            "damaged: %s", HOSTILE + "\nevoray: all is well"
        )
    finally:
        root.handlers = before
    assert capsys.readouterr().err == f"evoray: damaged: {SHOWN}\n    evoray: all is well\n"


@pytest.mark.slow
def test_a_locale_without_utf8_breaks_nothing(run: Path) -> None:
    plain = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    commands = [
        ["show", str(run)],
        ["show", str(run), "--json"],
        ["show", str(run), "--csv"],
        ["report", str(run)],
    ]
    code = f"from jobs.cli import main\nfor words in {commands!r}: main(words)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=plain, check=False)
    assert done.returncode == 0, done.stderr
