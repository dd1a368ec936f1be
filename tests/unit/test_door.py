"""`evoray.search` at its door: values as Python or numpy write them, objects that fit their
contract, a run that is the same run.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import nn

import evoray
from evoray import Constraint
from evoray.engine.schedule import Migration
from evoray.problem.contracts import check_space
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.problem.identity import differences, identity
from evoray.problem.plain_values import plain, whole
from evoray.records.recordable_text import recordable
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table
from objectives.base import Candidate, Goal, Needs
from searchspaces.base import Architecture, Choices, Gene
from tests.synthetic import Macs, Score, TableSpace


class Toy:
    """Four genes and nothing to repair."""

    name = "toy"
    published: Mapping[str, Architecture] = {}

    def __init__(self, *genes: Gene) -> None:
        self.genes = genes or tuple(Gene(f"g{i}", (1, 2, 3, 4)) for i in range(4))

    def repair(self, choices: Choices) -> Choices:
        return np.clip(choices, 0, [len(g.options) - 1 for g in self.genes]).astype(np.int16)

    def costs(self, choices: Choices) -> dict[str, NDArray[np.float64]]:
        return {"macs": choices.sum(axis=1) + 1.0}

    def build_supernet(self) -> nn.Module:
        return nn.Identity()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return nn.Linear(1, 1)


class ToyCost:
    """Analytic cost of the toy space."""

    name, unit, goal = "macs", "MACs", Goal.MINIMIZE

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return choices.sum(axis=1) + 1.0


class Total:
    """The sum of the choices, and as many measurements as it has made."""

    unit: str = "%"
    goal: Any = Goal.MAXIMIZE
    needs: Any = Needs()

    def __init__(self, name: str = "total", epochs: int = 1, measure: Any = None) -> None:
        self.name = name
        self.epochs = epochs
        self.calls = 0
        self.seen: list[str] = []
        self._measure = measure

    def open(self, device: Any) -> None:
        self.data = "opened"

    def measure(self, candidate: Candidate) -> float:
        self.calls += 1
        self.seen.append(candidate.architecture.key)
        if self._measure is not None:
            return float(self._measure(candidate))
        return float(sum(candidate.architecture.choices))


def search(space: Any = None, objectives: Any = None, **options: Any) -> evoray.Result:
    given = {"searcher": "nsga2", "evaluations": 16, "population": 8, **options}
    return evoray.search(space or Toy(), objectives or [Total(), ToyCost()], **given)


class Kernel(Enum):
    SMALL = 3
    BIG = 5


@pytest.mark.parametrize(
    ("space", "options"),
    [
        (Toy(Gene("w", tuple(np.array([4, 8, 16]))), Gene("h", np.array([1.5, 2.5]))), {}),  # type: ignore[arg-type]
        (Toy(Gene("kernel", ((3, 3), (5, 5), (7, 7))), Gene("h", ([1, 2], [3, 4]))), {}),  # type: ignore[arg-type]
        (Toy(Gene("kernel", tuple(Kernel)), Gene("h", (1, 2, 3, 4, 5, 6, 7, 8))), {}),  # type: ignore[arg-type]
        (Toy(), {"constraints": [Constraint("macs", at_most=np.int64(9))]}),
        (Toy(), {"constraints": [Constraint("macs", at_most=np.float32(9))]}),
        (Toy(), {"seed": np.int64(3)}),
        (
            Toy(),
            {"evaluations": np.int32(16), "population": np.array(8), "num_shards": np.uint8(2)},
        ),
        (Toy(), {"evaluations": 16.0, "population": 1e1}),
        (
            Toy(),
            {"searcher": "optuna_study", "searcher_options": {"sampler": np.str_("TPESampler")}},
        ),
        (Toy(), {"migration": Migration(every=np.int64(2))}),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_numbers_of_numpy_and_tuples_are_written_and_known_again(
    space: Toy, options: dict[str, Any], tmp_path: Path
) -> None:
    first = search(space, run_dir=tmp_path / "run", **options)
    again = search(space, run_dir=tmp_path / "run", **options)
    assert again.records["key"].to_pylist() == first.records["key"].to_pylist()


def test_a_run_that_numpy_began_python_goes_on_with(tmp_path: Path) -> None:
    others = [Gene(f"g{i}", (1, 2, 3)) for i in range(3)]
    search(
        Toy(Gene("w", tuple(np.array([4, 8]))), *others), run_dir=tmp_path / "run", seed=np.int64(3)
    )
    result = search(
        Toy(Gene("w", (4, 8)), *others), run_dir=tmp_path / "run", seed=3, evaluations=20
    )
    assert len(result.records) == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"evaluations": float("inf")},
            "evaluations must be a whole number of at least 1, got inf",
        ),
        (
            {"evaluations": float("nan")},
            "evaluations must be a whole number of at least 1, got nan",
        ),
        ({"evaluations": "many"}, "evaluations must be a whole number of at least 1, got 'many'"),
        ({"evaluations": True}, "evaluations must be a whole number of at least 1, got True"),
        ({"population": 2.5}, "population must be a whole number of at least 1, got 2.5"),
        ({"num_shards": 0}, "num_shards must be a whole number of at least 1, got 0"),
        ({"num_shards": 100_000}, "num_shards must be at most evaluations, 16"),
        ({"seed": 2**70}, "seed must be a whole number and fit into 64 bits"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"targets": ("macs", "macs")}, "target 'macs' is given twice"),
        ({"targets": "macs"}, "targets must be a list of names, got 'macs'"),
        ({"targets": [1]}, "targets must be a list of names"),
        (
            {"constraints": Constraint("macs", at_most=3)},
            "constraints must be a list of evoray.Constraint",
        ),
        (
            {"constraints": ["macs<=3"]},
            r'constraints must be evoray.Constraint, such as Constraint\("macs"',
        ),
        (
            {"constraints": [Constraint("macs", at_most=3), Constraint("macs", at_least=5)]},
            "the constraints on 'macs' contradict each other: nothing is at least 5 and at most 3",
        ),
        ({"searcher": 3}, "searcher must be a list of names, got 3"),
        ({"evaluator": object()}, r"object is no evaluator: it lacks the method submit\(\)"),
        ({"run_dir": "s3://bucket/run"}, "must be a local path, got the URI 's3://bucket/run'"),
        ({"run_dir": ""}, "a run folder needs a path"),
        ({"run_dir": 5}, "run_dir must be the path of a folder, or None, got int 5"),
        ({"run_dir": b"run"}, "run_dir must be the path of a folder, or None, got bytes"),
        ({"searcher_options": [1]}, "searcher_options must be a dict"),
        ({"migration": 5}, "migration must be an evoray.engine.schedule.Migration"),
        ({"halving": True}, "halving must be an evoray.evaluation.successive_halving.Halving"),
        ({"supernet": "x"}, "supernet must be a torch module"),
        ({"warm_start": "runs/x"}, "warm_start must be a list of run folders, got 'runs/x'"),
    ],
)
def test_an_argument_that_cannot_work_is_named_and_nothing_written(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        search(**{"run_dir": tmp_path / "run", **options})
    assert not list(tmp_path.iterdir())


class WithoutOpen:
    name, unit, goal, needs = "x", "", Goal.MINIMIZE, Needs()

    def measure(self, candidate: Candidate) -> float:
        return 1.0


def total_with(**attributes: Any) -> Total:
    made = Total()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (Total(), r"objectives must be a list of objectives and cost models, got Total"),
        ([object()], r"object is neither an objective, which has a method measure\(candidate\)"),
        ([Total], r"the objective must be an object, got the class Total: write Total\(...\)"),
        ([WithoutOpen()], r"WithoutOpen 'x' is no objective: it lacks the method open\(\)"),
        (
            [total_with(goal="largest")],
            "objective 'total' needs a goal of minimize or maximize, got 'largest'",
        ),
        (
            [total_with(goal=None)],
            "objective 'total' needs a goal of minimize or maximize, got None",
        ),
        (
            [total_with(needs=2)],
            r"objective 'total' needs objectives.base.Needs\(...\) as needs, got 2",
        ),
        ([total_with(unit=None)], "objective 'total' needs a text as unit"),
        ([Total(name="")], "must be a printable text, got ''"),
        ([Total(name="a\nb")], "must be a printable text"),
        ([Total(name="caf\udce9")], "must be a printable text"),
        ([Total(name="a<=b")], "must be without <, > and ="),
        (
            [Total(name="total"), Total(name="total_seconds")],
            "called 'total_seconds', the column of how long 'total' took",
        ),
        *(
            ([Total(name=name)], f"called '{name}', which is a column of the ledger")
            for name in ("error", "key", "status", "violation")
        ),
        ([], "at least one target"),
    ],
    ids=lambda value: value[:50] if isinstance(value, str) else "",
)
def test_an_objective_that_fits_no_contract_is_refused(
    objectives: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        evoray.search(Toy(), objectives, searcher="nsga2", evaluations=8, run_dir=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_an_objective_may_be_named_like_seconds_of_nothing_else(tmp_path: Path) -> None:
    result = search(objectives=[Total(name="train_seconds"), ToyCost()], run_dir=tmp_path / "run")
    again = search(
        objectives=[Total(name="train_seconds"), ToyCost()],
        run_dir=tmp_path / "run",
        evaluations=20,
    )
    assert set(from_table(result.records).values) == {"train_seconds", "macs"}
    assert len(again.records) == 20


def test_a_goal_may_be_a_word() -> None:
    by_word = search(objectives=[total_with(goal="maximize"), ToyCost()])
    assert by_word.front().to_pylist() == search().front().to_pylist() or by_word.pick(
        "best:total"
    ) == search().pick("best:total")


class Shifted(Toy):
    """Breaks the contract of `repair` in a chosen way."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def repair(self, choices: Choices) -> Any:
        good = super().repair(choices)
        if self._how == "range":
            return good + 1
        if self._how == "negative":
            return good - 1
        if self._how == "float":
            return good.astype(float)
        if self._how == "shape":
            return good[:, :2]
        if self._how == "rows":
            return good[:1]
        if self._how == "list":
            return good.tolist()
        if self._how == "none":
            return None
        return ((good + 1) % 4).astype(np.int16)  # not idempotent


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "range",
            "must return indices of options: gene 'g0' of space 'toy' has 4, so 0 to 3, got 4|gene "
            "'g. of space 'toy' has 4",
        ),
        (
            "negative",
            "must return indices of options: gene 'g0' of space 'toy' has 4, so 0 to 3, got -1",
        ),
        (
            "float",
            r"must return whole numbers \(int16\), indices into each gene's options, got float64",
        ),
        (
            "shape",
            r"must return an \(n, 4\) array, a column for each gene of space 'toy', got \(258, 2\)",
        ),
        ("rows", "must return as many rows as it gets, got 1 for 258"),
        ("list", r"must return an \(n, 4\) array"),
        (
            "none",
            r"must return an \(n, 4\) array, a column for each gene of space 'toy', got NoneType",
        ),
        ("cycle", "must be idempotent, so that one network has one key"),
    ],
)
def test_a_repair_that_breaks_its_contract_is_noticed(how: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(Shifted(how))


class LatelyWrong(Toy):
    """Repairs well until it has been asked a few times."""

    calls = 0

    def repair(self, choices: Choices) -> Choices:
        self.calls += 1
        return super().repair(choices) + (4 if self.calls > 3 else 0)


def test_a_repair_that_goes_wrong_later_is_noticed_too() -> None:
    with pytest.raises(ValueError, match="must return indices of options"):
        search(LatelyWrong())


def test_a_space_without_a_method_is_named() -> None:
    class Half:
        name, genes = "half", (Gene("a", (1, 2)),)

        def repair(self, choices: Choices) -> Choices:
            return choices

    with pytest.raises(
        ValueError,
        match=r"Half 'half' is no space: it lacks the method costs\(\) and the method "
        r"build_supernet\(\)",
    ):
        search(Half())
    with pytest.raises(ValueError, match="the space must be an object, got the class Toy"):
        check_space(Toy)
    with pytest.raises(ValueError, match="needs genes with distinct names"):
        check_space(Toy(Gene("a", (1, 2)), Gene("a", (1, 2))))


@pytest.mark.parametrize(
    "options",
    [
        (float("nan"), 1.0),
        (object(),),
        "abc",
        3,
        (1, np.int64(1)),
        {"a", "b"},
        {"a": 1},
        b"ab",
        range(40_000),
    ],
)
def test_options_that_are_no_plain_values_are_refused(options: Any) -> None:
    with pytest.raises(ValueError, match=r"gene 'w' (needs|must have)"):
        Gene("w", options)


@pytest.mark.parametrize(
    "bound", [float("inf"), float("nan"), "3", True, np.True_, [1, 2], object()]
)
def test_a_bound_that_is_no_number_is_refused(bound: Any) -> None:
    with pytest.raises(ValueError, match="constraint on 'macs' needs a finite number as at_most"):
        Constraint("macs", at_most=bound)


def test_the_same_objective_again_goes_on_and_a_changed_one_is_refused_by_name(
    tmp_path: Path,
) -> None:
    objective = Total(epochs=1)
    search(objectives=[objective, ToyCost()], run_dir=tmp_path / "run")
    search(
        objectives=[objective, ToyCost()], run_dir=tmp_path / "run", evaluations=20
    )  # it has counted and opened since
    search(objectives=[Total(epochs=1), ToyCost()], run_dir=tmp_path / "run", evaluations=24)
    with pytest.raises(
        ValueError,
        match=r"values of other objects \(total.epochs is 12, was 1\), which must not be mixed",
    ):
        search(objectives=[Total(epochs=12), ToyCost()], run_dir=tmp_path / "run")
    objective.epochs = 12
    with pytest.raises(ValueError, match=r"total\.epochs is 12, was 1"):
        search(objectives=[objective, ToyCost()], run_dir=tmp_path / "run")


def test_a_changed_class_is_another_objective(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    source = (
        "class Mine:\n    name, unit, goal = 'x', '', 'minimize'\n    def evaluate(self, "
        "choices):\n        return choices.sum(axis=1) * {}\n"
    )

    def load(factor: str) -> Any:
        import importlib

        file.write_text(source.format(factor), encoding="utf-8")
        sys.modules.pop("mine", None)
        importlib.invalidate_caches()
        __import__("linecache").clearcache()
        namespace: dict[str, Any] = {"__name__": "mine"}
        sys.modules["mine"] = type(sys)("mine")
        sys.modules["mine"].__file__ = str(file)
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
        return namespace["Mine"]()

    try:
        before, same, other = (
            identity(load(factor)) for factor in ("1.0", "1.0  # a remark", "2.0")
        )
    finally:
        sys.modules.pop("mine", None)
    assert not differences(before, same, "x")
    assert differences(before, other, "x") == ["the source of x has changed"]


def test_dataclasses_functions_and_arrays_are_known_by_what_they_hold() -> None:
    assert identity(Score()) == identity(Score())
    assert differences(
        identity(Score()), identity(dataclasses.replace(Score(), seconds=1.0)), "score"
    ) == ["score.seconds is 1.0, was 0.0"]

    def scaled(factor: float) -> Any:
        return lambda candidate: factor

    assert identity(Total(measure=scaled(1.0))) == identity(Total(measure=scaled(1.0)))
    assert identity(Total(measure=scaled(1.0))) != identity(Total(measure=scaled(2.0)))
    assert identity(Total(measure=np.arange(3))) != identity(Total(measure=np.arange(4)))
    assert identity(Total(measure=[float("nan")])) == identity(Total(measure=[float("nan")]))


def test_an_objective_that_raises_keeps_where_it_did_and_shows_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(candidate: Candidate) -> float:
        return 1.0 / (candidate.architecture.choices[0] % 2)

    with caplog.at_level(logging.WARNING):
        result = search(objectives=[Total(measure=broken), ToyCost()])
    errors = {error for error in result.records["error"].to_pylist() if error}
    assert len(errors) == 1
    error = errors.pop()
    assert error.startswith("total: ZeroDivisionError: ")
    assert "test_door.py:" in error
    assert "in broken" in error
    told = [
        record.getMessage()
        for record in caplog.records
        if "Traceback (most recent call last)" in record.getMessage()
    ]
    assert len(told) == 1
    assert "total failed on" in told[0]


def test_an_exit_in_an_objective_is_a_failed_candidate_and_an_interrupt_is_not() -> None:
    def leaving(candidate: Candidate) -> float:
        if candidate.architecture.choices[0] == 0:
            sys.exit(3)
        return 1.0

    result = search(objectives=[Total(measure=leaving), ToyCost()], evaluations=32)
    assert len(result.records) == 32
    assert any(
        error.startswith("total: SystemExit: 3") for error in result.records["error"].to_pylist()
    )

    def interrupted(candidate: Candidate) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(objectives=[Total(measure=interrupted), ToyCost()])


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("cannot read " + os.fsdecode(b"/data/caf\xe9.bin")),
        ValueError("\ud800\udfff half"),
        ValueError("nul \0 inside"),
        ValueError("x" * 3_000_000),
        ValueError("line\nline\r\x1b[31mred\x1b[0m"),
        ValueError(),
        ValueError({"a": object()}),
        UnprintableError(),
        SystemExit("bye \udce9"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_error_text_can_be_recorded(failure: BaseException, tmp_path: Path) -> None:
    def failing(candidate: Candidate) -> float:
        if candidate.architecture.choices[0] == 0:
            raise failure
        return 1.0

    result = search(
        objectives=[Total(measure=failing), ToyCost()], run_dir=tmp_path / "run", evaluations=32
    )
    again = search(
        objectives=[Total(measure=failing), ToyCost()], run_dir=tmp_path / "run", evaluations=32
    )
    errors = [error for error in result.records["error"].to_pylist() if error]
    assert errors
    assert all(
        error.encode("utf-8") and "\0" not in error and len(error) < 5000 for error in errors
    )
    assert again.records["error"].to_pylist() == result.records["error"].to_pylist()


def test_what_is_recordable_stays_as_it_is() -> None:
    assert recordable("läuft \U0001f600 nicht") == "läuft \U0001f600 nicht"
    assert recordable("\udce9") == "\\udce9"


def test_a_search_that_cannot_open_its_objective_leaves_no_folder(tmp_path: Path) -> None:
    class Closed(Total):
        def open(self, device: Any) -> None:
            raise FileNotFoundError("no data")

    with pytest.raises(FileNotFoundError):
        search(objectives=[Closed(), ToyCost()], run_dir=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_relative_run_dir_stays_where_it_was_when_an_objective_changes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)

    def wandering(candidate: Candidate) -> float:
        os.chdir(tmp_path / "elsewhere")
        return float(sum(candidate.architecture.choices))

    search(objectives=[Total(measure=wandering), ToyCost()], run_dir="run")
    assert RunFolder.open(tmp_path / "run").front() is not None
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        ((1, (2, 3)), [1, [2, 3]]),
        (np.arange(3), [0, 1, 2]),
        (Kernel.BIG, 5),
        ({Kernel.BIG: Path("/a/b"), 3: {2, 1}}, {"5": "/a/b", "3": [1, 2]}),
        (Constraint("a", at_most=1), {"name": "a", "at_most": 1.0, "at_least": None}),
    ],
    ids=str,
)
def test_plain_data_is_what_json_gives_back(value: Any, written: Any) -> None:
    assert plain(value, "x") == written


def test_what_is_not_plain_is_named_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"x\.a\[1\] must be a finite number, got"):
        plain({"a": [1.0, np.float32("nan")]}, "x")
    with pytest.raises(ValueError, match="x must be plain data"):
        plain(object(), "x")
    assert whole(np.float64(3.0), "x") == 3


def test_genes_fixed_to_different_options_are_refused() -> None:
    with pytest.raises(ValueError, match="gene 'depth' is fixed twice, to different options"):
        with_fixed_genes(TableSpace(), ["depth=1", "depth=2"])
    assert with_fixed_genes(TableSpace(), ["depth=1", "depth=1"]).repair(
        np.zeros((1, 5), dtype=np.int16)
    ).shape == (1, 5)
    assert Macs().name


class WritingCost(ToyCost):
    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        values = choices.sum(axis=1) + 1.0
        choices[:] = 0
        return values


def test_a_cost_that_writes_into_its_choices_changes_no_network() -> None:
    def found(cost: ToyCost) -> list[dict[str, Any]]:
        result = evoray.search(Toy(), [cost], evaluations=8, population=4, searcher="nsga2")
        return result.records.select(["key", "choices", "macs"]).to_pylist()

    assert found(WritingCost()) == found(ToyCost())


@pytest.mark.parametrize("values", [1j, "1"])
def test_a_cost_that_is_no_real_number_is_refused(values: Any) -> None:
    class Odd(ToyCost):
        def evaluate(self, choices: Choices) -> Any:
            return np.array([values] * len(choices))

    with pytest.raises(ValueError, match="cost 'macs' must return real numbers, got"):
        evoray.search(Toy(), [Odd()], evaluations=8, population=4, searcher="nsga2")


def test_a_complex_measurement_is_a_failure_and_not_its_real_part() -> None:
    class Odd(Total):
        def measure(self, candidate: Candidate) -> Any:
            return np.complex128(5 + 1j)

    with pytest.raises(RuntimeError, match="must return a real number, got the complex number"):
        evoray.search(Toy(), [Odd()], evaluations=8, population=4, searcher="nsga2")
