"""ViT-ResNAS: sizes and costs to the digit, networks on slices and under masks, several networks in
one batch.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from evoray.data.digits import Digits
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_supernet
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.averaging import moving_average
from evoray.training.recipe.channel_sorting import sort_channels
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.step import ForwardPass, Stepper
from evoray.training.tasks.base import Moment
from searchspaces.base import (
    Architecture,
    Choices,
    architecture_of,
    architectures,
    largest,
    smallest,
    space_size,
)
from searchspaces.vit_resnas import PRESETS, Plan, ViTResNAS, build, reference
from searchspaces.vit_resnas.blocks import masked_layer_norm
from searchspaces.vit_resnas.plan import ReductionShape
from searchspaces.vit_resnas.subnet import Reduction, ViTResNASSubnet
from searchspaces.vit_resnas.supernet import ViTResNASSupernet


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def published_plan(preset: str, name: str, image_size: int = 224) -> Plan:
    space = dataclasses.replace(build(preset), image_size=image_size)
    return space.plan(space.published[name])


def sampled(space: ViTResNAS, count: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return space.repair(
        np.stack(
            [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
        ).astype(np.int16)
    )


def supernet_of(space: ViTResNAS) -> ViTResNASSupernet:
    """Supernet with weights large enough that every part matters."""
    supernet = space.build_supernet()
    assert isinstance(supernet, ViTResNASSupernet)
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, float(parameter.ndim == 1), 0.2)
    return supernet


@pytest.mark.parametrize(
    ("plan", "macs", "params", "with_patch_head"),
    [
        (reference(), 1_794_378_240, 42_012_736, 42_781_736),
        (published_plan("tiny", "ViT-ResNAS-Tiny"), 1_782_630_272, 40_793_552, 41_498_552),
        (published_plan("small", "ViT-ResNAS-Small"), 2_845_501_856, 63_724_108, 64_605_108),
        (published_plan("small", "ViT-ResNAS-Medium"), 4_513_135_936, 96_442_672, 97_323_672),
    ],
    ids=["reference", "Tiny", "Small", "Medium"],
)
def test_published_networks_have_their_costs_to_the_digit(
    plan: Plan, macs: int, params: int, with_patch_head: int
) -> None:
    assert (plan.macs, plan.params, plan.params + plan.head_params) == (
        macs,
        params,
        with_patch_head,
    )
    with torch.device("meta"):
        network = ViTResNASSubnet(plan).eval()
        network.add_patch_head()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, 224, 224))
    assert counter.get_total_flops() == 2 * macs
    assert sum(p.numel() for p in network.parameters()) == with_patch_head


@pytest.mark.parametrize(
    ("side", "macs", "params"),
    [(280, "7.219", "96.51"), (336, "10.739", "96.59"), (392, "15.201", "96.68")],
)
def test_medium_at_higher_resolutions(side: int, macs: str, params: str) -> None:
    plan = published_plan("small", "ViT-ResNAS-Medium", side)
    assert (f"{plan.macs / 1e9:.3f}", f"{plan.params / 1e6:.2f}") == (macs, params)


@pytest.mark.parametrize(
    ("preset", "large", "small"),
    [
        ("tiny", ("3.498", "84.81"), ("0.752", "15.49")),
        ("small", ("6.260", "155.32"), ("1.470", "33.11")),
    ],
)
def test_the_ends_of_the_spaces(
    preset: str, large: tuple[str, str], small: tuple[str, str]
) -> None:
    space = build(preset)
    for architecture, expected in ((largest(space), large), (smallest(space), small)):
        costs = space.costs(np.array([architecture.choices], dtype=np.int16))
        assert (f"{costs['macs'][0] / 1e9:.3f}", f"{costs['params'][0] / 1e6:.2f}") == expected


@pytest.mark.parametrize(
    ("preset", "genes", "rows", "networks"),
    [("tiny", 48, 7.2e30, 1.92e28), ("small", 54, 1.6e35, 4.21e32)],
)
def test_the_spaces_hold_the_known_numbers_of_networks(
    preset: str, genes: int, rows: float, networks: float
) -> None:
    space = build(preset)
    assert len(space.genes) == genes
    assert abs(space_size(space) / rows - 1) < 0.02
    distinct = 1
    for stage in space.stages:
        block = len(stage.heads) * len(stage.hidden)
        distinct *= len(stage.widths) * int(
            np.prod([block + optional for optional in stage.optional], dtype=object)
        )
    assert abs(distinct / networks - 1) < 0.005


def test_winners_lie_in_the_windows_that_were_searched() -> None:
    for preset, name, limit in (
        ("tiny", "Tiny", 1_794_400_000),
        ("small", "Small", 2_900_000_000),
        ("small", "Medium", 4_600_000_000),
    ):
        assert 0.975 * limit <= published_plan(preset, f"ViT-ResNAS-{name}").macs <= limit


@pytest.mark.parametrize(
    "preset",
    [pytest.param(p, marks=pytest.mark.slow) if p in ("tiny", "small") else p for p in PRESETS],
)
def test_costs_equal_what_the_extracted_network_counts(preset: str) -> None:
    space = build(preset)
    chosen = [smallest(space), largest(space), *architectures(space, sampled(space, 3, seed=3))]
    costs = space.costs(np.array([a.choices for a in chosen], dtype=np.int16))
    for row, architecture in enumerate(chosen):
        plan = space.plan(architecture)
        with torch.device("meta"):
            subnet = ViTResNASSubnet(plan).eval()
            with FlopCounterMode(display=False) as counter:
                subnet(torch.empty(1, space.in_channels, space.image_size, space.image_size))
        assert costs["macs"][row] * 2 == counter.get_total_flops() == 2 * plan.macs
        assert costs["params"][row] == sum(p.numel() for p in subnet.parameters()) == plan.params


def test_the_genes_of_a_missing_block_mean_nothing() -> None:
    space = build("digits")
    one = architecture_of(space, {"stage1.block2.heads": 4, "stage1.block2.hidden": 64})
    assert one == smallest(space)
    present = architecture_of(space, {"stage1.block2.exists": 1, "stage1.block2.heads": 4})
    assert present != architecture_of(space, {"stage1.block2.exists": 1})


def test_twenty_extracted_networks_compute_what_the_supernet_computes() -> None:
    space = build("digits")
    supernet, x = supernet_of(space), torch.randn(3, 1, 32, 32)
    with torch.no_grad():
        for architecture in [
            smallest(space),
            largest(space),
            *architectures(space, sampled(space, 20)),
        ]:
            inherited, alone = (
                supernet(x, architecture),
                space.build_subnet(supernet, architecture).train()(x),
            )
            assert inherited.std() > 1e-3
            assert (inherited - alone).abs().max() < 1e-5 * max(1.0, inherited.abs().max().item())


def test_a_reduction_without_weights_is_its_residual() -> None:
    reduction = Reduction(ReductionShape(in_width=4, out_width=6, grid=2))
    for module in (reduction.patches, reduction.class_token):
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
    x = torch.randn(2, 17, 4)
    y = reduction(x)
    assert torch.equal(y[:, 0], F.pad(x[:, 0], (0, 2)))
    pooled = (
        F.avg_pool2d(x[:, 1:].transpose(1, 2).reshape(2, 4, 4, 4), 2).flatten(2).transpose(1, 2)
    )
    torch.testing.assert_close(
        y[:, 1:], F.pad(pooled, (0, 2))
    )  # a mean of four, added in any order


@pytest.mark.parametrize("kept", [5, 12])
def test_the_masked_norm_is_the_norm_of_what_is_kept_forward_and_backward(kept: int) -> None:
    mask = (torch.arange(12) < kept).float().expand(3, 1, 12)
    weight, bias = torch.randn(12), torch.randn(12)
    x, upstream = torch.randn(3, 7, 12), torch.randn(3, 7, 12)
    found = [t.clone().requires_grad_() for t in (x, weight, bias)]
    y = masked_layer_norm(found[0] * mask, mask, found[1], found[2], 1e-6)
    y.backward(upstream)
    wanted = [t.clone().requires_grad_() for t in (x[..., :kept], weight[:kept], bias[:kept])]
    z = F.layer_norm(wanted[0], (kept,), wanted[1], wanted[2], 1e-6)
    z.backward(upstream[..., :kept])
    assert (y[..., :kept] - z).abs().max() < 1e-5
    assert not y[..., kept:].any()
    for whole, part in zip(found, wanted, strict=True):
        assert whole.grad is not None
        assert (whole.grad[..., :kept] - part.grad).abs().max() < 1e-5
        assert not whole.grad[..., kept:].any()


def loss_and_gradients(
    supernet: ViTResNASSupernet, x: Tensor, chosen: list[Architecture], masked: bool
) -> tuple[Tensor, list[Tensor]]:
    supernet.zero_grad(set_to_none=True)
    logits, patches = supernet.forward_together(x, chosen, masked=masked)
    labels = torch.arange(len(x)) % 10
    loss = F.cross_entropy(logits, labels) + F.cross_entropy(
        patches.flatten(0, 1), labels.repeat_interleave(patches.shape[1])
    )
    loss.backward()
    gradients = [
        torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in supernet.parameters()
    ]
    return torch.cat([logits.detach()[:, None], patches.detach()], dim=1), gradients


@pytest.mark.parametrize("seed", range(3))
def test_masked_and_grouped_batches_are_equal_in_outputs_and_gradients(seed: int) -> None:
    space = build("digits")
    supernet, x = supernet_of(space).double(), torch.randn(7, 1, 32, 32, dtype=torch.double)
    chosen = [smallest(space), *architectures(space, sampled(space, 2, seed))]
    outputs, gradients = loss_and_gradients(supernet, x, chosen, masked=True)
    others, other_gradients = loss_and_gradients(supernet, x, chosen, masked=False)
    assert (outputs - others).abs().max() < 1e-5
    for (name, _), a, b in zip(
        supernet.named_parameters(), gradients, other_gradients, strict=True
    ):
        assert (a - b).abs().max() < 1e-5 * max(1.0, a.abs().max().item()), name


@pytest.mark.parametrize("masked", [False, True])
def test_one_network_together_is_that_network(masked: bool) -> None:
    space = build("digits")
    supernet, x = supernet_of(space), torch.randn(4, 1, 32, 32)
    architecture = architectures(space, sampled(space, 1, seed=5))[0]
    with torch.no_grad():
        alone = supernet.forward_with_patches(x, architecture)
        together = supernet.forward_together(x, [architecture], masked=masked)
        torch.testing.assert_close(alone[0], supernet(x, architecture), rtol=1e-5, atol=1e-5)
    assert all(
        (a - b).abs().max() < 1e-4 * a.abs().max() for a, b in zip(alone, together, strict=True)
    )


@pytest.mark.parametrize("masked", [False, True])
def test_images_of_one_network_do_not_reach_another(masked: bool) -> None:
    space = build("digits")
    supernet = supernet_of(space)
    supernet.stem.forward = lambda x_bchw, width: (
        x_bchw.flatten(1)[:, None, :width] + supernet.stem.positions
    )  # no batch statistics
    chosen = architectures(space, sampled(space, 2, seed=1))
    x, changed = torch.randn(6, 1, 32, 32), torch.randn(6, 1, 32, 32)
    changed[1::2] = x[1::2]
    with torch.no_grad():
        before, after = (
            supernet.forward_together(images, chosen, masked=masked)[0] for images in (x, changed)
        )
    assert torch.equal(before[1::2], after[1::2])
    assert not torch.allclose(before[::2], after[::2])


def test_patches_are_classified_only_by_networks_in_training() -> None:
    plan = build("digits").plan(smallest(build("digits")))
    network = ViTResNASSubnet(plan)
    network.add_patch_head()
    logits, patches = network.forward_with_patches(torch.randn(2, 1, 32, 32))
    assert (logits.shape, patches.shape) == ((2, 10), (2, 4, 10))
    with pytest.raises(RuntimeError, match="add_patch_head"):
        ViTResNASSubnet(plan).forward_with_patches(torch.randn(2, 1, 32, 32))


def test_token_counts_at_224_pixels() -> None:
    assert [grid**2 + 1 for grid in published_plan("tiny", "ViT-ResNAS-Tiny").grids] == [
        257,
        65,
        17,
    ]


def test_drop_connect_counts_missing_blocks() -> None:
    plan = published_plan("small", "ViT-ResNAS-Small")
    assert plan.drop_rate(0, 0, 0.3) == 0
    assert plan.drop_rate(2, 6, 0.3) == pytest.approx(0.3)
    assert plan.drop_rate(1, 0, 0.3) == pytest.approx(0.3 * 7 / 20)


def test_tables_that_cannot_be_are_refused() -> None:
    space = build("digits")
    with pytest.raises(ValueError, match="multiple of the total stride 16, got 40"):
        dataclasses.replace(space, image_size=40)
    with pytest.raises(ValueError, match="smallest width must be at least the largest"):
        dataclasses.replace(space, stages=(space.stages[1], space.stages[0]))
    with pytest.raises(ValueError, match="not optional"):
        dataclasses.replace(space.stages[0], optional=(True,))
    with pytest.raises(ValueError, match="2 images for 3 networks"):
        supernet_of(space).forward_together(torch.randn(2, 1, 32, 32), [smallest(space)] * 3)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_rewiring_sorts_units_and_changes_neither_what_is_computed_nor_what_is_learnt(
    decay: float,
) -> None:
    torch.manual_seed(0)
    space = build("digits")
    supernets = [space.build_supernet() for _ in range(2)]
    supernets[1].load_state_dict(supernets[0].state_dict())
    x, y = torch.randn(16, 1, 32, 32), torch.arange(16) % 10
    config = TrainConfig(optimizer="adamw", learning_rate=1e-3, clip_norm=0.0)
    steppers = [Stepper(s, config, SingleProcess(), torch.device("cpu")) for s in supernets]
    averages = [moving_average(s, decay) for s in supernets]
    task = tasks.of(Digits(image_size=32), config)
    moment = Moment(seed=0, step=0, steps=2, steps_per_epoch=2, batch_size=16)

    def step() -> None:
        for supernet, stepper, average in zip(supernets, steppers, averages, strict=True):
            one = ForwardPass("largest", partial(supernet, architecture=largest(space)))
            stepper.gradients([one], task, ImageBatch(x, y), moment)
            stepper.step(1e-3)
            average.update_parameters(supernet)

    def outputs(networks: Sequence[nn.Module]) -> list[torch.Tensor]:
        with torch.no_grad():
            return [network(x, largest(space)) for network in networks]

    step()
    sort_channels(supernets[1], steppers[1].optimizer, averages[1].module)
    step()
    # The order of the units is the order of sums: where a gradient is rounding alone, AdamW's step
    # has its sign, so that two equal
    # weights may part by two steps of 1e-3; a unit that moved differs by its weights, which are
    # spread by 0.02 and more.
    others = dict(supernets[1].named_parameters())
    moved = [
        name
        for name, p in supernets[0].named_parameters()
        if (p - others[name]).abs().max() > 2.5e-3
    ]
    assert moved
    assert all(".blocks." in name for name in moved)
    for plain, rewired in (outputs(supernets), outputs([a.module for a in averages])):
        assert (plain - rewired).abs().max() < 1e-4
    sort_channels(supernets[1], steppers[1].optimizer)
    for order, _ in supernets[1].unit_orders():
        assert torch.equal(order, torch.arange(len(order))), "sorted twice is sorted once"


def test_a_training_that_rewires_resumes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    space, source = build("digits"), Digits(image_size=32, limit=48)
    config = TrainConfig(
        epochs=3.0,
        batch_size=16,
        sampler="multi_architecture",
        num_random=4,
        optimizer="adamw",
        learning_rate=1e-3,
        channel_sorting_epochs=2.0,
        average_decay=0.9,
        checkpoint_every_seconds=0.0,
        keep_checkpoints=99,
    )
    expected = train_supernet(
        space, tasks.of(source, config), config, seed=0, folder=tmp_path
    ).state_dict()
    for later in sorted(tmp_path.glob("step-*"))[3:]:
        shutil.rmtree(later)
    found = train_supernet(
        space, tasks.of(source, config), config, seed=0, folder=tmp_path
    ).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
