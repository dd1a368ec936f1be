"""Latency tables: operators of subnets, a device's times, a predictor that says how good it is."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import searchspaces
from jobs.cli import main
from objectives.latency_table import LatencyTable, PredictedLatency, build
from objectives.latency_table.fitting import Sample, Times, fit, sample
from objectives.latency_table.operators import operators_of
from objectives.latency_table.time_operators import time_operators

SPACE = searchspaces.load("bignas:digits")


@pytest.fixture(scope="module")
def taken() -> Sample:
    torch.set_num_threads(1)
    return sample(SPACE, (1, 16, 16), num_samples=80, num_networks=40)


def device(taken: Sample, noise: float = 0.0) -> Times:
    """A device that takes as long as operators have letters and networks are their sums, a
    constant, and noise.
    """
    seconds = np.array([1e-8 * len(text) for text in taken.operators])
    whole = 2.0 * (taken.counts @ seconds)[list(taken.networks)] + 1e-5
    whole *= np.exp(np.random.default_rng(0).normal(0.0, noise, len(whole)))
    return Times(seconds.tolist(), whole.tolist(), 1, "2.13", "test")


def test_operators_are_counted_with_their_shapes_and_views_are_free() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ReLU(), nn.Flatten(), nn.Unflatten(1, (4, 36))
    )
    found = {
        json.loads(text)["name"]: (json.loads(text), count)
        for text, count in operators_of(network, torch.zeros(1, 3, 8, 8)).items()
    }
    assert {name: count for name, (_, count) in found.items()} == {
        "aten.conv2d.default": 1,
        "aten.relu.default": 2,
    }
    told, _ = found["aten.conv2d.default"]
    assert told["arguments"][0] == {
        "tensor": {"shape": [1, 3, 8, 8], "stride": [192, 64, 8, 1], "dtype": "float32"}
    }
    assert told["arguments"][1]["tensor"]["shape"] == [4, 3, 3, 3]


def test_every_operator_of_a_sample_can_be_run_again_alone(taken: Sample) -> None:
    seconds = time_operators([json.loads(text) for text in taken.operators[:40]])
    assert len(seconds) == 40
    assert min(seconds) > 0


def test_a_predictor_of_a_device_without_noise_is_nearly_exact_on_networks_that_it_has_not_seen(
    taken: Sample,
) -> None:
    held = fit(SPACE, taken, device(taken), "test").held_out
    assert held["networks"] == 20
    assert held["kendall_tau"] > 0.9
    assert held["rmse_percent"] < 5.0


def test_noise_of_the_device_shows_in_what_the_table_says_of_itself(taken: Sample) -> None:
    quiet, noisy = (
        fit(SPACE, taken, device(taken, noise), "test").held_out for noise in (0.0, 0.5)
    )
    assert noisy["rmse_percent"] > 5 * quiet["rmse_percent"]
    assert noisy["within_10_percent"] < quiet["within_10_percent"]


def test_a_saved_table_predicts_the_same_and_holds_its_operators(
    taken: Sample, tmp_path: Path
) -> None:
    table = fit(SPACE, taken, device(taken), "phone")
    table.save(tmp_path / "table.parquet")
    cost = build(SPACE, tmp_path / "table.parquet")
    assert cost.name == "predicted_latency@phone"
    assert np.array_equal(
        cost.evaluate(taken.choices), PredictedLatency(SPACE, table).evaluate(taken.choices)
    )
    assert dict(cost.table.seconds) == dict(table.seconds)
    assert cost.table.held_out == table.held_out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operators": [1.0]}, "of another sample"),
        ({"networks": [1.0]}, "of another sample"),
        ({"networks": [0.0] * 40}, "above 0"),
    ],
)
def test_times_that_do_not_fit_are_refused(
    taken: Sample, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit(SPACE, taken, replace(device(taken), **change), "test")


def test_what_is_no_table_or_of_another_space_is_refused(taken: Sample, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="evoray latency measure"):
        LatencyTable.load(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("text", encoding="utf-8")
    with pytest.raises(ValueError, match="is no latency table"):
        LatencyTable.load(tmp_path / "text.parquet")
    with pytest.raises(ValueError, match="is of space 'bignas:digits', not of 'vit_resnas:digits'"):
        PredictedLatency(
            searchspaces.load("vit_resnas:digits"), fit(SPACE, taken, device(taken), "test")
        )
    with pytest.raises(ValueError, match="at least 32 samples and 8"):
        sample(SPACE, (1, 16, 16), num_samples=16, num_networks=4)


@pytest.mark.slow
def test_a_device_with_torch_alone_can_make_the_times_of_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, table = tmp_path / "phone", tmp_path / "table.parquet"
    main(
        [
            "latency",
            "operators",
            "bignas:digits",
            "--output",
            str(folder),
            "--image-size",
            "16",
            "--samples",
            "32",
            "--networks",
            "8",
        ]
    )
    command = [
        sys.executable,
        "-I",
        "time_operators.py",
        ".",
        "times.json",
    ]  # -I: nothing of this project can be imported
    subprocess.run(command, cwd=folder, check=True)
    main(
        [
            "latency",
            "fit",
            str(folder),
            str(folder / "times.json"),
            "--label",
            "phone",
            "--output",
            str(table),
        ]
    )
    assert "Kendall tau" in capsys.readouterr().out
    assert (
        0 < build(SPACE, table).evaluate(np.zeros((1, len(SPACE.genes)), dtype=np.int16))[0] < 1000
    )
