"""Elastic layers: slices are views, and compute what explicit indexing computes."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from searchspaces.elastic.conv import ElasticConv2d, ElasticDepthwiseConv2d
from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.initialisation import he_normal_, initialise
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.elastic.resolution import resized
from searchspaces.elastic.slicing import copy_sliced, sliced
from searchspaces.elastic.squeeze_excitation import ElasticSqueezeExcitation


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_a_slice_is_the_first_channels_and_the_centre_of_the_kernel_and_shares_memory() -> None:
    weight = torch.arange(3 * 4 * 7 * 7).reshape(3, 4, 7, 7)
    view = sliced(weight, (2, 3, 3, 5))
    for o, i, y, x in [(0, 0, 0, 0), (1, 2, 2, 4), (1, 0, 1, 3)]:
        assert view[o, i, y, x] == weight[o, i, y + 2, x + 1]
    assert view.shape == (2, 3, 3, 5)
    assert view.untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
    assert sliced(weight, weight.shape) is weight


@pytest.mark.parametrize("shape", [(4, 4, 7, 7), (3, 0, 7, 7), (3, 4, 4, 7), (3, 4, 9, 7)])
def test_a_slice_that_does_not_fit_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"does not fit into a weight of shape \(3, 4, 7, 7\)"):
        sliced(torch.zeros(3, 4, 7, 7), shape)


def test_conv_computes_with_the_first_channels_on_both_sides_and_trains_only_them() -> None:
    layer = ElasticConv2d(6, 8, 3, stride=2, bias=True)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 4, 7, 7)
    expected = F.conv2d(
        x,
        layer.weight[[0, 1, 2, 3, 4]][:, [0, 1, 2, 3]],
        layer.bias[[0, 1, 2, 3, 4]],
        stride=2,
        padding=1,
    )
    actual = layer(x, 5)
    assert actual.shape == (2, 5, 4, 4)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    actual.square().sum().backward()
    touched = layer.weight.grad.abs().amax((2, 3)) > 0
    assert touched[:5, :4].all()
    assert not touched[5:].any()
    assert not touched[:, 4:].any()
    assert (layer.bias.grad != 0).tolist() == [True] * 5 + [False] * 3


def test_depthwise_conv_computes_with_the_centre_of_the_kernel_and_trains_only_it() -> None:
    layer = ElasticDepthwiseConv2d(6, 5, stride=2)
    x = torch.randn(2, 4, 9, 9)
    actual = layer(x, 3)
    for channel in range(4):
        expected = F.conv2d(
            x[:, channel : channel + 1],
            layer.weight[channel : channel + 1, :, 1:4, 1:4],
            stride=2,
            padding=1,
        )
        torch.testing.assert_close(actual[:, channel : channel + 1], expected, rtol=1e-5, atol=1e-5)
    actual.square().sum().backward()
    touched = layer.weight.grad[:, 0] != 0
    centre = torch.zeros(6, 5, 5, dtype=torch.bool)
    centre[:4, 1:4, 1:4] = True
    assert torch.equal(touched, centre)


def test_linear_slices_its_input_and_if_asked_its_output() -> None:
    layer = ElasticLinear(6, 5)
    nn.init.normal_(layer.bias)
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer(x), x @ layer.weight[:, :4].T + layer.bias)
    torch.testing.assert_close(layer(x, 2), x @ layer.weight[:2, :4].T + layer.bias[:2])
    assert ElasticLinear(6, 5, bias=False)(x, 2).shape == (3, 2)


def test_batch_norm_uses_the_batch_in_training_and_in_evaluation_and_keeps_nothing() -> None:
    layer = ElasticBatchNorm2d(8)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    reference = nn.BatchNorm2d(5)
    copy_sliced(layer, reference)
    x = 3 + 2 * torch.randn(4, 5, 6, 6)
    torch.testing.assert_close(layer(x), reference(x), rtol=1e-5, atol=1e-5)
    assert torch.equal(layer.eval()(x), layer.train()(x))
    assert not list(layer.buffers())


def test_squeeze_excitation_gates_every_channel_by_all_channel_means() -> None:
    layer = ElasticSqueezeExcitation(8, 4)
    nn.init.normal_(layer.reduce.bias)
    nn.init.normal_(layer.expand.bias)
    x = torch.randn(2, 6, 3, 3)
    hidden = F.silu(x.mean((2, 3)) @ layer.reduce.weight[:3, :6, 0, 0].T + layer.reduce.bias[:3])
    gate = torch.sigmoid(hidden @ layer.expand.weight[:6, :3, 0, 0].T + layer.expand.bias[:6])
    torch.testing.assert_close(layer(x, 3), x * gate[:, :, None, None])


def test_copying_names_the_parameter_that_is_missing() -> None:
    with pytest.raises(ValueError, match=r"no parameter '0\.weight'"):
        copy_sliced(nn.Linear(3, 3), nn.Sequential(nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("shape", "groups", "fan_out"),
    [((96, 64, 3, 3), 1, 96 * 9), ((2048, 1, 5, 5), 2048, 25), ((64, 3, 5, 5), 1, 64 * 25)],
)
def test_convolutions_start_he_normal_by_their_fan_out(
    shape: tuple[int, ...], groups: int, fan_out: int
) -> None:
    weight = torch.empty(shape)
    he_normal_(weight, groups)
    assert weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.03)
    assert abs(weight.mean().item()) < 0.1 * weight.std().item()


def test_elastic_and_plain_layers_start_by_the_same_rules() -> None:
    plain = nn.Sequential(
        nn.Conv2d(32, 64, 3),
        nn.Conv2d(2048, 2048, 3, groups=2048),
        nn.Linear(100, 400),
        nn.BatchNorm2d(4),
    )
    initialise(plain)
    elastic = (
        ElasticConv2d(32, 64, 3).weight,
        ElasticDepthwiseConv2d(2048, 3).weight,
        ElasticLinear(100, 400).weight,
    )
    for layer, weight in zip(plain, elastic, strict=False):
        assert layer.weight.std().item() == pytest.approx(weight.std().item(), rel=0.05)
        assert not layer.bias.any()
    assert 0.099 < plain[2].weight.abs().max().item() <= 0.1
    assert 0.099 < elastic[2].abs().max().item() <= 0.1
    assert plain[3].weight.tolist() == [1] * 4


def test_drop_connect_drops_whole_samples_and_keeps_the_mean() -> None:
    x = torch.ones(4000, 2, 3, 3)
    y = drop_connect(x, 0.2)
    kept = y[:, 0, 0, 0] > 0
    assert torch.equal(y, torch.where(kept[:, None, None, None], 1 / 0.8, 0.0).expand_as(y))
    assert kept.float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert drop_connect(x, 0.0) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_drop_connect_refuses_what_is_no_probability(rate: float) -> None:
    with pytest.raises(ValueError, match=f"got {rate}"):
        drop_connect(torch.ones(1, 1, 1, 1), rate)


def test_an_input_of_the_right_side_is_not_resized() -> None:
    x = torch.randn(1, 2, 8, 8)
    assert resized(x, 8) is x
    constant = resized(torch.full((1, 1, 9, 5), 3.0), 6)
    torch.testing.assert_close(constant, torch.full((1, 1, 6, 6), 3.0))
    torch.testing.assert_close(
        resized(x, 5), F.interpolate(x, (5, 5), mode="bicubic", align_corners=False)
    )
