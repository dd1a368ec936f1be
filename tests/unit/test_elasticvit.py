"""ElasticViT: sizes and costs against the released code's numbers and a counter; networks on
slices.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from searchspaces.base import (
    Architecture,
    Choices,
    architecture_of,
    architectures,
    largest,
    options_of,
    smallest,
    space_size,
)
from searchspaces.elastic.mbconv import ElasticMBConv
from searchspaces.elastic.norm import ElasticTokenNorm, JointTokenNorm
from searchspaces.elastic.shapes import TransformerShape
from searchspaces.elastic.transformer import ElasticTransformerLayer, TransformerLayer, offset_index
from searchspaces.elasticvit import PRESETS, ElasticViT, build
from searchspaces.elasticvit.costs import released_storage
from searchspaces.elasticvit.subnet import ElasticViTSubnet

RELEASED = {  # millions of multiply-accumulates, as the authors' code counts them
    "ElasticViT-T1": 62.9,
    "ElasticViT-T2": 120.0,
    "ElasticViT-S1": 217.6,
    "ElasticViT-S2": 318.5,
    "ElasticViT-M": 415.6,
    "ElasticViT-L1": 517.1,
    "ElasticViT-L1.5": 618.8,
    "ElasticViT-L2": 704.1,
    "ElasticViT-L3": 815.4,
    "smallest subnet 2": 159.924,
    "smallest subnet 3": 288.809,
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def sampled(space: ElasticViT, count: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return space.repair(
        np.stack(
            [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
        ).astype(np.int16)
    )


def costs_of(space: ElasticViT, architecture: Architecture) -> dict[str, float]:
    return {
        name: values[0]
        for name, values in space.costs(np.array([architecture.choices], dtype=np.int16)).items()
    }


def with_scales(network: nn.Module) -> nn.Module:
    """Random scales, shifts and position tables: with scales of zero, or flat tables, whole parts
    would be hidden.
    """
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0, 0.3)
        elif name.endswith("position_bias"):
            nn.init.normal_(parameter)
    return network


@pytest.mark.parametrize("name", RELEASED)
def test_released_models_have_their_multiply_accumulates(name: str) -> None:
    space = build("final")
    digits = 3 if name.startswith("smallest") else 1
    assert (
        round(costs_of(space, space.published[name])["released_macs"] / 1e6, digits)
        == RELEASED[name]
    )


def test_the_ends_of_the_space_have_theirs() -> None:
    space = build("final")
    assert [
        round(costs_of(space, a)["released_macs"] / 1e6, 3)
        for a in (smallest(space), largest(space))
    ] == [37.365, 3191.459]
    assert space.published["smallest subnet 1"] == smallest(space)


def test_the_space_holds_the_known_numbers_of_networks() -> None:
    space = build("final")
    assert space_size(space) == 54_487_280_517_120_000  # 5.45e16
    widths = [
        next(gene.options for gene in space.genes if gene.name == name)
        for name in map(space._width_name, range(7))
    ]
    paths = dict.fromkeys(widths[0], 1)
    for options in widths[1:]:
        paths = {
            wide: sum(count for before, count in paths.items() if before <= wide)
            for wide in options
        }
    ordered = (
        space_size(space)
        // int(np.prod([len(options) for options in widths]))
        * sum(paths.values())
    )
    assert f"{ordered:.2e}" == "2.17e+16"


def test_the_released_supernet_stores_40_million_parameters_and_ours_what_some_subnet_uses() -> (
    None
):
    space = build("final")
    assert round(released_storage(space.largest) / 1e6, 2) == 40.49
    with torch.device("meta"):
        supernet = space.build_supernet()
    stored = sum(p.numel() for p in supernet.parameters())
    assert stored == costs_of(space, largest(space))["params"] < released_storage(space.largest)


def test_uniform_samples_are_spread_as_known() -> None:
    """Widths drawn again while they fall below the stage before, as the authors do; 20,000 draws
    are known.
    """
    space, rng = build("final"), np.random.default_rng(0)
    rows = np.stack(
        [rng.integers(0, len(gene.options), 60_000) for gene in space.genes], axis=1
    ).astype(np.int16)
    for _ in range(200):
        wrong = space.repair(rows) != rows
        if not wrong.any():
            break
        rows[wrong] = rng.integers(
            0, np.array([len(g.options) for g in space.genes]), size=rows.shape
        )[wrong]
    macs = space.costs(rows)["released_macs"] / 1e6
    known = {0.01: 137, 0.05: 185, 0.25: 328, 0.5: 491, 0.75: 733, 0.95: 1187, 0.99: 1535}
    for quantile, value in known.items():
        error = np.sqrt(quantile * (1 - quantile) / 20_000)
        assert abs((macs < value).mean() - quantile) < 3.5 * error + 0.001, f"{value} M"
    assert abs(macs.mean() - 565) < 3 * macs.std() / np.sqrt(20_000)


@pytest.mark.parametrize("preset", PRESETS)
def test_costs_equal_what_the_extracted_network_counts(preset: str) -> None:
    space = build(preset)
    chosen = [smallest(space), largest(space), *architectures(space, sampled(space, 4, seed=3))]
    costs = space.costs(np.array([a.choices for a in chosen], dtype=np.int16))
    for row, architecture in enumerate(chosen):
        with torch.device("meta"):
            subnet = ElasticViTSubnet(space.plan(architecture), joint_norm=True).eval()
            with FlopCounterMode(display=False) as counter:
                subnet(torch.empty(1, space.in_channels, 32, 32))
        assert costs["macs"][row] * 2 == counter.get_total_flops()
        assert costs["params"][row] == sum(p.numel() for p in subnet.parameters())


def test_the_levels_are_those_of_the_authors_and_no_floor_is_above_its_level() -> None:
    space = build("final")
    levels = space.levels
    assert levels is not None
    assert levels.starts == (100e6, 200e6, 300e6, 400e6, 500e6, 700e6, 900e6, 1200e6)
    floors = [costs_of(space, floor)["released_macs"] for floor in levels.floors]
    assert all(floor <= start for floor, start in zip(floors, levels.starts, strict=True))
    assert len(set(floors)) == 3
    assert build("digits").levels is None


def test_repair_raises_widths_and_nothing_else() -> None:
    space = build("final")
    rng = np.random.default_rng(1)
    rows = np.stack(
        [rng.integers(0, len(gene.options), 3000) for gene in space.genes], axis=1
    ).astype(np.int16)
    repaired = space.repair(rows)
    columns = [space._columns[space._width_name(stage)] for stage in range(7)]
    others = [column for column in range(rows.shape[1]) if column not in columns]
    assert np.array_equal(rows[:, others], repaired[:, others])
    assert (repaired >= rows).all()
    options = [np.array(space.genes[column].options)[repaired[:, column]] for column in columns]
    assert all((before <= after).all() for before, after in itertools.pairwise(options))
    legal = [np.array(space.genes[column].options)[rows[:, column]] for column in columns]
    kept = np.all([before <= after for before, after in itertools.pairwise(legal)], axis=0)
    assert 0 < kept.sum() < 3000
    assert np.array_equal(rows[kept], repaired[kept])


def furthest(space: ElasticViT, chosen: list[Architecture], x: Tensor) -> float:
    supernet = with_scales(
        space.build_supernet()
    ).double()  # so that no processor's order of sums shows through deep networks
    x = x.double()
    found = []
    with torch.no_grad():
        for architecture in chosen:
            inherited, alone = (
                supernet(x, architecture),
                space.build_subnet(supernet, architecture).double().train()(x),
            )
            assert inherited.std() > 1e-3
            found.append(
                (inherited - alone).abs().max().item() / max(1.0, inherited.abs().max().item())
            )
    return max(found)


@pytest.mark.parametrize("joint_norm", [True, False])
def test_twenty_extracted_networks_compute_what_the_supernet_computes(joint_norm: bool) -> None:
    space = dataclasses.replace(build("digits"), joint_norm=joint_norm)
    chosen = [smallest(space), largest(space), *architectures(space, sampled(space, 20))]
    assert furthest(space, chosen, torch.randn(4, 1, 32, 32)) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["cifar", "imagenet64", "final"])
def test_extracted_networks_of_bigger_presets_compute_what_the_supernet_computes(
    preset: str,
) -> None:
    space = build(preset)
    if (
        preset == "final"
    ):  # sides that stay odd on the way down; the weights are those of the whole table
        space = dataclasses.replace(space, resolutions=(64, 72, 88, 90))
    assert (
        furthest(space, architectures(space, sampled(space, 10)), torch.randn(3, 3, 40, 40)) < 1e-9
    )


def test_another_architecture_in_between_changes_nothing() -> None:
    space = build("digits")
    supernet, x = with_scales(space.build_supernet()), torch.randn(2, 1, 24, 24)
    first, second = architectures(space, sampled(space, 2))
    with torch.no_grad():
        before = supernet(x, first)
        assert not torch.equal(supernet(x, second), before)
        assert torch.equal(supernet(x, first), before)


def test_a_subnet_s_gradient_reaches_its_own_slice_only() -> None:
    space = build("digits")
    supernet = with_scales(space.build_supernet())
    architecture = architecture_of(
        space, {"resolution": 24, "stage2.width": 48, "stage3.width": 64, "stage2.value": 2}
    )
    subnet = space.build_subnet(supernet, architecture)
    supernet(torch.randn(3, 1, 32, 32), architecture).square().sum().backward()
    shapes = {name: parameter.shape for name, parameter in subnet.named_parameters()}
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


def test_attention_is_the_textbook_s_with_offsets_that_do_not_depend_on_the_side() -> None:
    shape = TransformerShape(width=8, head_width=4, value_width=8, hidden=16, side=3)
    elastic = ElasticTransformerLayer(
        dataclasses.replace(shape, width=12, hidden=30, side=5), joint_norm=False
    ).attention
    with_scales(elastic)
    x = torch.randn(2, 9, 8)
    query, key = x @ elastic.query.weight[:8, :8].T, x @ elastic.key.weight[:8, :8].T
    value = (x @ elastic.value.weight[:16, :8].T).transpose(1, 2).reshape(2, 16, 3, 3)
    value = (
        torch.nn.functional.conv2d(value, elastic.local.weight[:16], padding=1, groups=16)
        .flatten(2)
        .transpose(1, 2)
    )
    out = torch.zeros(2, 9, 16)
    for head, i in itertools.product(range(2), range(9)):
        scores = torch.zeros(2, 9)
        for j in range(9):
            down, right = i // 3 - j // 3, i % 3 - j % 3
            scores[:, j] = (
                query[:, i, 4 * head : 4 * head + 4] * key[:, j, 4 * head : 4 * head + 4]
            ).sum(1) / 2
            scores[:, j] += elastic.position_bias[
                head, 0, down + 4, right + 4
            ]  # the table's centre is the offset 0 for every side
        out[:, i, 8 * head : 8 * head + 8] = (
            scores.softmax(1)[:, :, None] * value[:, :, 8 * head : 8 * head + 8]
        ).sum(1)
    expected = (
        torch.nn.functional.hardswish(out) @ elastic.project.weight[:8, :16].T
        + elastic.project.bias[:8]
    )
    assert (elastic(x, shape) - expected).abs().max() < 1e-5


def test_the_joint_norm_is_over_all_tokens_of_a_sample() -> None:
    x = torch.randn(3, 5, 8) + torch.arange(5.0)[None, :, None]
    elastic = with_scales(ElasticTokenNorm(12, joint=True))
    mean, variance = x.mean((1, 2), keepdim=True), x.var((1, 2), keepdim=True, unbiased=False)
    expected = (x - mean) / (variance + 1e-5).sqrt() * elastic.weight[:8] + elastic.bias[:8]
    assert (elastic(x) - expected).abs().max() < 1e-5
    alone = JointTokenNorm(8)
    alone.load_state_dict({"weight": elastic.weight[:8], "bias": elastic.bias[:8]})
    torch.testing.assert_close(alone(x), elastic(x), rtol=1e-5, atol=1e-6)


def test_the_index_of_offsets_serves_training_after_inference() -> None:
    offset_index.cache_clear()
    layer = TransformerLayer(
        TransformerShape(width=8, head_width=4, value_width=4, hidden=8, side=2), joint_norm=True
    )
    x = torch.randn(1, 4, 8)
    with torch.inference_mode():
        layer(x)
    layer(x).sum().backward()
    assert layer.attention.position_bias.grad is not None


def test_blocks_that_keep_their_side_start_as_their_shortcut() -> None:
    space = build("final")
    supernet = dataclasses.replace(space, resolutions=(64,)).build_supernet()
    blocks = [module for module in supernet.modules() if isinstance(module, ElasticMBConv)]
    assert [bool((b.project_norm.weight == 0).all()) for b in blocks] == [
        b.stride == 1 for b in blocks
    ]
    assert (
        sum(b.stride == 1 for b in blocks) == 2 + 4 + 5 + 1
    )  # stem, the rest of two stages, the lead-in without stride


@pytest.mark.parametrize("standalone", [False, True])
@pytest.mark.parametrize("rates", [{"dropout": 0.3}, {"drop_connect": 0.6}])
def test_regularisers_act_only_in_the_forward_that_asks_for_them(
    standalone: bool, rates: dict[str, float]
) -> None:
    space = build("digits")
    supernet, architecture, x = (
        with_scales(space.build_supernet()),
        largest(space),
        torch.randn(4, 1, 32, 32),
    )
    subnet = space.build_subnet(supernet, architecture)

    def forward(**asked: float) -> Tensor:
        return subnet(x, **asked) if standalone else supernet(x, architecture, **asked)

    assert not torch.equal(forward(**rates), forward(**rates))
    assert torch.equal(forward(), forward())


def test_drop_connect_grows_to_its_rate_over_all_blocks_and_layers() -> None:
    space = build("digits")
    conv, layers = space.plan(
        architecture_of(space, {"stage1.depth": 2, "stage3.depth": 2})
    ).drop_rates(0.6)
    assert np.allclose(
        [rate for stage in (*conv, *layers) for rate in stage], 0.6 * np.arange(1, 7) / 6
    )


def test_tables_that_cannot_be_are_refused() -> None:
    space = build("digits")
    with pytest.raises(ValueError, match="multiples of the head width 16"):
        dataclasses.replace(
            space,
            transformer_stages=(dataclasses.replace(space.transformer_stages[0], widths=(40,)),),
        )
    with pytest.raises(ValueError, match="largest width must be at least"):
        dataclasses.replace(space, stem_widths=(128,))
    with pytest.raises(ValueError, match="no preset 'digit'; did you mean 'digits'"):
        build("digit")


def test_published_models_have_the_widths_of_the_paper_s_table() -> None:
    space = build("final")
    options = options_of(space, space.published["ElasticViT-L2"])
    assert [options[f"stage{stage}.width"] for stage in range(1, 7)] == [24, 40, 80, 128, 256, 304]
    assert [options[f"stage{stage}.value"] for stage in range(3, 7)] == [2, 2, 2, 3]
    assert len(space.published) == 12
