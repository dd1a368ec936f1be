"""BigNAS: sizes and costs against the numbers that are known of the paper's table, and against a
counter.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from searchspaces.base import Architecture, Choices, architectures, largest, smallest, space_size
from searchspaces.bignas import PRESETS, BigNAS, build
from searchspaces.bignas.subnet import BigNASSubnet

EXPANDED = {"squeeze_base": "expanded"}
PLAIN = {"shortcut_convs": False}


def paper(**changes: object) -> BigNAS:
    return dataclasses.replace(build("paper"), **changes)


def sampled(space: BigNAS, count: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
    ).astype(np.int16)


def costs_of(space: BigNAS, architecture: Architecture) -> tuple[float, float]:
    costs = space.costs(np.array([architecture.choices], dtype=np.int16))
    return costs["macs"][0], costs["params"][0]


def test_the_paper_s_table_holds_236_million_networks() -> None:
    assert space_size(build("paper")) == 235_929_600
    assert len(build("paper").genes) == 22


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        (EXPANDED, "219.4", "1899.8"),
        ({**EXPANDED, **PLAIN}, "208.5", "1851.3"),
        ({}, "217.6", "1891.5"),
        (PLAIN, "206.7", "1843.0"),
    ],
)
def test_millions_of_macs_of_the_smallest_at_192_and_the_biggest_at_320(
    changes: dict[str, object], low: str, high: str
) -> None:
    space = paper(**changes)
    assert [f"{costs_of(space, a)[0] / 1e6:.1f}" for a in (smallest(space), largest(space))] == [
        low,
        high,
    ]


@pytest.mark.parametrize(
    ("resolution", "low", "high"), [(224, 297, 937), (256, 387, 1220), (288, 489, 1541)]
)
def test_millions_of_macs_between_the_ends_at_one_resolution(
    resolution: int, low: int, high: int
) -> None:
    space = paper(**EXPANDED, resolutions=(resolution,))
    assert [round(costs_of(space, a)[0] / 1e6) for a in (smallest(space), largest(space))] == [
        low,
        high,
    ]


@pytest.mark.parametrize(
    ("changes", "low", "high"), [({}, "3.84", "11.02"), (EXPANDED, "5.60", "19.25")]
)
def test_millions_of_parameters_of_the_ends(
    changes: dict[str, object], low: str, high: str
) -> None:
    space = paper(**changes)
    assert [f"{costs_of(space, a)[1] / 1e6:.2f}" for a in (smallest(space), largest(space))] == [
        low,
        high,
    ]


def test_the_child_shaped_like_efficientnet_b0_has_its_parameters_and_389_million_macs() -> None:
    b0 = build("paper").published["shape of EfficientNet-B0"]
    assert (
        costs_of(paper(**PLAIN), b0)[1] == 5_288_548
    )  # Tan and Le's model, without shortcut convolutions as theirs
    assert round(costs_of(paper(**EXPANDED, **PLAIN), b0)[0] / 1e6) == 389


def test_macs_of_uniform_samples_are_spread_as_known() -> None:
    macs = paper(**EXPANDED).costs(sampled(build("paper"), 400_000))["macs"] / 1e6
    known = {
        0.01: 321,
        0.05: 373,
        0.25: 497,
        0.5: 733,
        0.75: 1057,
        0.95: 1330,
        0.99: 1479,
    }  # of 20,000 samples
    for quantile, value in known.items():
        below, error = (macs < value).mean(), np.sqrt(quantile * (1 - quantile) / 20_000)
        assert abs(below - quantile) < 3.5 * error, (
            f"{value} M is at {below:.4f}, not at {quantile}"
        )
    assert abs(macs.mean() - 789) < 3 * macs.std() / np.sqrt(20_000)


@pytest.mark.parametrize(
    "changes", [{}, EXPANDED, PLAIN], ids=["default", "squeeze of expanded", "no shortcut convs"]
)
@pytest.mark.parametrize("preset", PRESETS)
def test_costs_equal_what_the_extracted_network_counts(
    preset: str, changes: dict[str, object]
) -> None:
    space = dataclasses.replace(build(preset), **changes)
    chosen = [largest(space), *architectures(space, sampled(space, 1 if changes else 3, seed=3))]
    costs = space.costs(np.array([a.choices for a in chosen], dtype=np.int16))
    for row, architecture in enumerate(chosen):
        with torch.device("meta"):
            subnet = BigNASSubnet(space.plan(architecture)).eval()
            with FlopCounterMode(display=False) as counter:
                subnet(torch.empty(1, space.in_channels, 32, 32))
        assert costs["macs"][row] * 2 == counter.get_total_flops()
        assert costs["params"][row] == sum(p.numel() for p in subnet.parameters())


def test_classes_and_channels_change_the_costs_by_their_weights() -> None:
    space = build("digits")
    other = dataclasses.replace(space, num_classes=13, in_channels=3)
    macs, params = costs_of(space, largest(space))
    more_macs, more_params = costs_of(other, largest(other))
    assert more_params - params == 3 * (128 + 1) + 2 * 9 * 16
    assert more_macs - macs == 3 * 128 + 2 * 9 * 16 * 16 * 16


@pytest.mark.parametrize(("preset", "low", "high"), [("digits", 0.4e6, 4e6), ("cifar", 4e6, 20e6)])
def test_small_presets_stay_small(preset: str, low: float, high: float) -> None:
    space = build(preset)
    assert costs_of(space, smallest(space))[0] < low
    assert costs_of(space, largest(space))[0] < high
    assert 1e5 <= space_size(space) <= 1e6
