"""Co-design without training: networks whose "accuracy" is a stub, more for more MACs, and says so
in its name.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch

import searchspaces
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.shared import direct
from jobs.pipelines.cosearch.study import Study
from objectives import asic
from objectives.asic.specs import Specs
from objectives.base import Candidate, Goal, Needs
from objectives.tasks import TaskObjective, WeightedMean
from searchspaces.base import SearchSpace, largest, smallest


class LogMacs:
    """0 for a space's smallest network, 100 for its largest, linear in log MACs between: never a
    trained accuracy.
    """

    name, unit, goal, needs, tolerance = "stub", "%", Goal.MAXIMIZE, Needs(), 0.0

    def __init__(self, space: SearchSpace) -> None:
        ends = np.array([smallest(space).choices, largest(space).choices], dtype=np.int16)
        self._low, self._high = np.log(space.costs(ends)["macs"])
        self._space = space

    def open(self, device: torch.device) -> None:
        """Opens nothing."""

    def measure(self, candidate: Candidate) -> float:
        macs = self._space.costs(np.array([candidate.architecture.choices], dtype=np.int16))[
            "macs"
        ][0]
        return float(100.0 * (np.log(macs) - self._low) / (self._high - self._low))


def stub_study(workload: str, specs: Specs, **chip: Any) -> Study:
    """The space nasaic:WORKLOAD under these specs, with the stub for accuracy; `chip` are options
    of its hardware.
    """
    space: Any = searchspaces.load(f"nasaic:{workload}")
    if chip:
        space = dataclasses.replace(
            space, parts=(*space.parts[:-1], dataclasses.replace(space.parts[-1], **chip))
        )
    model = asic.build(space, latency_limit=specs.latency).model

    def objectives(joint: Any) -> Any:
        tasks = [
            TaskObjective(joint, label, LogMacs(part)) for label, part in joint.networks.items()
        ]
        return (*tasks, WeightedMean({task.name: 1.0 for task in tasks}))

    return Study(space, specs, model, objectives, lambda problem: LocalEvaluator(direct(problem)))
