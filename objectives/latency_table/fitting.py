"""Fitting of a latency table to a space and a device's times."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from objectives.latency_table.operators import operators_of
from objectives.latency_table.table import LatencyTable, Smooth, inputs_of
from objectives.latency_table.time_operators import time_networks, time_operators
from searchspaces.base import Choices, SearchSpace, architectures, largest, smallest

_LEAST_NETWORKS = 8  # measured whole; half of them tell how well the others predict
_LEAST_SAMPLES = 32
_NOISE = 1e-6  # of the process, in squared logarithms


@dataclass(frozen=True, eq=False)
class Sample:
    """Subnets of a space and the operators that each of them runs.

    Attributes:
        choices: (m, g) canonical rows, distinct.
        operators: JSON of each operator.
        counts: (m, number of operators): how often each subnet runs each.
        networks: Rows of `choices` that are measured whole.
        input_shape: (1, channels, height, width).
    """

    choices: Choices
    operators: Sequence[str]
    counts: NDArray[np.int64]
    networks: Sequence[int]
    input_shape: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Times:
    """Times of operators and networks, measured on one device.

    Attributes:
        operators: Seconds of each operator of a sample.
        networks: Seconds of each of its `networks`.
        threads, torch, machine: Circumstances of the measurement, for people.
    """

    operators: Sequence[float]
    networks: Sequence[float]
    threads: int
    torch: str
    machine: str


def sample(
    space: SearchSpace,
    input_shape: tuple[int, int, int],
    *,
    num_samples: int = 400,
    num_networks: int = 80,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> Sample:
    """Uniform subnets with the smallest and the largest, traced in one forward pass each;
    `num_networks` are to be measured whole.

    Raises:
        ValueError: Too few are asked for, or the space has fewer.
    """
    if num_networks < _LEAST_NETWORKS or num_samples < max(_LEAST_SAMPLES, num_networks):
        raise ValueError(
            f"a latency table needs at least {_LEAST_SAMPLES} samples and {_LEAST_NETWORKS} of "
            "them measured whole, "
            f"got {num_samples} and {num_networks}"
        )
    rng = np.random.default_rng(seed)
    ends = np.array([smallest(space).choices, largest(space).choices], dtype=np.int16)
    sizes = [len(gene.options) for gene in space.genes]
    drawn = space.repair(
        rng.integers(0, sizes, size=(4 * num_samples, len(sizes))).astype(np.int16)
    )
    _, first = np.unique(np.concatenate([ends, drawn]), axis=0, return_index=True)
    rows = np.concatenate([ends, drawn])[np.sort(first)][:num_samples]
    if len(rows) < max(_LEAST_SAMPLES, num_networks):
        raise ValueError(
            f"space {space.name!r} has only {len(rows)} networks that were found, {num_samples} "
            "were asked for"
        )
    x_bchw = torch.randn(1, *input_shape)
    found = []
    for number, architecture in enumerate(architectures(space, rows)):
        found.append(operators_of(space.build_subnet(None, architecture), x_bchw))
        if on_progress is not None:
            on_progress(number + 1)
    operators = sorted(set().union(*found))
    counts = np.array([[of[name] for name in operators] for of in found], dtype=np.int64)
    spread = np.linspace(0, len(rows) - 1, num_networks).round().astype(int)
    return Sample(rows, operators, counts, [int(i) for i in spread], (1, *input_shape))


def times_here(space: SearchSpace, taken: Sample, *, threads: int = 1) -> Times:
    """Measures the times on this machine."""
    seconds = time_operators([json.loads(text) for text in taken.operators], threads)
    chosen = architectures(space, taken.choices[list(taken.networks)])
    built = [space.build_subnet(None, architecture).eval() for architecture in chosen]
    networks = time_networks(built, torch.randn(taken.input_shape), threads)
    return Times(seconds, networks, threads, torch.__version__, platform.node())


def fit(space: SearchSpace, taken: Sample, times: Times, label: str) -> LatencyTable:
    """A predictor from a device's times.

    A network's milliseconds are a weighted sum of its operators' time, their number and 1; the
    weights are those that fit half of the networks measured whole. A Gaussian process learns that
    sum from the genes of all samples but the other half, which then tells how well all of it
    predicts networks that no part of it has seen.

    Raises:
        ValueError: The times do not belong to the sample, or are not above 0.
    """
    seconds, whole = (
        np.array(times.operators, dtype=np.float64),
        np.array(times.networks, dtype=np.float64),
    )
    if len(seconds) != len(taken.operators) or len(whole) != len(taken.networks):
        raise ValueError(
            f"these times are of another sample: it has {len(taken.operators)} operators and "
            f"{len(taken.networks)} networks, "
            f"they have {len(seconds)} and {len(whole)}"
        )
    if not ((seconds > 0).all() and (whole > 0).all()):
        raise ValueError("times of operators and networks must be above 0 seconds")
    measured = 1000.0 * whole
    networks = np.array(taken.networks)
    terms = np.stack(
        [1000.0 * taken.counts @ seconds, taken.counts.sum(axis=1), np.ones(len(taken.choices))],
        axis=1,
    )
    fitted, held = networks[::2], networks[1::2]
    scaled = terms[fitted] / measured[::2, None]  # relative errors count
    weights = np.linalg.lstsq(scaled, np.ones(len(fitted)), rcond=None)[0]
    learned = np.setdiff1d(np.arange(len(taken.choices)), held)
    sums = np.maximum(terms[learned] @ weights, 1e-3 * measured.min())
    smooth = _smooth(inputs_of(space, taken.choices[learned]), np.log(sums))
    predicted = np.exp(smooth.predict(inputs_of(space, taken.choices[held])))
    about = {
        "threads": times.threads,
        "torch": times.torch,
        "machine": times.machine,
        "input": list(taken.input_shape),
    }
    pairs = dict(zip(taken.operators, seconds.tolist(), strict=True))
    return LatencyTable(
        space.name, label, pairs, smooth, _agreement(predicted, measured[1::2]), about
    )


def _smooth(inputs: NDArray[np.float64], targets: NDArray[np.float64]) -> Smooth:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel

    spread = np.maximum(inputs.std(axis=0), 1e-9)
    mean, scale = float(targets.mean()), max(float(targets.std()), 1e-9)
    kernel = ConstantKernel(10.0, (1e-2, 1e4)) * RBF(np.full(inputs.shape[1], 5.0), (0.3, 1e3))
    process = GaussianProcessRegressor(kernel, alpha=_NOISE / scale**2 + 1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ConvergenceWarning
        )  # a column that does not matter has a length at its bound
        process.fit(inputs / spread, (targets - mean) / scale)
    constant, lengths = process.kernel_.k1.constant_value, process.kernel_.k2.length_scale * spread
    return Smooth(inputs / lengths, scale * constant * process.alpha_, lengths, mean)


def _agreement(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> dict[str, float]:
    from scipy.stats import kendalltau  # seconds to import, for those who make a table alone

    relative = predicted / measured - 1.0
    return {
        "networks": float(len(measured)),
        "kendall_tau": float(kendalltau(predicted, measured).statistic),
        "rmse_ms": float(np.sqrt(np.mean((predicted - measured) ** 2))),
        "rmse_percent": float(100.0 * np.sqrt(np.mean(relative**2))),
        "within_10_percent": float(100.0 * np.mean(np.abs(relative) <= 0.1)),
    }
