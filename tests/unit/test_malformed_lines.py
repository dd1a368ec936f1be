"""Three hundred malformed command lines, drawn from every command, job and kind of option: each is
one clear line and code 2, and writes nothing.
"""

from __future__ import annotations

import dataclasses
import json
import random
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import evoray
import jobs
from jobs.cli import main
from tests.synthetic import Macs, Score, TableSpace

NUM_LINES = 300
BAD: dict[type, tuple[str, ...]] = {
    int: ("abc", "1.5", "", "-1", "1" + "0" * 30, "inf", "0x10", "1,000", "\udce9"),
    float: ("abc", "inf", "-inf", "nan", "", "1e999", "--", "1,5"),
    bool: ("maybe", "2", "\x1b[31m"),
}
NAMES = {
    "search.targets": ("acuracy", "", "accuracy accuracy", "macs accuracy macs"),
    "search.constraints": (
        "macs",
        "macs<=",
        "<=3",
        "macs<=inf",
        "macs<=nan",
        "macs<=1",
        "nosuch<=1",
        "macs>=9e9 macs<=10",
        "macs=3",
    ),
    "search.fixed": (
        "resolution",
        "nosuch=1",
        "=",
        "resolution=17",
        "resolution=",
        "resolution=16 resolution=24",
    ),
    "search.searcher": ("nsga3", "", "os", "../nsga2", "nsga2 nosuch"),
    "search.options": ("bins", "nosuch=1", "=1", "bins="),
    "search.topology": ("torus", ""),
    "search.migrants": ("weakest",),
    "search.warm_start": ("nowhere", "s3://bucket/run"),
    "train.sampler": ("sandwhich", "", "os.path"),
    "measure.latency_tables": ("nowhere.parquet",),
    "space": ("bignsa", "bignas:nosuch", "", ":", "bignas:", "../bignas"),
    "data.name": ("cifar", "", "os"),
    "data.root": ("/no/such/folder",),
    "generators.opponent": ("nowhere", ""),
    "chip.constants": ("maestro",),
}
FOLDERS = (
    "nowhere",
    "",
    "s3://bucket/run",
    "file:///tmp/run",
    "a-file",
    "a-file/below",
    "x" * 300,
    "empty-folder",
    "damaged",
)
TEXTS = (
    "nosuch",
    "--nosuch",
    "---",
    "-",
    "\udce9",
    "\x1b]0;x\x07",
    "<script>",
    "%s",
    "{}",
    "a b",
    "日本",
    "'",
    "--run-dir",
)

Line = tuple[str, list[str]]  # kind of mistake, words


def options_of(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every option of a configuration, with its type."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name = f"{prefix}.{field.name}".strip(".")
        if dataclasses.is_dataclass(hints[field.name]):
            yield from options_of(hints[field.name], name)
        else:
            yield name, hints[field.name]


def bad_values(name: str, kind: Any) -> list[tuple[str, list[str]]]:
    """(kind of mistake, words after the option) for one option."""
    if name in NAMES:
        return [("a name or text that means nothing", value.split(" ")) for value in NAMES[name]]
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is typing.Literal:
        return [("no such choice", [value]) for value in ("nosuch", "", "\udce9")]
    values = [value for value in BAD.get(kind, ()) if not (value == "-1" and name.endswith("seed"))]
    return [(f"no such {kind.__name__}", [value]) for value in values]


def lines_of_jobs(draw: random.Random) -> Iterator[Line]:
    for job in jobs.names():
        every = [
            (name, bad)
            for name, kind in options_of(jobs.pipeline(job).config_type)
            for bad in bad_values(name, kind)
        ]
        for name, (what, words) in draw.sample(every, min(len(every), 40)):
            yield what, ["run", job, f"--{name}".replace("_", "-"), *words]
        for name, _ in draw.sample(sorted({(name, "") for name, _ in every}), 4):
            yield "an option mistyped", ["run", job, f"--{name}x", "3"]
        yield (
            "an option without its value",
            ["run", job, f"--{draw.choice(every)[0]}".replace("_", "-")],
        )
        for text in draw.sample(TEXTS, 3):
            yield "words that belong nowhere", ["run", job, text]
        yield "no such preset", ["run", job, "--preset", draw.choice(TEXTS)]
        for folder in ("s3://b/r", "gs://b/r", "a-file", "a-file/below", "full", "x" * 300):
            yield "a run folder that cannot be", ["run", job, "--run-dir", folder]


def lines_of_commands(draw: random.Random) -> Iterator[Line]:
    for command in ("resume", "show", "report", "export", "trust", "retrain", "sample"):
        yield (
            "a word missing",
            [command] if command != "report" else ["report", "--output", "x.html"],
        )
        for folder in FOLDERS:
            yield "no such run folder", [command, folder]
        yield "words that belong nowhere", [command, "searched", "--nosuch", "1"]
    numbers = (
        ["trust", "searched", "--probes"],
        ["sample", "searched", "--count"],
        ["sample", "searched", "--seed"],
        ["retrain", "trained", "--workers"],
        ["retrain", "trained", "--image-size"],
        ["latency", "measure", "bignas:digits", "--output", "t.parquet", "--samples"],
        ["latency", "measure", "bignas:digits", "--output", "t.parquet", "--image-size"],
        ["latency", "operators", "bignas:digits", "--output", "ops", "--networks"],
        ["conflict", "bignas:digits", "--data.limit"],
    )
    for words in numbers:
        for value in draw.sample(("abc", "1.5", "", "-3", "1" + "0" * 30, "inf", "nan"), 4):
            yield "no such int", [*words, value]
    for value in ("0", "100000"):
        yield "more or fewer workers than can be", ["retrain", "trained", "--workers", value]
    for value in ("inf", "nan", "-1", "0"):
        yield "no such float", ["retrain", "trained", "--train.epochs", value]
    yield "no such choice", ["export", "searched", "--to", "pickle"]
    for words in (
        ["report", "searched"],
        ["export", "searched"],
        ["sample", "searched"],
        ["retrain", "trained"],
    ):
        yield (
            "a place that cannot be",
            [*words, "--output", draw.choice(("s3://bucket/x", "gs://bucket/x", "file:///tmp/x"))],
        )
    yield "two that exclude each other", ["show", "searched", "--json", "--csv"]
    for command in ("latency", "describe", "conflict", "bench", "submit"):
        for text in draw.sample(TEXTS, 3):
            yield "a name or text that means nothing", [command, text]
    for text in TEXTS:
        yield "no such command", [text]


def machine_lines() -> Iterator[Line]:
    for options in (
        ["--cluster.train-workers", "1000"],
        ["--search.shards", "100000", "--search.evaluations", "200000"],
    ):
        yield "more than this machine can", ["run", "quickstart", *options]
    yield "more than this machine can", ["run", "quickstart", "--search.shards", "1000"]
    yield (
        "more than this machine can",
        ["run", "quickstart", "--cluster.accuracy-workers", "100000"],
    )


def all_lines() -> list[Line]:
    draw = random.Random(12)
    fixed = [*machine_lines(), *lines_of_commands(draw)]
    drawn = list(lines_of_jobs(draw))
    return fixed[:150] + draw.sample(drawn, NUM_LINES - len(fixed[:150]))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what such lines meet: a finished search, an unfinished run, a file, an empty
    and a full folder, a damaged run.
    """
    home = tmp_path_factory.mktemp("world")
    evoray.search(
        TableSpace(), [Score(), Macs()], evaluations=16, population=8, run_dir=home / "searched"
    )
    (home / "a-file").write_text("mine", encoding="utf-8")
    for name in ("empty-folder", "full", "damaged", "trained"):
        (home / name).mkdir()
    (home / "full" / "precious.txt").write_text("mine", encoding="utf-8")
    (home / "damaged" / "job.json").write_text("{", encoding="utf-8")
    pipeline, config = jobs.pipeline("quickstart"), jobs.load("quickstart").PRESETS["digits"]()
    job = pipeline.job_of("quickstart", "digits", config, pipeline.build_setup(config))
    (home / "trained" / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return home


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes() if file.is_file() else b""
        for file in sorted(folder.rglob("*"))
    }


def _carried_out(*arguments: object) -> None:
    raise AssertionError("the line was taken for a good one")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_a_malformed_line_is_one_clear_line_with_code_2_and_writes_nothing(
    part: int, world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    for job in jobs.names():  # a line that is taken for a good one must not begin to train
        monkeypatch.setattr(jobs.pipeline(job), "carry_out", _carried_out)
    before, wrong = contents(world), []
    for what, words in all_lines()[part::10]:
        code: object = "did not stop"
        try:
            main(words)
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"[:200]
        said = capsys.readouterr().err.strip()
        if (
            code != 2
            or len(said.splitlines()) != 1
            or not said.startswith("evoray: ")
            or "Traceback" in said
        ):
            wrong.append(f"{what}: {words} ended with {code!r} and said {said[:300]!r}")
        if contents(world) != before:
            wrong.append(f"{what}: {words} wrote {sorted(contents(world).keys() ^ before.keys())}")
            before = contents(world)
    assert not wrong, "\n".join(wrong)
