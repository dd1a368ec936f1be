"""Mixed images and their labels: what token-mixup promises for every grid, and that networks learn
from it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import searchspaces
from evoray import data
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import fresh_network, train_network, train_supernet
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.recipe.mixing import draw_box, mix, mix_images, patch_grid
from evoray.training.step import ForwardPass, Stepper
from evoray.training.tasks.base import Moment
from jobs import vit_resnas
from jobs.pipelines.supernet.build import build_setup
from searchspaces.base import largest, smallest

RECIPE = TrainConfig(
    epochs=0.2,
    sampler="multi_architecture",
    num_random=4,
    optimizer="adamw",
    learning_rate=1e-3,
    mixing="tokens",
    dropout=0.0,
)

MOMENT = Moment(seed=0, step=0, steps=1, steps_per_epoch=1, batch_size=8)


def batch_of(size: int, side: int) -> ImageBatch:
    """Images each of which is its own number everywhere."""
    return ImageBatch(
        torch.arange(size, dtype=torch.float32)[:, None, None, None].expand(size, 1, side, side),
        torch.arange(size) % 10,
    )


def mixed(batch: ImageBatch, grid: int, seed: int) -> ImageBatch:
    return mix(
        batch, "tokens", num_classes=10, grid=grid, alpha=0.8, rng=np.random.default_rng(seed)
    )


@settings(deadline=None)
@given(grid=st.integers(1, 7), size=st.integers(2, 12), seed=st.integers(0, 10_000))
def test_a_patch_has_the_label_of_the_image_whose_pixels_it_shows(
    grid: int, size: int, seed: int
) -> None:
    batch = batch_of(size, 3 * grid)
    found, half = mixed(batch, grid, seed), size // 2
    assert found.patches_bnk is not None
    cells_bn = F.avg_pool2d(found.x_bchw, 3).flatten(1)
    for image in range(half):
        owners = cells_bn[image].round().long()
        torch.testing.assert_close(cells_bn[image], owners.float())  # the box follows the cells
        assert torch.equal(found.patches_bnk[image].argmax(dim=1), owners % 10)
    torch.testing.assert_close(found.labels[:half], found.patches_bnk[:half].mean(dim=1))
    torch.testing.assert_close(
        found.labels[half:, None].expand(-1, grid**2, -1), found.patches_bnk[half:]
    )
    torch.testing.assert_close(found.patches_bnk.sum(dim=2), torch.ones(size, grid**2))


@settings(deadline=None)
@given(size=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_a_blend_has_its_images_classes_by_their_share(size: int, seed: int) -> None:
    x = torch.eye(size)[:, :, None, None]  # image i is all in channel i
    blended, labels_bk = mix_images(x, torch.eye(size), alpha=0.8, rng=np.random.default_rng(seed))
    torch.testing.assert_close(blended[:, :, 0, 0], labels_bk)


def test_a_box_stays_off_the_far_edges_unless_it_spans_the_grid() -> None:
    rng = np.random.default_rng(0)
    boxes = {draw_box(4, rng) for _ in range(5000)}
    for top, left, height, width in boxes:
        assert top + height < 4 or (top, height) == (0, 4)
        assert left + width < 4 or (left, width) == (0, 4)
    assert (0, 0, 0, 0) in boxes  # some steps paste nothing
    assert {height * width for _, _, height, width in boxes} >= {1, 2, 3, 4, 6, 8}


def test_the_loss_is_that_of_the_image_and_of_its_patches_in_equal_parts() -> None:
    space = searchspaces.load("vit_resnas:digits")
    torch.manual_seed(0)
    supernet: Any = space.build_supernet()
    found = mixed(ImageBatch(torch.randn(8, 1, 32, 32), torch.arange(8)), patch_grid(supernet), 3)
    assert found.patches_bnk is not None
    one = ForwardPass(
        "largest", lambda x_bchw: supernet.forward_with_patches(x_bchw, largest(space))
    )
    losses = Stepper(supernet, RECIPE, SingleProcess(), torch.device("cpu")).gradients(
        [one], tasks.of(data.load("digits", image_size=32), RECIPE), found, MOMENT
    )
    logits_bk, logits_bnk = supernet.forward_with_patches(found.x_bchw, largest(space))
    smooth = 0.9 * found.patches_bnk + 0.01
    image = F.cross_entropy(logits_bk, 0.9 * found.labels + 0.01)
    patches = -(smooth * logits_bnk.log_softmax(dim=2)).sum(dim=2).mean()
    assert losses.totals[0] == pytest.approx(float((image + patches).detach()), rel=1e-5)
    assert float(supernet.patch_head.weight.grad.abs().sum()) > 0


def test_a_supernet_and_a_network_alone_train_on_patches_and_deploy_without_them(
    tmp_path: Path,
) -> None:
    space, source = searchspaces.load("vit_resnas:digits"), data.load("digits", image_size=32)
    supernet: Any = train_supernet(
        space, tasks.of(source, RECIPE), RECIPE, seed=0, folder=tmp_path / "supernet"
    )
    torch.manual_seed(0)
    assert not torch.equal(
        supernet.patch_head.weight, space.build_supernet().get_parameter("patch_head.weight")
    )
    network: Any = fresh_network(space, smallest(space), seed=0)
    names = set(network.state_dict())
    train_network(network, tasks.of(source, RECIPE), RECIPE, seed=0)
    assert network.patch_head is None
    assert set(network.state_dict()) == names


def test_networks_without_patches_are_refused_before_anything_starts() -> None:
    config = dataclasses.replace(
        vit_resnas.digits(),
        space="bignas:digits",
        train=dataclasses.replace(RECIPE, sampler="sandwich"),
    )
    with pytest.raises(
        ValueError,
        match=r"trains on the patches of the last stage, and \w+ has none; it works with "
        r"vit_resnas",
    ):
        build_setup(config)
