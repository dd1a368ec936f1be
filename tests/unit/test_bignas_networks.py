"""BigNAS networks: the supernet on views, the network extracted from it, and the one that is
trained alone.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from searchspaces.base import Architecture, architecture_of, architectures, largest, smallest
from searchspaces.bignas import PRESETS, BigNAS, Stage, build
from searchspaces.bignas.plan import Plan, rounded_width
from searchspaces.elastic.mbconv import MBConv
from searchspaces.elastic.shapes import MBConvShape

BOTH_ENDS = (smallest, largest)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def digits() -> BigNAS:
    return build("digits")


def with_scales(network: nn.Module) -> nn.Module:
    """Random scales, shifts and biases: with scales of zero every block would be its shortcut."""
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0, 0.3)
    return network


def images(space: BigNAS, count: int = 4, side: int = 32) -> Tensor:
    return torch.randn(count, space.in_channels, side, side)


def sampled(space: BigNAS, count: int) -> list[Architecture]:
    rng = np.random.default_rng(7)
    return architectures(
        space, np.stack([rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1)
    )


def furthest(space: BigNAS, chosen: list[Architecture], x: Tensor) -> float:
    supernet = with_scales(space.build_supernet())
    with torch.no_grad():
        found = [
            (supernet(x, a) - space.build_subnet(supernet, a).train()(x)).abs().max().item()
            for a in chosen
        ]
    return max(found)


@pytest.mark.parametrize(
    "changes",
    [{}, {"shortcut_convs": False}, {"squeeze_base": "expanded"}],
    ids=["default", "no convs", "squeeze"],
)
def test_twenty_extracted_networks_compute_what_the_supernet_computes(
    digits: BigNAS, changes: dict[str, object]
) -> None:
    space = dataclasses.replace(digits, **changes)
    assert (
        furthest(space, [smallest(space), largest(space), *sampled(space, 20)], images(space))
        < 1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "count", "side"), [("cifar", 20, 32), ("imagenet96", 20, 90), ("paper", 20, 64)]
)
def test_extracted_networks_of_bigger_presets_compute_what_the_supernet_computes(
    preset: str, count: int, side: int
) -> None:
    space = build(preset)
    if (
        preset == "paper"
    ):  # sides that stay odd on the way down; the weights are those of the whole table
        space = dataclasses.replace(space, resolutions=(50, 64, 70, 96))
    assert furthest(space, sampled(space, count), images(space, 3, side)) < 1e-5


@pytest.mark.parametrize("preset", PRESETS)
def test_every_parameter_of_the_biggest_network_is_the_whole_of_the_supernet(preset: str) -> None:
    """Weight decay in the largest network's loss therefore reaches every weight."""
    space = build(preset)
    supernet = space.build_supernet()
    subnet = space.build_subnet(supernet, largest(space))
    whole = dict(supernet.named_parameters())
    assert {n: p.shape for n, p in subnet.named_parameters()} == {
        n: p.shape for n, p in whole.items()
    }
    assert all(torch.equal(p, whole[n]) for n, p in subnet.named_parameters())


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "paper"])
def test_neighbouring_stages_of_small_presets_share_no_width(preset: str) -> None:
    space = build(preset)
    widths = [space.stem_widths, *(stage.widths for stage in space.stages)]
    assert all(not set(before) & set(after) for before, after in itertools.pairwise(widths))


def test_a_fresh_supernet_differs_by_resolution_and_width_only(digits: BigNAS) -> None:
    """Each residual block starts as its shortcut, so depth and kernels beyond a stage's first block
    change nothing.
    """
    supernet = digits.build_supernet().eval()
    x = images(digits)
    start = {"resolution": 24, "stem.width": 16, "stage2.width": 24}
    logits = supernet(x, architecture_of(digits, start))
    assert logits.std() > 0.01
    for same in (
        {"stage1.depth": 3},
        {"stage2.kernel": 5},
        {"stage3.depth": 2, "stage4.kernel": 5},
    ):
        assert torch.equal(supernet(x, architecture_of(digits, {**start, **same})), logits)
    for other in ({"resolution": 16}, {"stage3.width": 40}, {"stem.width": 8}):
        assert not torch.allclose(
            supernet(x, architecture_of(digits, {**start, **other})), logits, atol=1e-3
        )


def test_every_block_of_a_fresh_network_is_its_shortcut(digits: BigNAS) -> None:
    subnet = digits.build_subnet(None, largest(digits))
    x = images(digits)
    blocks = [m for m in subnet.modules() if isinstance(m, MBConv)]
    assert len(blocks) == 12
    seen: list[tuple[Tensor, Tensor, MBConv]] = []
    for block in blocks:
        block.register_forward_hook(
            lambda module, inputs, output: seen.append((inputs[0], output, module))
        )
    subnet(x)
    for before, after, block in seen:
        if block.shape.identity:
            assert torch.equal(before, after)
        assert block.project_norm.weight.abs().max() == 0


@pytest.mark.parametrize("standalone", [False, True])
def test_scales_start_at_zero_only_where_a_shortcut_remains(
    digits: BigNAS, standalone: bool
) -> None:
    def scales(**changes: object) -> list[bool]:
        space = dataclasses.replace(digits, **changes)
        network = space.build_subnet(None, largest(space)) if standalone else space.build_supernet()
        found = [
            p for name, p in network.named_parameters() if name.endswith("project_norm.weight")
        ]
        return [bool((p == 0).all()) for p in found]

    assert scales() == [True] * 12
    assert scales(zero_gamma=False) == [False] * 12
    first = [False, True, True]
    assert scales(shortcut_convs=False) == first * 4
    keeps = (dataclasses.replace(digits.stages[0], widths=(8, 16)), *digits.stages[1:])
    in_all_subnets = [
        standalone,
        True,
        True,
    ]  # the largest network's first stage then keeps the stem's width, other subnets' do not
    assert scales(shortcut_convs=False, stages=keeps) == [*in_all_subnets, *first * 3]


@pytest.mark.parametrize("end", BOTH_ENDS)
def test_a_subnet_s_gradient_reaches_its_own_slice_only(digits: BigNAS, end: object) -> None:
    supernet = with_scales(digits.build_supernet())
    architecture = (
        architecture_of(digits, {"stage2.depth": 2, "stage3.width": 40})
        if end is smallest
        else largest(digits)
    )
    subnet = digits.build_subnet(supernet, architecture)
    supernet(images(digits), architecture).square().sum().backward()
    shapes = {name: p.shape for name, p in subnet.named_parameters()}
    for name, parameter in supernet.named_parameters():
        if name not in shapes:
            assert parameter.grad is None, f"{name} is no part of the subnet"
            continue
        own = torch.zeros_like(parameter, dtype=torch.bool)
        crop = [
            (w - s) // 2 if i >= 2 else 0
            for i, (s, w) in enumerate(zip(shapes[name], parameter.shape, strict=True))
        ]
        own[tuple(slice(c, c + s) for c, s in zip(crop, shapes[name], strict=True))] = True
        assert not parameter.grad[~own].any(), f"{name} beyond the slice"
        assert parameter.grad[own].any(), f"{name} within the slice"


def test_batch_statistics_are_used_in_evaluation_too_and_nothing_is_random(digits: BigNAS) -> None:
    supernet = with_scales(digits.build_supernet())
    x, architecture = images(digits), sampled(digits, 1)[0]
    assert torch.equal(supernet.train()(x, architecture), supernet.eval()(x, architecture))
    assert not list(supernet.buffers())


@pytest.mark.parametrize("standalone", [False, True])
@pytest.mark.parametrize("rates", [{"dropout": 0.3}, {"drop_connect": 0.6}])
def test_regularisers_act_only_in_the_forward_that_asks_for_them(
    digits: BigNAS, standalone: bool, rates: dict[str, float]
) -> None:
    supernet = with_scales(digits.build_supernet())
    architecture, x = largest(digits), images(digits)
    subnet = digits.build_subnet(supernet, architecture)

    def forward(**asked: float) -> Tensor:
        return subnet(x, **asked) if standalone else supernet(x, architecture, **asked)

    assert not torch.equal(forward(**rates), forward(**rates))
    assert torch.equal(forward(), forward())


def test_drop_connect_grows_with_the_block_over_the_last_two_stages(digits: BigNAS) -> None:
    plan = digits.plan(
        architecture_of(digits, {"stage1.depth": 2, "stage3.depth": 2, "stage4.depth": 3})
    )
    assert plan.drop_rates(0.8) == (
        (0.0, 0.0),
        (0.0,),
        (0.8 * 3 / 8, 0.8 * 4 / 8),
        (0.8 * 5 / 8, 0.8 * 6 / 8, 0.8 * 7 / 8),
    )


def test_drop_connect_leaves_a_network_alone_that_has_no_identity_shortcut_in_its_last_stages(
    digits: BigNAS,
) -> None:
    supernet = with_scales(digits.build_supernet())
    shallow = architecture_of(digits, {"stage1.depth": 3, "stage2.depth": 3, "stage4.width": 48})
    x = images(digits)
    assert torch.equal(supernet(x, shallow, drop_connect=0.9), supernet(x, shallow))


def test_the_network_resizes_its_input_itself(digits: BigNAS) -> None:
    supernet = with_scales(digits.build_supernet())
    architecture = architecture_of(digits, {"resolution": 24})
    x = images(digits)
    resized = nn.functional.interpolate(x, (24, 24), mode="bicubic", align_corners=False)
    assert torch.equal(supernet(x, architecture), supernet(resized, architecture))
    assert not torch.allclose(
        supernet(x, largest(digits)), supernet(x, architecture_of(digits, {"resolution": 32}))
    )


def test_extraction_copies_draws_nothing_and_leaves_statistics_to_recalibration(
    digits: BigNAS,
) -> None:
    supernet = with_scales(digits.build_supernet())
    before, state = copy.deepcopy(supernet.state_dict()), torch.get_rng_state()
    subnet = digits.build_subnet(supernet, largest(digits))
    assert torch.equal(torch.get_rng_state(), state)
    norms = [m for m in subnet.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(
        not m.running_mean.any() and bool((m.running_var == 1).all()) and m.num_batches_tracked == 0
        for m in norms
    )
    with torch.no_grad():
        for parameter in subnet.parameters():
            parameter.fill_(9.0)
    assert all(torch.equal(p, before[n]) for n, p in supernet.state_dict().items())


def test_a_seed_fixes_supernet_and_stand_alone_networks(digits: BigNAS) -> None:
    def weights(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        return [
            *digits.build_supernet().parameters(),
            *digits.build_subnet(None, smallest(digits)).parameters(),
        ]

    assert all(torch.equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))


def test_a_stand_alone_network_starts_he_normal_at_its_own_width() -> None:
    space = build("cifar")
    subnet = space.build_subnet(None, smallest(space))
    last = subnet.last.weight
    assert last.shape[:2] == (192, 64)
    assert last.std().item() == pytest.approx((2 / 192) ** 0.5, rel=0.03)
    assert subnet.classifier.weight.abs().max().item() == pytest.approx(192**-0.5, rel=0.02)


def test_a_stand_alone_network_learns_with_its_regularisers(digits: BigNAS) -> None:
    space = dataclasses.replace(digits, num_classes=3, in_channels=2)
    subnet = space.build_subnet(None, smallest(space))
    labels = torch.arange(24) % 3
    x = torch.randn(24, 2, 32, 32) * 0.2 + torch.eye(3)[labels][:, :2, None, None]
    optimizer = torch.optim.Adam(subnet.parameters(), lr=0.01)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(subnet(x, dropout=0.1, drop_connect=0.1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_an_exported_network_computes_the_same(digits: BigNAS) -> None:
    subnet = digits.build_subnet(with_scales(digits.build_supernet()), smallest(digits)).eval()
    x = images(digits, 2)
    exported = torch.export.export(subnet, (x,)).module()
    torch.testing.assert_close(exported(x), subnet(x))


def test_published_names_say_what_they_are() -> None:
    space = build("paper")
    assert set(space.published) == {
        "smallest of the table",
        "largest of the table",
        "shape of EfficientNet-B0",
    }
    assert space.published["smallest of the table"] == smallest(space)
    assert space.published["largest of the table"] == largest(space)
    plan = space.plan(space.published["shape of EfficientNet-B0"])
    assert [len(stage) for stage in plan.stages] == [1, 2, 2, 3, 3, 4, 1]
    assert [stage[-1].out_width for stage in plan.stages] == [16, 24, 40, 80, 112, 192, 320]
    assert [stage[0].kernel for stage in plan.stages] == [3, 3, 5, 3, 5, 5, 3]
    assert not build("digits").published


def test_a_plan_writes_out_every_block() -> None:
    plan = build("paper").plan(largest(build("paper")))
    assert (plan.resolution, plan.stem_width, plan.last_width) == (320, 40, 1408)
    first = MBConvShape(
        in_width=40, expanded_width=40, squeeze_width=10, out_width=24, kernel=3, expand=False
    )
    assert plan.stages[0] == (
        first,
        dataclasses.replace(first, in_width=24, expanded_width=24, squeeze_width=6),
    )
    assert plan.stages[5][0] == MBConvShape(
        in_width=128, expanded_width=768, squeeze_width=32, out_width=216, kernel=5, stride=2
    )
    assert isinstance(plan, Plan)


@pytest.mark.parametrize(
    ("width", "rounded"), [(1, 8), (11, 8), (12, 16), (36, 40), (35.9, 32), (144, 144)]
)
def test_widths_are_rounded_to_multiples_of_eight(width: float, rounded: int) -> None:
    assert rounded_width(width) == rounded


def test_a_foreign_architecture_or_supernet_is_refused(digits: BigNAS) -> None:
    foreign = smallest(build("cifar"))
    with pytest.raises(ValueError, match=r"space 'bignas:cifar', but this is 'bignas:digits'"):
        digits.build_subnet(None, foreign)
    with pytest.raises(ValueError, match="space 'bignas:cifar'"):
        digits.build_supernet()(images(digits), foreign)
    with pytest.raises(ValueError, match=r"no parameter 'stem\.weight'"):
        digits.build_subnet(nn.Identity(), smallest(digits))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resolutions": ()}, r"bignas:digits: resolutions must be .* got \(\)"),
        ({"stem_widths": (16, 8)}, "stem_widths must be"),
        ({"last_widths": (64, 64)}, "last_widths must be"),
        ({"stages": ()}, "at least one stage"),
        ({"stem_stride": 4}, "stem stride 1 or 2, got 4 stages and 4"),
        ({"num_classes": 0}, "at least 1 class"),
        ({"squeeze_base": "output"}, "must be 'input' or 'expanded', got 'output'"),
    ],
)
def test_an_impossible_space_is_refused(
    digits: BigNAS, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(digits, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kernels": (3, 4)}, "must be odd"),
        ({"depths": (0, 1)}, "depths must be"),
        ({"stride": 3}, "stride 1 or 2"),
        ({"expand": 0}, "and 0"),
    ],
)
def test_an_impossible_stage_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Stage(**{"widths": (8, 16), "depths": (1, 2), "kernels": (3, 5), **wrong})


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no preset 'digit'; did you mean 'digits'"):
        build("digit")
