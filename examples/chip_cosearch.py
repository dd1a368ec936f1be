"""Networks and their chip together, without training: how much network fits on which chip of two
sub-accelerators.

python examples/chip_cosearch.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import evoray
import searchspaces
from objectives import asic
from objectives.base import Goal
from searchspaces.base import Choices, options_of


class Size:
    """Multiply-accumulates of both networks, more of them being better: a stand-in for accuracy."""

    name, unit, goal = "size", "MACs", Goal.MAXIMIZE

    def __init__(self, space: Any) -> None:  # Any: a joint space, which knows its networks
        self._space = space

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return np.asarray(self._space.costs(choices)["macs"], dtype=np.float64)


def main() -> None:
    """Searches a classifier, a segmenter and their chip within three specs, and prints the
    front.
    """
    space: Any = searchspaces.load("nasaic:digits")
    chip = [asic.build(space, metric) for metric in ("latency", "energy", "area")]
    result = evoray.search(
        space,
        [Size(space), *chip],
        targets=["size", "asic_latency", "asic_energy"],
        constraints=[
            evoray.Constraint("asic_latency", at_most=1e4),  # cycles
            evoray.Constraint("asic_energy", at_most=1.2e7),  # model units: compare ratios
            evoray.Constraint("asic_area", at_most=1e9),  # um2
        ],
        evaluations=120,
        population=20,
    )
    names = ["size", "asic_latency", "asic_energy", "asic_area"]
    print(result.front().sort_by("size").select(names).to_pandas())
    for name, option in options_of(space, result.pick("best:size")).items():
        print(f"{name:<24} {option}")


if __name__ == "__main__":
    main()
