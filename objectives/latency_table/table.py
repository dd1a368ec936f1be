"""A latency table: what each operator takes on a device, and a predictor of whole networks made of
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from objectives.base import Goal
from searchspaces.base import Choices, SearchSpace

_ABOUT = b"evoray.latency_table"
_BLOCK = 4096  # rows predicted at once
_SCHEMA = pa.schema([("operator", pa.string()), ("seconds", pa.float64())])


@dataclass(frozen=True, eq=False)
class Smooth:
    """A Gaussian process's mean over genes and logarithms of costs; what it predicts is a
    logarithm.

    Attributes:
        inputs: (m, d) of the samples, in units of `lengths`.
        weights: (m,).
        lengths: (d,) length scale of each column; a longer one matters less.
        mean: Added to the weighted sum.
    """

    inputs: NDArray[np.float64]
    weights: NDArray[np.float64]
    lengths: NDArray[np.float64]
    mean: float

    def predict(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, d) -> (n,)."""
        scaled = inputs / self.lengths
        squares = (
            (scaled**2).sum(axis=1)[:, None]
            + (self.inputs**2).sum(axis=1)
            - 2.0 * scaled @ self.inputs.T
        )
        return np.asarray(np.exp(-0.5 * np.maximum(squares, 0.0)) @ self.weights + self.mean)


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """Times of a space's operators on one device, and the prediction of whole networks from them.

    Attributes:
        space: Name of the space.
        label: Name of the device; the cost is "predicted_latency@LABEL".
        seconds: Seconds of each operator, by its JSON.
        smooth: Predicts the logarithm of a network's milliseconds.
        held_out: Quality of the predictions on networks it was not fitted to: "networks",
            "kendall_tau", "rmse_ms", "rmse_percent", "within_10_percent".
        about: Threads, torch version, machine, input shape, for people.
    """

    space: str
    label: str
    seconds: Mapping[str, float]
    smooth: Smooth
    held_out: Mapping[str, float]
    about: Mapping[str, Any]

    def save(self, path: Path) -> None:
        """Writes a Parquet file: a row an operator, everything else in its metadata."""
        smooth = {name: np.asarray(value).tolist() for name, value in vars(self.smooth).items()}
        about = {
            "space": self.space,
            "label": self.label,
            "smooth": smooth,
            "held_out": dict(self.held_out),
            "about": dict(self.about),
        }
        table = pa.table(
            {"operator": list(self.seconds), "seconds": list(self.seconds.values())}, schema=_SCHEMA
        )
        pq.write_table(table.replace_schema_metadata({_ABOUT: json.dumps(about).encode()}), path)

    @staticmethod
    def load(path: Path) -> LatencyTable:
        """Reads a table that `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no latency table.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no latency table {path}: make one with `evoray latency measure SPACE "
                f"--output {path}`"
            )
        try:
            table = pq.read_table(path)
            about = json.loads(table.schema.metadata[_ABOUT])
            smooth = {
                name: np.array(value, dtype=np.float64) for name, value in about["smooth"].items()
            }
            seconds = dict(
                zip(table["operator"].to_pylist(), table["seconds"].to_pylist(), strict=True)
            )
            whole = Smooth(
                smooth["inputs"], smooth["weights"], smooth["lengths"], float(smooth["mean"])
            )
            return LatencyTable(
                about["space"], about["label"], seconds, whole, about["held_out"], about["about"]
            )
        except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path} is no latency table: make one with `evoray latency measure SPACE --output "
                "FILE.parquet`"
            ) from None


def inputs_of(space: SearchSpace, choices: Choices) -> NDArray[np.float64]:
    """(n, g) canonical rows -> (n, g + number of costs): the choices, and the logarithms of the
    space's costs.
    """
    costs = space.costs(choices)
    return np.concatenate(
        [choices.astype(np.float64), np.log(np.stack(list(costs.values()), axis=1))], axis=1
    )


class PredictedLatency:
    """Milliseconds of a network's forward pass on the device of a table, from its genes alone."""

    unit = "ms"
    goal = Goal.MINIMIZE

    def __init__(self, space: SearchSpace, table: LatencyTable) -> None:
        if table.space != space.name:
            raise ValueError(
                f"this latency table is of space {table.space!r}, not of {space.name!r}: measure "
                "one for it"
            )
        self._space = space
        self.table = table

    @property
    def name(self) -> str:
        return f"predicted_latency@{self.table.label}"

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        """(n, g) canonical choices -> (n,)."""
        found = np.empty(len(choices))
        for start in range(0, len(choices), _BLOCK):
            rows = choices[start : start + _BLOCK]
            found[start : start + _BLOCK] = np.exp(
                self.table.smooth.predict(inputs_of(self._space, rows))
            )
        return found
