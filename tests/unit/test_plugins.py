"""Files that users drop into the folders of plug-ins, and objects that they name by import path:
good ones work, bad ones spoil nothing.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evoray
import jobs
import objectives
import searchspaces
from evoray import data, searchers
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.problem.problem import Problem
from evoray.records.run_folder import RunFolder, write_json
from evoray.training import samplers
from jobs import commands
from jobs.cli import main
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.pipeline import PIPELINE
from jobs.quickstart import digits
from searchspaces.plugins import own
from searchspaces.plugins.registry import Registry
from tests.documents import ROOT, files
from tests.synthetic import Macs, Score, TableSpace

GOOD = files((ROOT / "docs" / "own.md").read_text(encoding="utf-8"))["mlp.py"]
BAD = {
    "syntax": ("x = 1\ndef build(:\n    pass\n", "line 2: SyntaxError"),
    "missing": (
        "import no_such_module\n\ndef build():\n    pass\n",
        "line 1: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "exits": ("import sys\nsys.exit(3)\n\ndef build():\n    pass\n", "line 2: SystemExit: 3"),
    "raises": ("\n\n1 / 0\ndef build():\n    pass\n", "line 3: ZeroDivisionError"),
    "nobuild": ("class Space:\n    pass\n", "it offers no build"),
    "binary": ("x = '\0'\n", "null bytes"),
}
REGISTRIES = [
    searchspaces.REGISTRY,
    objectives.REGISTRY,
    data.REGISTRY,
    samplers.REGISTRY,
    searchers.REGISTRY,
    jobs.REGISTRY,
    commands.REGISTRY,
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's current folder; what is imported from there is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    importlib.invalidate_caches()
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def dropped(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    """Files in a folder of plug-ins; the real one stays clean."""
    package = importlib.import_module(registry.package)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


def test_a_space_needs_no_presets(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped(searchspaces.REGISTRY, folder, monkeypatch, {"mlp": GOOD})
    assert searchspaces.presets("mlp") == []
    assert searchspaces.load("mlp").name == "mlp"
    main(["describe", "mlp"])
    main(["spaces"])
    assert re.search(r"\bmlp\b", capsys.readouterr().out)
    with pytest.raises(ValueError, match="space 'mlp' has no preset 'big'"):
        searchspaces.load("mlp:big")


def test_bad_spaces_are_a_line_each_and_the_others_are_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped(
        searchspaces.REGISTRY, folder, monkeypatch, {name: text for name, (text, _) in BAD.items()}
    )
    main(["spaces"])
    said = capsys.readouterr()
    assert "bignas" in said.out
    assert "vit_resnas" in said.out
    lines = said.err.strip().splitlines()
    assert len(lines) == len(BAD)
    for name, (_, words) in BAD.items():
        assert any(f"{name}.py" in line and words in line for line in lines), (name, lines)
    assert searchspaces.load("bignas:digits").name == "bignas:digits"
    with pytest.raises(
        ValueError, match=r"did you mean 'bignas'\?.*left out: .*syntax\.py, line 2"
    ):
        searchspaces.load("bignsa")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.package)
def test_asking_for_a_bad_file_names_it_with_the_line(
    registry: Registry, name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, words = BAD[name]
    dropped(registry, folder, monkeypatch, {name: text.replace("build", registry.offers)})
    with pytest.raises(
        ValueError,
        match=rf"{re.escape(str(folder))}.*{name}\.py.*"
        rf"{words.replace('build', registry.offers)}.*mend",
    ):
        registry.module(name)
    assert name not in registry.names() or name in ("missing", "exits", "raises")


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.package)
def test_what_stands_beside_plug_ins_is_known_by_its_form(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = registry.names()
    assert there
    assert registry.faults() == {}
    program = {} if registry.offers == "main" else {"program": "def main(): ...\n"}
    dropped(registry, folder, monkeypatch, {"_drafts": "x = 1\n", "base": "x = 1\n", **program})
    for name, text in (("pieces", "x = 1\n"), ("whole", f"def {registry.offers}(): ...\n")):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text, encoding="utf-8")
    (folder / "torn").mkdir()
    (folder / "torn" / "__init__.py").write_text("def (\n", encoding="utf-8")
    assert registry.names() == sorted([*there, "whole"])
    assert list(registry.faults()) == ["torn"]
    with pytest.raises(ValueError, match=rf"no {registry.kind} 'pieces'.*offers no"):
        registry.check("pieces")


def test_a_bad_command_spoils_the_help_of_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dropped(
        commands.REGISTRY,
        folder,
        monkeypatch,
        {"oops": "def main(:\n", "lost": "import no_such_module\n\ndef main(words): ...\n"},
    )
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    said = capsys.readouterr()
    assert stopped.value.code == 0
    assert "describe" in said.out
    assert len(said.err.strip().splitlines()) == 1  # commands are read, not imported
    with pytest.raises(SystemExit):
        main(["lost"])
    assert "lost.py, line 1: ModuleNotFoundError" in capsys.readouterr().err


def test_a_build_that_fails_or_asks_for_too_much_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped(
        searchspaces.REGISTRY,
        folder,
        monkeypatch,
        {
            "asks": "def build(depth):\n    pass\n",
            "fails": "def build():\n    return [][1]\n",
            "other": "def build():\n    return 3\n",
        },
    )
    with pytest.raises(ValueError, match=r"asks\.py asks for 'depth'.*give it a default"):
        searchspaces.load("asks")
    with pytest.raises(ValueError, match=r"fails\.py, line 2: IndexError"):
        searchspaces.load("fails")
    with pytest.raises(
        ValueError, match=r"other\.py makes, int, is no search space: it lacks name, genes"
    ):
        searchspaces.load("other")


@pytest.mark.parametrize(
    "text",
    ["mlp:Mlp", "mlp:build", "mlp:ready", "mlp.py:Mlp", "./mlp.py:build", "{folder}/mlp.py:Mlp"],
)
def test_a_space_of_the_users_own_folder_is_found_by_import_path(text: str, folder: Path) -> None:
    (folder / "mlp.py").write_text(GOOD + "\n\nready = Mlp()\n", encoding="utf-8")
    space = searchspaces.load(text.format(folder=folder))
    assert space.name == "mlp"
    assert space.costs(np.zeros((1, 4), dtype=np.int16))["macs"].tolist() == [64 * 4 + 4 * 10]


def test_the_readmes_space_is_described_from_the_users_own_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mlp.py").write_text(GOOD, encoding="utf-8")
    main(["describe", "mlp:Mlp"])
    assert "layer0.width" in capsys.readouterr().out


def test_packages_and_files_with_neighbours_import_them(folder: Path) -> None:
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "pack" / "tools.py").write_text("from pack.base_of_it import Mlp\n", encoding="utf-8")
    (folder / "pack" / "base_of_it.py").write_text(GOOD, encoding="utf-8")
    (folder / "away").mkdir()
    (folder / "away" / "neighbour.py").write_text(GOOD, encoding="utf-8")
    (folder / "away" / "using.py").write_text("from neighbour import Mlp\n", encoding="utf-8")
    assert searchspaces.load("pack.tools:Mlp").name == "mlp"
    assert searchspaces.load("away/using.py:Mlp").name == "mlp"
    assert str(folder / "away") in str(own.folders())  # workers of a local cluster find it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mlp:Mpl", r"mlp\.py has no 'Mpl'; it defines Mlp, build"),
        ("nowhere.at_all:Mlp", "there is no module 'nowhere.at_all'; looked in "),
        ("bignsa:digits", "no search space 'bignsa'; did you mean 'bignas'"),
        ("gone.py:Mlp", "there is no file "),
        ("mlp:number", "holds int 3 there, which is neither one nor builds one"),
        ("mlp:other", "is no search space: it lacks "),
        ("mlp:a b", "is no import path"),
        ("os:getcwd", "no search space 'os'.*a module of Python itself"),
        ("random.py:Mlp", "a module of Python itself"),
        ("broken:Mlp", r"broken\.py, line 2: SyntaxError"),
        ("mlp.Mlp:", "no search space 'mlp.Mlp'"),
    ],
)
def test_what_no_import_path_leads_to_is_one_clear_error(
    text: str, message: str, folder: Path
) -> None:
    (folder / "mlp.py").write_text(
        GOOD + "\n\nnumber = 3\n\n\ndef other():\n    return object()\n", encoding="utf-8"
    )
    (folder / "random.py").write_text(GOOD, encoding="utf-8")
    (folder / "broken.py").write_text("\ndef build(:\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        searchspaces.load(text)


def test_objectives_are_given_what_they_ask_for_by_name(folder: Path) -> None:
    (folder / "mine.py").write_text(
        "from objectives.base import Goal\n\n\nclass Zeros:\n    name, unit, goal = 'zeros', '', "
        "Goal.MAXIMIZE\n\n"
        "    def __init__(self, space, power=1):\n        self.space = space\n\n"
        "    def evaluate(self, choices):\n        return (choices == "
        "0).sum(axis=1).astype(float)\n",
        encoding="utf-8",
    )
    space = searchspaces.load("bignas:digits")
    zeros = objectives.build("mine:Zeros", {"space": space})
    assert zeros.space is space  # type: ignore[union-attr]
    assert objectives.build("complexity", {"space": space}).name == "macs"
    with pytest.raises(ValueError, match=r"asks for 'space', and evoray hands over source"):
        objectives.build("mine:Zeros", {"source": None})


OBJECTIVE = """
from objectives.base import Goal, Needs, Value


class Zeros:
    name, unit, goal = "zeros", "", Goal.MAXIMIZE

    def evaluate(self, choices):
        return (choices == 0).sum(axis=1).astype(float)


class Depth:
    name, unit, goal, needs = "depth", "layers", Goal.MINIMIZE, Needs(cpus=1)

    def __init__(self, source, recalibrate):
        self.source = source

    def open(self, device):
        pass

    def measure(self, candidate):
        return float(len(list(candidate.subnet.modules())))


class Several:
    name, needs = "sizes", Needs(cpus=1)
    yields = (Value("modules", "", Goal.MINIMIZE), Value("tensors", "", Goal.MINIMIZE))

    def open(self, device):
        pass

    def measure(self, candidate):
        return {"modules": 1.0, "tensors": 2.0}


class TakenValue(Several):
    yields = (Value("latency", "", Goal.MINIMIZE),)


class Taken(Zeros):
    name = "accuracy"


class Odd(Zeros):
    name = "a < b"


class Locked(Zeros):
    def __init__(self):
        import threading
        self.lock = threading.Lock()
"""
SPACE = "from searchspaces import load\n\n\ndef build():\n    return load('bignas:digits')\n"


def quickstart(
    targets: tuple[str, ...], *, space: str = "bignas:digits", more: tuple[str, ...] = ()
) -> SupernetSearch:
    config = digits()
    measure = dataclasses.replace(config.measure, objectives=more)
    return dataclasses.replace(
        config,
        space=space,
        search=dataclasses.replace(config.search, targets=targets),
        measure=measure,
    )


def test_a_job_takes_objectives_by_name_and_by_import_path(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped(
        objectives.REGISTRY,
        folder,
        monkeypatch,
        {"zeros_by_name": OBJECTIVE + "\n\ndef build(*args, **kwargs):\n    return Zeros()\n"},
    )
    (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    problem = build_setup(quickstart(("accuracy", "zeros_by_name", "mine:Depth"))).problem
    assert problem.targets == ("accuracy", "zeros", "depth")
    assert problem.measured_names == ("accuracy", "latency", "depth")
    assert (
        build_setup(quickstart(("accuracy", "macs"), more=("mine.py:Depth",))).problem.value_names[
            2
        ]
        == "depth"
    )


def test_values_of_one_measurement_are_targets_together_or_one_by_one(folder: Path) -> None:
    (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    together = build_setup(quickstart(("accuracy", "mine:Several"))).problem
    assert together.targets == ("accuracy", "modules", "tensors")
    assert together.measurements == ("accuracy", "latency", "sizes")
    alone = build_setup(quickstart(("accuracy", "tensors"), more=("mine:Several",))).problem
    assert alone.targets == ("accuracy", "tensors")
    assert alone.measured_names == ("accuracy", "latency", "modules", "tensors")
    with pytest.raises(ValueError, match="is called 'latency', as another one of this search"):
        build_setup(quickstart(("accuracy", "mine:TakenValue")))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "mine:Taken",
            "objective 'mine:Taken' is called 'accuracy', as another one of this search",
        ),
        ("mine:Odd", "which no constraint could name"),
        ("mine:Locked", "objective 'mine:Locked' cannot be sent to a worker"),
        ("mine:Nothing", "has no 'Nothing'; it defines "),
        ("acuracy", "did you mean 'accuracy'"),
    ],
)
def test_an_objective_that_a_job_cannot_take_is_named(
    target: str, message: str, folder: Path
) -> None:
    (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        build_setup(quickstart(("accuracy", target)))


def test_a_job_holds_own_objects_to_the_contract_that_a_search_from_python_does(
    folder: Path,
) -> None:
    (folder / "mine.py").write_text(
        "from objectives.base import Goal\nfrom searchspaces import load\n\n\n"
        "class Zeros:\n    name, unit, goal = 'zeros', '', 'maximize'\n\n"
        "    def evaluate(self, choices):\n        return (choices == "
        "0).sum(axis=1).astype(float)\n\n\n"
        "class Sideways(Zeros):\n    goal = 'sideways'\n\n\n"
        "class Beyond(type(load('bignas:digits'))):\n"
        "    def repair(self, choices):\n        return super().repair(choices) + 100\n\n\n"
        "def beyond():\n    import dataclasses\n    good = load('bignas:digits')\n"
        "    return Beyond(**{f.name: getattr(good, f.name) for f in dataclasses.fields(good) if "
        "f.init})\n",
        encoding="utf-8",
    )
    assert build_setup(quickstart(("accuracy", "mine:Zeros"))).problem.targets == (
        "accuracy",
        "zeros",
    )
    with pytest.raises(ValueError, match="needs a goal of minimize or maximize, got 'sideways'"):
        build_setup(quickstart(("accuracy", "mine:Sideways")))
    with pytest.raises(ValueError, match=r"repair of space .* must return indices of options"):
        build_setup(quickstart(("accuracy", "macs"), space="mine:beyond"))


def run_of_ones_own(folder: Path) -> RunFolder:
    """A run that names a space and an objective of the user's."""
    (folder / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    (folder / "myspace.py").write_text(SPACE, encoding="utf-8")
    config = quickstart(("accuracy", "mine:Zeros"), space="myspace.py:build")
    return RunFolder.create(
        folder / "run", PIPELINE.job_of("quickstart", "digits", config, build_setup(config))
    )


def test_a_run_finds_its_space_and_objectives_again(folder: Path) -> None:
    run = run_of_ones_own(folder)
    config = PIPELINE.config_of(run)
    assert config.search.targets == ("accuracy", "mine:Zeros")
    assert config.space == f"{folder / 'myspace.py'}:build"
    assert build_setup(config).problem.targets == ("accuracy", "zeros")


def test_what_has_changed_or_gone_is_an_error_until_it_is_named_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of_ones_own(folder)
    (folder / "mine.py").write_text(OBJECTIVE + "\n# other\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"'mine:Zeros'.*mine\.py is not as it was.*--own .*mine\.py:Zeros"
    ):
        PIPELINE.config_of(run)
    assert PIPELINE.config_of(run, ["mine:Zeros"]).search.targets[1] == "mine:Zeros"
    (folder / "mine.py").unlink()
    with pytest.raises(
        ValueError, match=r"'mine:Zeros', which is not in .*; it was .*mine\.py: go to its folder"
    ):
        PIPELINE.config_of(run)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    with pytest.raises(ValueError, match=r"'myspace\.py:build', which is not in "):
        PIPELINE.config_of(run)
    (folder / "elsewhere" / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    assert (
        PIPELINE.config_of(run, [f"{folder / 'myspace.py'}:build"]).space
        == f"{folder / 'myspace.py'}:build"
    )
    with pytest.raises(ValueError, match=r"--own 'mine:Other' is not of run "):
        PIPELINE.config_of(run, ["mine:Other", "../myspace.py:build"])


@pytest.mark.parametrize("record", [True, False])
def test_a_run_folder_from_somebody_else_executes_nothing(
    record: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of_ones_own(folder)
    evil = run.path / "myspace.py"
    evil.write_text("open('ran', 'w')\n" + SPACE, encoding="utf-8")
    job = run.job()
    for space in (
        f"{evil}:build",
        "myspace:build",
        "run/myspace.py:build",
        "run.myspace:build",
        "subprocess:getoutput",
        "torch.hub:list",
    ):
        job["config"]["space"] = space
        job["own"] |= {space: {"file": str(evil), "sha256": own.digest(evil)}} if record else {}
        write_json(run.path / "job.json", job)
        for place in (folder, run.path):
            if place == run.path or space != "myspace:build":
                monkeypatch.chdir(place)
                with pytest.raises(ValueError, match=r"needs '.*--own|is no import path"):
                    PIPELINE.config_of(run)
    assert not (run.path / "ran").exists()
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("cluster", "message"),
    [
        ("", "cluster must be"),
        (3, "cluster must be"),
        ("ray://head:1", r"cluster takes HOST:PORT"),
        ("head", "cluster takes HOST:PORT"),
    ],
)
def test_a_cluster_that_is_none_is_refused(cluster: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evoray.search(TableSpace(), [Score(), Macs()], evaluations=8, cluster=cluster)


def test_evaluator_and_cluster_exclude_each_other() -> None:
    space, score = TableSpace(), Score()
    evaluator = LocalEvaluator(Problem(space, (score,), (), ("score",)))
    with pytest.raises(ValueError, match="evaluator and cluster both say where to measure"):
        evoray.search(space, [score], evaluations=8, evaluator=evaluator, cluster="local")


@pytest.mark.parametrize(
    "source",
    [
        "class S:\n    def __repr__(self):\n        raise RuntimeError('mine')\nspace = S()\n",
        "class S:\n    def __getattr__(self, name):\n        raise RuntimeError('mine')\nspace = "
        "S()\n",
        "class S:\n    repair = 1\n    @property\n    def name(self):\n        raise "
        "RuntimeError('mine')\nspace = S()\n",
        "import sys\nsys.path.clear()\nraise RuntimeError('mine')\n",
    ],
    ids=["repr", "getattr", "property", "path"],
)
def test_an_own_object_that_raises_wherever_it_is_looked_at_is_named(
    source: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    file = folder / "raising.py"
    file.write_text(source, encoding="utf-8")
    with pytest.raises(ValueError, match=r"line \d+: RuntimeError: mine; mend that file"):
        searchspaces.load(f"{file}:space")
