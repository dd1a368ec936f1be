"""A worker: where one objective measures candidates. A plain class; `distributed` makes an actor of
it.
"""

from __future__ import annotations

import logging
import math
import os
import platform
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.evaluation.predictions import Predictions
from evoray.evaluation.subjects import separable, subject
from evoray.records.recordable_text import recordable
from objectives.base import (
    Candidate,
    Measurable,
    MeasurementError,
    PartlyMeasurable,
    Separable,
    answered,
    values_of,
)
from searchspaces.base import Architecture, SearchSpace, canonical_keys

_log = logging.getLogger(__name__)

Weights = Mapping[
    str, NDArray[Any]
]  # a supernet's state dict as arrays; bfloat16 and its like are not in a supernet's state


class Reading(NamedTuple):
    """One candidate's measurement by one objective.

    Attributes:
        values: Values in the order of what the objective yields; empty when it failed.
        seconds: Wall-clock.
        error: Why it failed; "" otherwise.
        files: Small files about the candidate, by name.
    """

    values: tuple[float, ...]
    seconds: float
    error: str = ""
    files: Mapping[str, bytes] = {}


# In bytes, for many candidates: float64 rows of values and seconds, NaN for failed values; with
# them the errors and the files by row, where there are any.
PackedReadings = bytes | tuple[bytes, dict[int, str], dict[int, Mapping[str, bytes]]]


class EvaluationWorker:
    """One opened objective with the supernet it measures on."""

    def __init__(
        self,
        space: SearchSpace,
        objective: Measurable,
        weights: Weights | None,
        device: str = "cpu",
    ) -> None:
        """`weights` are used in place, never copied or written to."""
        self._objective = objective
        self._names = tuple(value.name for value in values_of(objective))
        self._has_told = False
        self._num_threads = max(1, round(objective.needs.cpus))
        torch.set_num_threads(self._num_threads)
        self._device = torch.device(device)
        self.renew(space, weights)
        self._worker = f"{platform.node()}:{os.getpid()}"
        objective.open(self._device)

    def renew(self, space: SearchSpace, weights: Weights | None) -> None:
        """Goes on with other weights, of a supernet that was trained further."""
        self._space, self._num_genes = space, len(space.genes)
        self._separable, self._predictions = separable(self._objective, space), Predictions()
        self._supernet = None if weights is None else supernet_with(space, weights).to(self._device)

    def ready(self) -> str:
        """The worker's name, "host:pid"; that it answers means that opening has ended."""
        return self._worker

    def measure(self, architecture: Architecture, share: float = 1.0) -> Reading:
        """Measures a candidate on a share of the data.

        What an objective raises is that candidate's failure, not the worker's.
        """
        start = time.perf_counter()
        error = ""
        of = (self._objective.name, architecture.key)
        if (
            torch.get_num_threads() != self._num_threads
        ):  # in a process with other workers; the number decides on the last digits
            torch.set_num_threads(self._num_threads)
        try:
            candidate = Candidate(self._space, architecture, self._supernet)
            if share < 1.0 and isinstance(self._objective, PartlyMeasurable):
                found = self._objective.measure_part(candidate, share)
            elif self._separable is not None:
                predictions = self._predictions_of(self._separable, candidate)
                found = self._separable.score(predictions, candidate.decoding)
            else:
                found = self._objective.measure(candidate)
            values, files = answered(self._objective.name, self._names, found)
            for name, value in zip(self._names, values, strict=True):
                if not math.isfinite(value):
                    error = f"{name} is {value}"
                    break
            else:
                return Reading(values, time.perf_counter() - start, "", files)
        except MeasurementError as failure:
            error = recordable(failure) or "MeasurementError without a message"
        except (
            Exception,
            SystemExit,
            # promise 5: a candidate that fails is a record; where all fail the search stops
        ) as failure:
            error = f"{type(failure).__name__}: {recordable(failure)}{_place(failure)}"
            if not self._has_told:
                self._has_told = True
                told = recordable("".join(traceback.format_exception(failure)))
                _log.warning(
                    "%s failed on %s, which is recorded; this failure in full, the next ones in "
                    "one line:\n%s",
                    *of,
                    told,
                )
        return Reading((), time.perf_counter() - start, error)

    def _predictions_of(self, objective: Separable, candidate: Candidate) -> Any:
        """Infers once for all candidates that look alike, as long as there is memory."""
        looked_at = subject(objective, self._space, candidate.architecture)
        found = self._predictions.get(looked_at)
        if found is None:
            found = objective.infer(candidate)
            self._predictions.add(looked_at, found)
        return found

    def measure_rows(self, rows: bytes, shares: bytes | None = None) -> PackedReadings:
        """The same for canonical choices as little-endian int16 rows: what travels between machines
        is small and quick to pack.

        Args:
            rows: The choices.
            shares: Float64, one a row: on how much of the data; None for all of it.
        """
        choices = np.frombuffer(rows, dtype="<i2").reshape(-1, self._num_genes).astype(np.int16)
        keys = canonical_keys(self._space, choices)
        found = np.full((len(choices), len(self._names) + 1), np.nan)
        parts = np.ones(len(choices)) if shares is None else np.frombuffer(shares)
        errors: dict[int, str] = {}
        files: dict[int, Mapping[str, bytes]] = {}
        for i, (row, key, share) in enumerate(
            zip(choices.tolist(), keys, parts.tolist(), strict=True)
        ):
            reading = self.measure(Architecture(self._space.name, tuple(row), key), share)
            found[i, -1] = reading.seconds
            if reading.error:
                errors[i] = reading.error
            else:
                found[i, :-1] = reading.values
            if reading.files:
                files[i] = dict(reading.files)
        return (found.tobytes(), errors, files) if errors or files else found.tobytes()


def unpacked(packed: PackedReadings, num_values: int) -> list[Reading]:
    """The readings that `measure_rows` packed, of an objective with so many values."""
    rows, errors, files = (packed, {}, {}) if isinstance(packed, bytes) else packed
    numbers = np.frombuffer(rows).reshape(-1, num_values + 1).tolist()
    return [
        Reading((), row[-1], errors[i])
        if i in errors
        else Reading(tuple(row[:-1]), row[-1], "", files.get(i, {}))
        for i, row in enumerate(numbers)
    ]


def _place(failure: BaseException) -> str:
    """Names the place where it was raised, " (mine.py:12 in measure)", without the lines of our own
    on the way there.
    """
    own = [
        frame for frame in traceback.extract_tb(failure.__traceback__) if frame.filename != __file__
    ]
    return (
        f" ({', '.join(f'{Path(f.filename).name}:{f.lineno} in {f.name}' for f in own[-3:])})"
        if own
        else ""
    )


def weights_of(supernet: nn.Module) -> dict[str, NDArray[Any]]:
    """The state dict as arrays that share its memory."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in supernet.state_dict().items()}


def supernet_with(space: SearchSpace, weights: Weights) -> nn.Module:
    """A supernet whose parameters are `weights` themselves, read in place.

    Raises:
        ValueError: They are of another supernet.
    """
    supernet = space.build_supernet()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()}
    try:
        supernet.load_state_dict(tensors, assign=True)
    except RuntimeError:
        raise ValueError(
            f"the weights do not fit the supernet of space {space.name!r}: they were trained in "
            "another version of it, or for other data; "
            "use the version that job.json names, or train again"
        ) from None
    return supernet.requires_grad_(False).eval()
