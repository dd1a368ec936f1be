"""Retraining from fresh, inherited and earlier weights, and positions at another resolution."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import searchspaces
from evoray.records.ledger import FolderLedger
from evoray.records.records import Record
from evoray.records.run_folder import RunFolder
from jobs import quickstart, vit_resnas
from jobs.pipelines.retraining import RetrainOptions, alone, begin, prepare
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.pipeline import PIPELINE
from searchspaces.base import smallest
from searchspaces.elastic.positions import fitted_weights, resized_positions
from searchspaces.vit_resnas.published import PUBLISHED
from tests.unit.test_vit_resnas import published_plan


def searched(path: Path, config: SupernetSearch) -> RunFolder:
    """A run with one evaluation, of the smallest network."""
    setup = build_setup(config)
    folder = RunFolder.create(path, PIPELINE.job_of("vit_resnas", "digits", config, setup))
    network = smallest(setup.space)
    with FolderLedger(folder.ledger, setup.problem.columns()) as ledger:
        ledger.append(
            [
                Record(
                    key=network.key,
                    choices=network.choices,
                    values={"accuracy": 50.0, "macs": 1e6, "params": 1e4},
                )
            ]
        )
    return folder


@settings(deadline=None)
@given(
    before=st.integers(1, 9),
    after=st.integers(1, 9),
    leading=st.integers(0, 1),
    width=st.integers(1, 3),
)
def test_positions_keep_the_class_token_and_what_is_the_same_everywhere(
    before: int, after: int, leading: int, width: int
) -> None:
    table = torch.cat([torch.full((leading, width), 7.0), torch.full((before**2, width), 3.0)])
    resized = resized_positions(table, after**2 + leading)
    torch.testing.assert_close(
        resized, torch.cat([torch.full((leading, width), 7.0), torch.full((after**2, width), 3.0)])
    )


def test_positions_are_interpolated_along_both_axes() -> None:
    rows, columns = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    table = torch.stack([rows.flatten(), columns.flatten()], dim=1)
    resized = resized_positions(table, 64).view(8, 8, 2)
    torch.testing.assert_close(resized[..., 0], resized[..., 1].T)
    inside = resized[2:-2, 4, 0]
    torch.testing.assert_close(inside, (torch.arange(8.0) / 2 - 0.25)[2:-2], atol=0.1, rtol=0)


def test_a_grid_cannot_become_one_with_a_class_token() -> None:
    with pytest.raises(
        ValueError,
        match="16 positions cannot become 17: only one of them is a grid with a class token",
    ):
        resized_positions(torch.zeros(16, 2), 17)


@pytest.mark.parametrize("name", sorted(PUBLISHED["vit_resnas"]))
def test_published_networks_go_to_higher_resolutions(name: str) -> None:
    """Shapes of stem and both reductions at 280 px, where the grid is 20, 10, 5."""
    space: Any = searchspaces.load("vit_resnas")
    larger: Any = dataclasses.replace(space, image_size=280)
    with torch.device("meta"):
        at_224 = space.build_subnet(None, space.published[name]).state_dict()
    network = larger.build_subnet(None, larger.published[name])
    given = {key: torch.zeros(tensor.shape) for key, tensor in at_224.items()}
    found = fitted_weights(given, network)
    assert [len(found[key]) for key in found if key.endswith("positions")] == [401, 100, 25]
    network.load_state_dict(found)
    assert (
        sum(p.numel() for p in network.parameters())
        == dataclasses.replace(larger.plan(larger.published[name])).params
    )
    assert published_plan("tiny", name).image_size == 224


def test_a_resized_network_computes_nearly_the_same_on_a_resized_smooth_image() -> None:
    torch.manual_seed(0)
    space: Any = searchspaces.load("vit_resnas:digits")
    larger: Any = dataclasses.replace(space, image_size=64)
    small, large = (one.build_subnet(None, smallest(one)) for one in (space, larger))
    large.load_state_dict(fitted_weights(small.state_dict(), large))
    flat = torch.rand(4, 1, 1, 1).expand(4, 1, 64, 64)
    with torch.no_grad():
        before, after = small.eval()(F.interpolate(flat, 32)), large.eval()(flat)
    torch.testing.assert_close(before, after, atol=0.05, rtol=0)


def test_weights_of_another_network_are_refused_by_name() -> None:
    space: Any = searchspaces.load("vit_resnas:digits")
    network = space.build_subnet(None, smallest(space))
    weights = network.state_dict()
    with pytest.raises(ValueError, match=r"another network: 'classifier\.bias' is of shape \(3,\)"):
        fitted_weights({**weights, "classifier.bias": torch.zeros(3)}, network)
    with pytest.raises(ValueError, match=r"'classifier\.bias' is missing"):
        fitted_weights(
            {name: w for name, w in weights.items() if name != "classifier.bias"}, network
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "nowhere"}, "nowhere has no weights.safetensors"),
        ({"image_size": 40}, "image size must be a multiple of the total stride 16, got 40"),
        ({"image_size": 4096}, "between 8 and 1024"),
        (
            {
                "train": dataclasses.replace(
                    alone(quickstart.digits().train), teachers=(Path("gone"),)
                )
            },
            "there is no teacher gone",
        ),
    ],
)
def test_a_retraining_that_cannot_be_is_refused_before_it_starts(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    config = vit_resnas.digits()
    folder = searched(tmp_path / "run", config)
    single = PIPELINE.single_supernet(folder, config)
    given = {"train": alone(config.train), **options}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        prepare(folder, single, RetrainOptions(**given), "best:accuracy", None)
    assert not (folder.path / "retrained").exists()


def test_another_recipe_needs_another_folder(tmp_path: Path) -> None:
    config = vit_resnas.digits()
    folder = searched(tmp_path / "run", config)
    single = PIPELINE.single_supernet(folder, config)
    options = RetrainOptions(train=alone(config.train))
    first = prepare(folder, single, options, "best:accuracy", None)
    assert not first.output.exists()  # nothing is written before the training begins
    begin(first, options)
    assert prepare(folder, single, options, "best:accuracy", None).output == first.output  # goes on
    with pytest.raises(
        ValueError,
        match="holds a training of another network or recipe: name another folder with --output",
    ):
        prepare(folder, single, dataclasses.replace(options, seed=1), "best:accuracy", None)
    larger = prepare(
        folder, single, dataclasses.replace(options, image_size=48), "best:accuracy", None
    )
    assert larger.output != first.output
    assert larger.source.image_shape == (1, 48, 48)
