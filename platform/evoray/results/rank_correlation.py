"""Trust in a supernet: how well inherited values rank networks against training each of them
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from evoray.evaluation.worker import Weights, supernet_with
from evoray.records.run_folder import RunFolder
from evoray.results import picking
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network
from evoray.training.recipe.teachers import Teacher
from evoray.training.tasks.base import Task
from objectives.base import BuiltCandidate, Candidate, Measurable, values_by_name, values_of
from searchspaces.base import Architecture, SearchSpace


@dataclass(frozen=True)
class Probe:
    """One network measured three ways, in the objective's unit.

    Attributes:
        key: The architecture's key.
        inherited: With the supernet's weights and recalibrated batch norm.
        inherited_without_recalibration: With the supernet's weights as they are cut out, running
            statistics at their start values.
        stand_alone: Trained alone from fresh weights with the supernet's budget.
    """

    key: str
    inherited: float
    inherited_without_recalibration: float
    stand_alone: float


@dataclass(frozen=True)
class Probing:
    """Probes that are ready to be measured by workers.

    Attributes:
        folder: Run folder that gets trust.json and the report.
        objective: Objective that they are ranked by.
        unit: Unit of the objective.
        measure: `measure(shared, *arguments[i], gpus)` -> Probe, on a worker that has so many GPUs.
        shared: Object that all workers need, such as weights.
        arguments: Arguments of each probe.
    """

    folder: RunFolder
    objective: str
    unit: str
    measure: Callable[..., Probe]
    shared: Any  # Any: the business of `measure`, as the arguments
    arguments: Sequence[tuple[Any, ...]]


def choose_probes(
    table: pa.Table, count: int, objective: str = "accuracy"
) -> list[tuple[int, ...]]:
    """Choices of `count` complete records, evenly spread over the ranks of their inherited
    `objective`.

    Raises:
        ValueError: There are not that many, or fewer than 3 are asked for.
    """
    done = picking.complete(table)
    if count < 3 or count > len(done):
        raise ValueError(
            f"a rank correlation needs at least 3 probes and at most the {len(done)} records of "
            f"the run, got {count}"
        )
    order = np.argsort(done[objective].to_numpy(), kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, count).round().astype(int)]
    return [tuple(row) for row in done["choices"].take(pa.array(chosen)).to_pylist()]


def probe(
    space: SearchSpace,
    architecture: Architecture,
    task: Task,
    config: TrainConfig,
    weights: Weights,
    recalibrated: Measurable,
    untouched: Measurable,
    *,
    seed: int,
    device: str,
    teachers: Sequence[Teacher] = (),
) -> Probe:
    """Measures one network three ways, by the first value of an objective that yields several;
    `untouched` is the same objective without recalibration, `teachers` are from outside.
    """
    first = values_of(recalibrated)[0].name
    supernet = supernet_with(space, weights).to(device)
    for objective in (recalibrated, untouched):
        objective.open(torch.device(device))
    inherited = values_by_name(recalibrated, Candidate(space, architecture, supernet))
    raw = values_by_name(untouched, Candidate(space, architecture, supernet))
    network = space.build_subnet(None, architecture)
    taught = [teacher.load() for teacher in teachers]
    train_network(network, task, config, seed=seed, device=torch.device(device), teachers=taught)
    alone = values_by_name(recalibrated, BuiltCandidate(space, architecture, network))
    return Probe(architecture.key, *(values[first] for values in (inherited, raw, alone)))


def summary(
    probes: Sequence[Probe], seconds: float, objective: str = "accuracy", unit: str = "%"
) -> dict[str, Any]:
    """Content of trust.json: the objective, the probes, Kendall's tau-b and Spearman's rho with and
    without recalibration.

    A correlation that is not defined, because one side has a single value, is 0: nothing was
    ranked.
    """
    from scipy.stats import kendalltau, spearmanr  # seconds, for the end of `evoray trust` alone

    alone = [p.stand_alone for p in probes]
    sides: Mapping[str, list[float]] = {
        "recalibrated": [p.inherited for p in probes],
        "without": [p.inherited_without_recalibration for p in probes],
    }
    return {
        "objective": {"name": objective, "unit": unit},
        "probes": [vars(p) for p in probes],
        "kendall": {
            name: _defined(kendalltau(side, alone).statistic) for name, side in sides.items()
        },
        "spearman": {
            name: _defined(spearmanr(side, alone).statistic) if len(set(side)) > 1 else 0.0
            for name, side in sides.items()
        },
        "seconds": seconds,
    }


def _defined(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0
