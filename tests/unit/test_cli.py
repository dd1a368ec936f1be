"""The command line: what a user mistypes is one line that helps, exit code 2, and nothing
written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import evoray
import jobs
from evoray.distributed.cluster import submission
from evoray.records.run_folder import RunFolder
from jobs.cli import main
from jobs.terminal.parsing import only
from tests.synthetic import Macs, Score, TableSpace


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command prints before it exits with 2."""
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rum"], "no command 'rum'; did you mean 'run'? there is bench, "),
        (
            ["run", "quickstrat"],
            "no job 'quickstrat'; did you mean 'quickstart'? there is bignas, ",
        ),
        (
            ["run", "quickstart", "--preset", "digit"],
            "job 'quickstart' has no preset 'digit'; did you mean 'digits'?",
        ),
        (
            ["run", "quickstart", "--space", "bignsa"],
            "no search space 'bignsa'; did you mean 'bignas'?",
        ),
        (
            ["run", "quickstart", "--space", "bignas:digit"],
            "space 'bignas' has no preset 'digit'; did you mean 'digits'?",
        ),
        (
            ["run", "quickstart", "--data", "cifar"],
            "no data source 'cifar'; did you mean 'cifar10'?",
        ),
        (
            ["run", "quickstart", "--data", "cifar10", "--data.root", "/no/such"],
            "data folder /no/such does not exist",
        ),
        (["run", "quickstart", "--data", "image_folder"], "needs a folder: give --data.root DIR"),
        (
            ["run", "quickstart", "--search.targets", "acuracy"],
            "target 'acuracy' is neither an objective nor a cost of this search; did you mean "
            "'accuracy'?",
        ),
        (
            ["run", "quickstart", "--search.searcher", "nsga3"],
            "no searcher 'nsga3'; did you mean 'nsga2'?",
        ),
        (
            ["run", "quickstart", "--search.constraints", "macs<=1"],
            "satisfies macs <= 1: samples have macs from",
        ),
        (
            ["run", "quickstart", "--search.constraints", "mac<=1e6"],
            "constraint 'mac' is neither an objective nor a cost of this search; did you mean "
            "'macs'?",
        ),
        (
            ["run", "quickstart", "--search.constraints", "macs"],
            "cannot read the constraint 'macs': write NAME<=NUMBER",
        ),
        (
            ["run", "quickstart", "--search.fixed", "resolution=17"],
            "gene 'resolution' of space 'bignas:digits' has no option '17'; it has 16, 24, 32",
        ),
        (
            ["run", "quickstart", "--search.fixed", "resolutoin=16"],
            "no gene 'resolutoin'; did you mean 'resolution'?",
        ),
        (
            ["run", "quickstart", "--search.population", "0"],
            "search.population must be at least 2, got 0",
        ),
        (
            ["run", "quickstart", "--search.evaluations", "0"],
            "search.evaluations must be at least 1, got 0",
        ),
        (["run", "quickstart", "--train.epochs", "0"], "train.epochs must be above 0, got 0"),
        (
            ["run", "quickstart", "--train.sampler", "sandwhich"],
            "no subnet sampler 'sandwhich'; did you mean 'sandwich'?",
        ),
        (["run", "quickstart", "--preset"], "--preset needs a value after it"),
        (["run", "nasaic", "--chip.latency", "1"], "nearest specs that one meets are latency "),
        (
            ["run", "nasaic", "--chip.units", "0"],
            "needs units and bandwidth of at least 1, got chip.units 0",
        ),
        (
            ["run", "nasaic", "--chip.units", "33"],
            "needs budgets that are multiples of their steps",
        ),
        (["run", "nasaic", "--chip.constants", "maestro"], "maestro2019"),
        (
            ["run", "nasaic", "--second.data.name", "digits"],
            "task 'strokes' of space 'nasaic:digits' is segmentation, and data source",
        ),
        (["run", "nasaic", "--preset", "w1"], "needs a folder: give --first.data.root DIR"),
        (
            ["run", "nasaic", "--space", "nasaic:cifar10"],
            "is no joint space of two networks and a chip; nasaic:digits, ",
        ),
        (["resume", "nowhere"], "nowhere is no run folder (it has no job.json)"),
        (["show", "nowhere"], "nowhere is no run folder"),
        (["report", "nowhere"], "nowhere is no run folder"),
        (["export", "nowhere"], "nowhere is no run folder"),
        (["trust", "nowhere"], "nowhere is no run folder"),
        (["retrain", "nowhere"], "nowhere is no run folder"),
        (["retrain"], "needs a run folder"),
        (
            ["latency", "measure", "bignas:digits", "--output", "no/such/table.parquet"],
            "its folder does not exist",
        ),
        (["latency", "show", "nowhere.parquet"], "there is no latency table nowhere.parquet"),
        (["describe", "bignsa"], "no search space 'bignsa'; did you mean 'bignas'?"),
        (["bench", "sandwhich"], "no benchmark 'sandwhich'; did you mean 'sandwich'?"),
        (["submit", "quickstart"], "needs --address"),
        (
            ["submit", "quickstart", "--address", "http://h:1"],
            "needs --run-dir, a folder that every node of the cluster sees",
        ),
        (
            ["submit", "quickstart", "--address", "http://h:1", "--run-dir", "runs/x"],
            "--run-dir of a submitted job must be absolute",
        ),
        (
            ["submit", "quickstart", "--address", "http://h:1", "--run-dir=/x", "--data.root", "x"],
            "--data.root of a submitted job must be",
        ),
        (["run", "elasticvit", "--train.teachers", "nobody.pt2"], "nobody.pt2: export one"),
        (["run", "elasticvit", "--search.options", "bins"], "search.options takes NAME=VALUE"),
        (
            ["run", "elasticvit", "--search.options", "bin=4"],
            "has no option 'bin'; did you mean 'bins'?",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_helpful_line_and_writes_nothing(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVORAY_DATA", raising=False)
    assert message in complaint(words, capsys)
    assert not list(tmp_path.iterdir())


def test_a_run_folder_that_exists_is_not_touched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    message = complaint(["run", "quickstart", "--run-dir", str(tmp_path)], capsys)
    assert "exists already and is not empty: resume it with `evoray resume" in message
    assert [f.name for f in tmp_path.iterdir()] == ["precious.txt"]


def test_an_unknown_option_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--search.evaluations" in complaint(
        ["run", "quickstart", "--search.evalutions", "3"], capsys
    )


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """A small finished search without a supernet."""
    evoray.search(
        TableSpace(), [Score(), Macs()], evaluations=24, population=8, run_dir=tmp_path / "run"
    )
    return tmp_path / "run"


def test_show_prints_the_front(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(searched)])
    output = capsys.readouterr().out
    assert "24 evaluations" in output
    assert "knee" in output


def test_report_writes_one_file(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(searched)])
    assert Path(capsys.readouterr().out.strip()) == searched / "report.html"
    assert (searched / "report.html").stat().st_size > 1_000_000


def test_a_damaged_job_file_is_named(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (searched / "job.json").write_text("{", encoding="utf-8")
    assert "job.json is damaged" in complaint(["show", str(searched)], capsys)


def test_spaces_and_describe_list_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    main(["spaces"])
    assert "bignas:digits" in capsys.readouterr().out
    main(["describe", "bignas", "--published"])
    output = capsys.readouterr().out
    assert "stage6.width" in output
    assert "macs" in output


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "resume" in capsys.readouterr().out


@pytest.mark.parametrize("job", jobs.names())
def test_help_shows_the_common_options_and_help_all_every_one(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = {}
    for word in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as stopped:
            main(["run", job, word])
        assert stopped.value.code == 0
        shown[word] = capsys.readouterr().out
    options = {
        word: set(re.findall(r"^\W{0,2}(--[a-z][\w.-]*)", shown[word], re.M)) for word in shown
    }
    config = next(iter(jobs.load(job).PRESETS.values()))()
    assert 10 <= len(config.common) <= 20
    assert len(options["--help"]) <= len(config.common) < len(options["--help-all"])
    assert options["--help"] < options["--help-all"]
    assert "--help-all: all" in shown["--help"].replace("\n", " ")
    assert "Budget of the search" in shown["--help"] or "images for one score" in shown["--help"]


def test_an_option_that_is_not_there_cannot_be_common() -> None:
    config = next(iter(jobs.load("quickstart").PRESETS.values()))()
    assert only(config, ["train.epochs"]).train.epochs == config.train.epochs
    with pytest.raises(ValueError, match="TrainConfig has no option epoch"):
        only(config, ["train.epoch"])


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "quickstart", "--help"], ["run", "nasaic", "-h"]]
)
def test_help_waits_for_neither_torch_nor_ray(words: list[str]) -> None:
    program = (
        "import sys\n"
        "from jobs.cli import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "finally:\n"
        "    print(sorted({'torch', 'ray', 'pandas', 'plotly', 'scipy'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_job_json_holds_the_whole_configuration(searched: Path) -> None:
    job = RunFolder.open(searched).job()
    assert job["space"] == "table"
    assert [v["name"] for v in job["values"] if v["target"]] == ["score", "macs"]
    assert job["versions"]["torch"]
    assert json.dumps(job)


@pytest.mark.slow
def test_conflict_compares_samplers_and_draws_their_curves(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [
        "conflict",
        "bignas:digits",
        "--data.limit",
        "64",
        "--data.image-size",
        "16",
        "--train.epochs",
        "1",
        "--train.batch-size",
        "16",
    ]
    main([*words, "--output", str(tmp_path / "curves.html")])
    output = capsys.readouterr().out
    assert "uniform" in output
    assert "complexity_aware" in output
    assert "complexity_aware, between steps" in (tmp_path / "curves.html").read_text(
        encoding="utf-8"
    )


def test_describe_prints_each_preset_of_a_data_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evoray.data.text._DESCRIBED", 8)
    main(["describe", "--data", "text"])
    output = capsys.readouterr().out
    assert "text:curved" in output
    assert "text:total_text" in output
    assert "IoU >= 0.7" in output
    main(["describe", "--data", "text:hard"])
    output = capsys.readouterr().out
    assert "text:hard" in output
    assert "text:curved" not in output
    main(["describe", "--data", "digits"])
    assert "classes" in capsys.readouterr().out


def test_describe_takes_a_space_or_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert "got neither" in complaint(["describe"], capsys)
    assert "got both" in complaint(["describe", "bignas", "--data", "text"], capsys)
    assert "no preset 'easy'" in complaint(["describe", "--data", "text:easy"], capsys)
    assert "did you mean 'text'?" in complaint(["describe", "--data", "tex"], capsys)


def test_data_without_classes_is_refused_by_what_needs_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "data source 'text' has no classes" in complaint(
        ["run", "quickstart", "--data", "text"], capsys
    )


def test_levels_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "elasticvit", "--levels"])
    assert "complexity levels by released_macs" in capsys.readouterr().out


def test_submitting_shows_a_token_where_the_user_has_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not submission.has_token()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret", encoding="utf-8")
    assert submission.has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert not submission.has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    assert submission.has_token()


def test_the_package_runs_like_the_command() -> None:
    program = [sys.executable, "-m", "evoray", "rum"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("evoray: no command 'rum'; did you mean 'run'?")


def test_a_job_is_submitted_without_importing_ray_first() -> None:
    program = "import sys, jobs.commands.submit; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
