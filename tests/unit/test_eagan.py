"""EAGAN's networks: the paper's sizes, shapes, gradients, and mistakes that are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import searchspaces
from searchspaces.base import Architecture, architectures
from searchspaces.eagan import Discriminator, Generator, PlainDiscriminator, build
from searchspaces.eagan.operations import normal, normal_costs, up, up_costs
from searchspaces.eagan.spectral import SpectralConv2d


def space(preset: str) -> Any:
    return searchspaces.load(f"eagan:{preset}")


def params(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("preset", "published", "expected", "giga_macs"),
    [
        ("generator", "EAGAN G", 7_142_403, 1.890),
        ("generator-stl10", "EAGAN G", 11_550_723, 4.252),
        ("discriminator", "EAGAN D, CIFAR-10", 906_240, 0.263),
        ("discriminator-stl10", "EAGAN D, STL-10", 1_578_112, 0.688),
        ("discriminator", "AutoGAN D", 1_053_824, 0.272),
    ],
)
def test_published_networks_have_the_papers_sizes(
    preset: str, published: str, expected: int, giga_macs: float
) -> None:
    architecture = space(preset).published[published]
    costs = space(preset).costs(np.array([architecture.choices], dtype=np.int16))
    assert costs["params"].tolist() == [expected]
    assert round(costs["macs"][0] / 1e9, 3) == giga_macs
    with torch.device("meta"):
        assert params(space(preset).build_subnet(None, architecture)) == expected


def test_parts_of_the_found_generator_have_the_papers_sizes() -> None:
    g = space("generator").build_subnet(None, space("generator").published["EAGAN G"])
    assert [
        params(g.stems),
        *(params(cell) for cell in g.cells),
        params(g.norm) + params(g.head),
    ] == [
        3_526_656,
        787_456,
        1_377_536,
        1_443_328,
        7_427,
    ]


@pytest.mark.parametrize(
    ("preset", "expected"), [("generator", 72_776_963), ("discriminator", 23_806_592)]
)
def test_supernets_have_the_derived_sizes(preset: str, expected: int) -> None:
    s = space(preset)
    with torch.device("meta"):
        assert params(s._network([s.edges] * 3, None)) == expected


def test_the_plain_discriminator_has_the_derived_size_and_scores_one_value() -> None:
    plain = PlainDiscriminator()
    assert params(plain) == 921_920
    assert plain(torch.randn(2, 3, 32, 32)).shape == (2, 1)
    with pytest.raises(ValueError, match="at least 32 pixels"):
        plain(torch.randn(2, 3, 16, 16))


@pytest.mark.parametrize(
    "option", ["skip_connect", "conv_1x1", "conv_3x3", "conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
)
def test_normal_operations_keep_the_shape_and_count_as_tabulated(option: str) -> None:
    sizes = {
        "conv_1x1": 65_792,
        "conv_3x3": 590_080,
        "conv_5x5": 1_638_656,
        "dil_conv_3x3": 590_080,
        "dil_conv_5x5": 1_638_656,
    }
    assert normal_costs(option, 256)[1] == sizes.get(option, 0)
    operation = normal(option, 4, nn.Conv2d)
    assert params(operation) == normal_costs(option, 4)[1]
    assert operation(torch.randn(2, 4, 6, 6)).shape == (2, 4, 6, 6)


@pytest.mark.parametrize(
    ("option", "expected"), [("nearest", 65_792), ("bilinear", 65_792), ("conv_transpose", 67_840)]
)
def test_up_operations_double_the_side_and_count_as_tabulated(option: str, expected: int) -> None:
    assert up_costs(option, 256)[1] == params(up(option, 256)) == expected
    assert up(option, 4)(torch.randn(2, 4, 3, 3)).shape == (2, 4, 6, 6)


def test_the_bare_edge_has_no_activation_and_the_others_do() -> None:
    torch.manual_seed(0)
    network = space("discriminator-digits").build_supernet()
    edges = network.cells[0].edges
    assert isinstance(edges["in_n3"]["conv_3x3"], SpectralConv2d)
    assert isinstance(edges["in_n2"]["conv_3x3"][0], nn.ReLU)


@pytest.mark.parametrize("image_size", [32, 48])
def test_images_have_the_size_of_the_space_and_lie_between_minus_one_and_one(
    image_size: int,
) -> None:
    g, d = (
        Generator(name="g", image_size=image_size, channels=8),
        Discriminator(name="d", image_size=image_size, channels=8),
    )
    with torch.no_grad():
        images = g.build_subnet(None, architectures(g, g.sample(1, np.random.default_rng(0)))[0])(
            torch.randn(2, 120)
        )
        scores = d.build_subnet(None, architectures(d, d.sample(1, np.random.default_rng(0)))[0])(
            images
        )
    assert images.shape == (2, 3, image_size, image_size)
    assert images.abs().max() <= 1
    assert scores.shape == (2, 1)


@pytest.mark.parametrize("preset", ["generator-digits", "discriminator-digits"])
def test_only_the_selected_operations_get_gradients(preset: str) -> None:
    torch.manual_seed(0)
    s = space(preset)
    supernet = s.build_supernet()
    architecture = architectures(s, s.sample(1, np.random.default_rng(4)))[0]
    supernet(torch.randn(4, *s.input_shape), architecture).square().sum().backward()
    selected = {name for name, _ in s.build_subnet(None, architecture).named_parameters()}
    assert {name for name, p in supernet.named_parameters() if p.grad is not None} <= selected
    assert all(
        p.grad is not None
        for n, p in supernet.named_parameters()
        if n in selected and "edges" in n and not _unread(s, n, architecture)
    )


def _unread(s: Any, name: str, architecture: Architecture) -> bool:
    """Returns True for the weight of an up-sampled copy or a middle node that nothing reads."""
    cell = s.chosen(architecture)[int(name.split(".")[1])]
    copy = {"in_a": ("a_mid", "a_out"), "in_b": ("b_mid", "b_out")}.get(name.split(".")[3])
    return copy is not None and all(cell[edge] == "none" for edge in copy)


def test_measuring_moves_no_power_iteration_and_training_moves_only_what_runs() -> None:
    torch.manual_seed(0)
    s = space("discriminator-digits")
    supernet = s.build_supernet()
    architecture = architectures(s, s.sample(1, np.random.default_rng(0)))[0]
    x = torch.randn(2, *s.input_shape)
    before = {n: b.clone() for n, b in supernet.named_buffers()}
    with torch.no_grad():
        supernet(x, architecture)
    assert all(torch.equal(b, before[n]) for n, b in supernet.named_buffers())
    supernet(x, architecture)
    moved = {n for n, b in supernet.named_buffers() if not torch.equal(b, before[n])}
    assert moved
    assert moved <= {n for n, _ in s.build_subnet(None, architecture).named_buffers()}


def test_a_normalised_weight_has_a_largest_singular_value_near_one() -> None:
    torch.manual_seed(0)
    from searchspaces.eagan.spectral import initialise

    layer = SpectralConv2d(8, 16, 3)
    initialise(layer)
    for _ in range(400):
        layer(torch.randn(1, 8, 5, 5))
    assert torch.linalg.matrix_norm(layer.normalised().flatten(1), 2).item() == pytest.approx(
        1.0, abs=1e-3
    )


def test_a_genotype_is_printed_as_it_was_read() -> None:
    s = space("discriminator")
    codes = [[3, 0, 3, 0, 2, 0, 0], [1, 0, 3, 0, 1, -1, -1], [3, 0, 3, 0, 1, 5, 4]]
    assert s.codes(s.architecture(codes)) == codes


@pytest.mark.parametrize(
    ("preset", "codes", "message"),
    [
        ("generator", [[0] * 7] * 3, "no valid genotype"),
        ("discriminator", [[0, 1, 0, 1, 0, 0, 0]] * 3, "no valid genotype"),
        ("generator", [[1] * 7] * 2, "3 rows of 7"),
    ],
)
def test_invalid_genotypes_are_refused(preset: str, codes: list[list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        space(preset).architecture(codes)


def test_wrong_sizes_are_refused_with_what_was_expected() -> None:
    with pytest.raises(ValueError, match="multiple of 16 pixels, got 20"):
        dataclasses.replace(build("generator"), image_size=20)
    with pytest.raises(ValueError, match="multiple of 3, got 100"):
        Generator(name="g", latent=100)
    d = space("discriminator-digits")
    with pytest.raises(ValueError, match=r"images of shape \(1, 16, 16\), got \(1, 32, 32\)"):
        d.build_supernet()(
            torch.randn(1, 1, 32, 32), architectures(d, d.sample(1, np.random.default_rng(0)))[0]
        )
    g = space("generator-digits")
    first = architectures(g, g.sample(1, np.random.default_rng(0)))[0]
    with pytest.raises(ValueError, match="60"):
        g.build_subnet(None, first)(torch.randn(1, 7))
    with pytest.raises(ValueError, match="no dropout"):
        g.build_supernet()(torch.randn(2, 60), first, dropout=0.5)
    with pytest.raises(ValueError, match="without a wrapper"):
        g.build_subnet(nn.Linear(1, 1), first)
