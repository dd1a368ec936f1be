"""Paths of a configuration: absolute from the start, whatever the working folder is later."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.retraining import RetrainOptions
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.terminal.parsing import parse

_OPTIONS = {
    SupernetSearch: (
        [
            "--data.root",
            "pics",
            "--train.teachers",
            "a.pt2",
            "b.pt2",
            "--from",
            "runs/one",
            "--measure.latency-tables",
            "t.parquet",
        ],
        ["pics", "a.pt2", "b.pt2", "runs/one", "t.parquet"],
    ),
    GanSearch: (
        ["--data.root", "pics", "--inception", "w.pth", "--generators.opponent", "old"],
        ["pics", "w.pth", "old"],
    ),
    CoSearch: (
        [
            "--first.data.root",
            "one",
            "--second.data.root",
            "two",
            "--second.train.teachers",
            "t.pt2",
        ],
        ["one", "two", "t.pt2"],
    ),
    RetrainOptions: (["--weights", "earlier", "--train.teachers", "t.pt2"], ["earlier", "t.pt2"]),
}


def paths_in(value: object) -> list[Path]:
    if isinstance(value, Path):
        return [value]
    parts = value if isinstance(value, tuple) else getattr(value, "__dict__", {}).values()
    return [path for part in parts for path in paths_in(part)]


@pytest.mark.parametrize("kind", _OPTIONS, ids=lambda kind: kind.__name__)
def test_every_path_of_a_configuration_is_absolute(
    kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, names = _OPTIONS[kind]
    default = kind(train=SupernetSearch().train) if kind is RetrainOptions else kind()
    found = paths_in(parse(kind, default, words, prog="x", description=""))
    assert sorted(found) == sorted(tmp_path / name for name in names)


def test_a_word_with_a_meaning_is_no_path() -> None:
    assert (
        parse(
            GanSearch, GanSearch(), ["--generators.opponent", "plain"], prog="x", description=""
        ).generators.opponent
        == "plain"
    )
    recipe = RetrainOptions(train=SupernetSearch().train)
    assert (
        parse(RetrainOptions, recipe, ["--weights", "supernet"], prog="x", description="").weights
        == "supernet"
    )
