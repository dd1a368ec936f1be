"""Sampling of rotated rectangles and GeoAlign: what must hold to the last digits."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import roi_align

from searchspaces.nask.layers.geo_align import Align, start_align
from searchspaces.nask.layers.roi_sampling import sample_points, sampled
from searchspaces.nask.plan import AlignShape
from tests.nask_inputs import random_rois, stirred

SIZE = (8, 32)
SHAPE = AlignShape(width=8, size=SIZE, operator="ga2", samples=1, encoder=1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def features(batch: int = 2, high: int = 20, wide: int = 24) -> Tensor:
    return torch.randn(batch, 8, high, wide, dtype=torch.float64)


def upright(*boxes: tuple[int, float, float, float, float]) -> tuple[Tensor, Tensor]:
    """Boxes (image, x0, y0, x1, y1) in pixels, as RoIs and as they are."""
    b = torch.tensor(boxes, dtype=torch.float64)
    image, x0, y0, x1, y1 = b.unbind(1)
    ones, zeros = torch.ones_like(x0), torch.zeros_like(x0)
    rois = [image, (x0 + x1) / 2, (y0 + y1) / 2, ones, zeros, x1 - x0, y1 - y0]
    return torch.stack(rois, dim=1), b


@pytest.mark.parametrize("samples", [1, 2])
def test_an_upright_rectangle_is_sampled_as_roi_align_does(samples: int) -> None:
    x = features()
    rois, boxes = upright((0, 9.0, 7.5, 83.0, 30.0), (1, 20.2, 11.0, 41.7, 71.3))
    expected = roi_align(x, boxes, SIZE, 1 / 4, sampling_ratio=samples, aligned=True)
    assert (sampled(x, rois, SIZE, samples) - expected).abs().max() < 1e-12


def test_at_the_border_of_its_image_too_with_the_border_continued() -> None:
    x = features()
    rois, boxes = upright((0, 0.0, 0.0, 96.0, 80.0), (1, 0.0, 60.0, 40.0, 80.0))
    expected = roi_align(x, boxes, (40, 96), 1 / 4, sampling_ratio=1, aligned=True)
    assert (sampled(x, rois, (40, 96)) - expected).abs().max() < 1e-12


def test_a_rectangle_outside_its_image_sees_the_border_and_no_other_image() -> None:
    x = features(3)
    x[0], x[2] = 1e9, 1e9  # a touch would show
    rois = torch.tensor(
        [[1, 40, -30, 1, 0, 50, 12], [1, 40, 300, 1, 0, 50, 12], [1, 500, 500, 0.6, 0.8, 9, 5]],
        dtype=torch.float64,
    )
    found = sampled(x, rois, SIZE)
    assert torch.allclose(found[2], x[1, :, -1, -1, None, None].expand(8, *SIZE))
    columns = torch.arange(32).double() * 50 / 32 + 40 - 25 + 25 / 32
    low = (columns / 4 - 0.5).floor().long()
    share = columns / 4 - 0.5 - low
    for k, row in ((0, x[1, :, 0]), (1, x[1, :, -1])):
        expected = row[:, low] * (1 - share) + row[:, low + 1] * share
        assert torch.allclose(found[k], expected[:, None].expand(-1, SIZE[0], -1), atol=1e-4)


def test_sub_samples_are_the_mean_of_a_doubled_grid() -> None:
    x, rois = features(), random_rois(6, 2, 80.0)
    doubled = sampled(x, rois, (2 * SIZE[0], 2 * SIZE[1]))
    assert (sampled(x, rois, SIZE, 2) - F.avg_pool2d(doubled, 2)).abs().max() < 1e-14


def test_a_rectangle_turned_by_half_a_turn_is_flipped_both_ways() -> None:
    x, rois = features(), random_rois(6, 2, 80.0)
    turned = rois.clone()
    turned[:, 3:5] *= -1
    assert (sampled(x, turned, SIZE) - sampled(x, rois, SIZE).flip(2, 3)).abs().max() < 1e-12


def test_a_rectangle_of_one_image_does_not_depend_on_the_batch() -> None:
    x, rois = features(4), random_rois(8, 4, 80.0)
    together = sampled(x, rois, SIZE)
    for k, roi in enumerate(rois):
        image = int(roi[0])
        alone = roi.clone()
        alone[0] = 0
        found = sampled(x[image : image + 1], alone[None], SIZE)
        assert (together[k] - found[0]).abs().max() < 1e-12


def test_cells_lie_where_the_rectangle_s_axes_put_them() -> None:
    roi = torch.tensor([[0.0, 50.0, 40.0, 0.6, 0.8, 20.0, 10.0]], dtype=torch.float64)
    points = sample_points(roi, (2, 4))
    u, v = torch.tensor([0.6, 0.8]).double(), torch.tensor([-0.8, 0.6]).double()
    first = torch.tensor([50.0, 40.0]).double() - 0.375 * 20 * u - 0.25 * 10 * v
    assert torch.allclose(points[0, 0, 0], first)
    assert torch.allclose(points[0, 0, 1] - points[0, 0, 0], 5 * u)
    assert torch.allclose(points[0, 1, 0] - points[0, 0, 0], 5 * v)


def test_half_precision_samples_at_exact_positions() -> None:
    x = torch.arange(96.0).repeat(1, 8, 80, 1)  # a ramp of cells, each its own number
    rois, _ = upright((0, 0.0, 0.0, 384.0, 320.0))
    found = sampled(x.to(torch.bfloat16), rois.float(), (80, 96))
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found, x.to(torch.bfloat16), rtol=0, atol=1e-4)


def aligned(operator: str, network: Align, x: Tensor, rois: Tensor) -> Tensor:
    other = Align(dataclasses.replace(network.shape, operator=operator)).double()  # type: ignore[arg-type]
    other.load_state_dict(network.state_dict(), strict=False)
    return other(x, rois)


@pytest.mark.parametrize("samples", [1, 2])
def test_geo_align_is_nested(samples: int) -> None:
    x, rois = features(), random_rois(6, 2, 80.0)
    network = stirred(Align(dataclasses.replace(SHAPE, samples=samples))).double()
    plain, bent, shifted = (aligned(o, network, x, rois) for o in ("ga0", "ga1", "ga2"))
    assert (plain - bent).abs().max() > 0.01 < (bent - shifted).abs().max()
    assert torch.equal(aligned("text_roi_pooling", network, x, rois), plain)
    torch.nn.init.zeros_(network.cell_offset.weight)
    torch.nn.init.zeros_(network.cell_offset.bias)
    assert torch.equal(aligned("ga2", network, x, rois), bent)
    start_align(network)
    for operator in ("ga1", "ga2"):
        assert torch.equal(aligned(operator, network, x, rois), plain)


def test_columns_are_moved_along_the_normal_by_a_tenth_of_the_height() -> None:
    x, rois = features(), random_rois(4, 2, 60.0)
    shape = dataclasses.replace(SHAPE, operator="ga1", encoder=0)
    network = Align(shape).double()
    start_align(network)
    torch.nn.init.constant_(network.column_offset.bias, 2.0)
    moved = rois.clone()
    moved[:, 1] -= 0.2 * rois[:, 6] * rois[:, 4]
    moved[:, 2] += 0.2 * rois[:, 6] * rois[:, 3]
    assert (network(x, rois) - sampled(x, moved, SIZE)).abs().max() < 1e-12


def test_gradients_reach_offsets_that_are_still_zero_and_features_under_the_grid_alone() -> None:
    network = Align(SHAPE).double()
    start_align(network)
    x = features().requires_grad_()
    rois, _ = upright((1, 20.0, 20.0, 60.0, 40.0))
    network(x, rois).square().sum().backward()
    assert network.column_offset.weight.grad.abs().max() > 0
    assert network.cell_offset.bias.grad.abs().min() > 0
    assert x.grad[0].abs().max() == 0 == x.grad[1, :, 12:].abs().max()
    assert x.grad[1, :, 6:9, 6:14].abs().min() > 0


@pytest.mark.parametrize("operator", ["text_roi_pooling", "ga2"])
def test_no_rectangle_gives_no_map_and_finite_gradients(operator: str) -> None:
    network = Align(dataclasses.replace(SHAPE, operator=operator)).double()  # type: ignore[arg-type]
    x = features().requires_grad_()
    found = network(x, torch.zeros(0, 7, dtype=torch.float64))
    assert found.shape == (0, 8, *SIZE)
    found.sum().backward()
    assert x.grad.abs().max() == 0
