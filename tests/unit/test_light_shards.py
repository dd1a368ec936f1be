"""A shard thinks and measures nothing: its process imports no torch, which takes seconds and half a
gigabyte.
"""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from evoray.engine.shard import Shard, searchers_for
from evoray.problem.problem import Constraint, Problem
from jobs import elasticvit, quickstart, vit_resnas
from jobs.pipelines.supernet.build import build_setup
from tests.synthetic import table_problem

ROOT = Path(__file__).resolve().parents[2]
PRESETS = {
    "quickstart": quickstart.PRESETS,
    "elasticvit": elasticvit.PRESETS,
    "vit_resnas": vit_resnas.PRESETS,
}
# in a process of its own, as an actor's is; a call as Ray would bring it
SCRIPT = """
import base64, pickle, sys
import evoray.distributed.shards
shard = pickle.loads(base64.b64decode(sys.stdin.read()))
proposals = shard.propose(8)
assert len(proposals) == 8
shard.migrants(2, "elites")
shard.restore(shard.state())
assert "torch" not in sys.modules, "torch was imported"
"""


def shard_of(problem: Problem, searcher: str | Sequence[str]) -> Shard:
    (built,) = searchers_for(problem, searcher, num_shards=1, seed=0, population=8)
    return Shard(problem.without_objectives(), built, 0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_shard_of_a_preset_imports_no_torch(preset: str) -> None:
    config = next(iter(PRESETS[preset].values()))()
    shard = shard_of(build_setup(config).problem, config.search.searcher)
    subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=base64.b64encode(pickle.dumps(shard)).decode(),
        env={"PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"},
        text=True,
        check=True,
        timeout=120,
    )


def test_a_problem_without_its_objectives_is_the_same_search() -> None:
    problem = table_problem(Constraint("score", at_least=60), Constraint("macs", at_most=4000))
    bare = problem.without_objectives()
    assert bare.without_objectives() == bare
    for name in problem.value_names:
        assert bare.goal(name) == problem.goal(name)
        assert bare.unit(name) == problem.unit(name)
    assert bare.measured_constraints == problem.measured_constraints
    assert bare.analytic_constraints == problem.analytic_constraints
    assert bare.costs == problem.costs
