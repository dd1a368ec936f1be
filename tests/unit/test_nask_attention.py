"""Group spatial and channel attention: its algebra, and that it starts as the identity."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from searchspaces.nask.layers.attention import (
    Attention,
    ElasticAttention,
    GroupsOfOne,
    attend,
    copy_projection,
    start_attention,
)
from searchspaces.nask.plan import AttentionShape, Kernel

GROUPS = [1, 2, 4, 8, 16]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def three(channels: int = 16) -> list[Tensor]:
    return [torch.randn(2, channels, 3, 5, dtype=torch.float64) for _ in range(3)]


def explicit(query: Tensor, key: Tensor, value: Tensor, groups: int, kernel: str) -> Tensor:
    """With the affinity of all entries written out."""
    t, p, v = (x.reshape(2, groups, -1) for x in (query, key, value))
    affinity = t[..., :, None] * p[..., None, :]
    if kernel == "taylor2":
        powers = (affinity**k * 2e-4**k / math.factorial(k) for k in range(3))
        affinity = math.exp(-2e-4) * sum(powers, start=torch.zeros_like(affinity))
    return ((affinity @ v[..., None])[..., 0] / v.shape[2]).reshape(query.shape)


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("kernel", ["dot", "taylor2"])
def test_no_affinity_need_be_built(groups: int, kernel: Kernel) -> None:
    t, p, v = three()
    found = attend(t, p, v, groups, kernel)
    assert (found - explicit(t, p, v, groups, kernel)).abs().max() < 1e-13


def test_the_taylor_kernel_is_the_radial_one_of_unit_vectors() -> None:
    t, p, v = (torch.rand(2, 16, 3, 5, dtype=torch.float64) for _ in range(3))
    radial = torch.exp(-2e-4 * (1 - t.reshape(2, 1, -1, 1) * p.reshape(2, 1, 1, -1)))
    expected = (radial @ v.reshape(2, 1, -1, 1))[..., 0] / 240
    assert torch.allclose(attend(t, p, v, 1, "taylor2").reshape(2, 1, -1), expected, rtol=1e-11)


@pytest.mark.parametrize("kernel", ["dot", "taylor2"])
def test_groups_and_positions_may_change_places_and_channels_across_groups_not(
    kernel: Kernel,
) -> None:
    t, p, v = three()
    found = attend(t, p, v, 4, kernel)
    whole = torch.arange(16).reshape(4, 4)[[2, 0, 3, 1]].flatten()
    assert torch.equal(attend(t[:, whole], p[:, whole], v[:, whole], 4, kernel), found[:, whole])
    across = torch.tensor([4, 1, 2, 3, 0, *range(5, 16)])
    mixed = attend(t[:, across], p[:, across], v[:, across], 4, kernel)
    assert (mixed - found[:, across]).abs().max() > 1e-3
    places = torch.randperm(15)
    moved = [x.flatten(2)[:, :, places].reshape(x.shape) for x in (t, p, v)]
    expected = found.flatten(2)[:, :, places].reshape(found.shape)
    assert (attend(*moved, 4, kernel) - expected).abs().max() < 1e-14


def test_one_group_is_the_ungrouped_block() -> None:
    t, p, v = three()
    gain = (p.flatten(1) * v.flatten(1)).mean(1)
    assert torch.allclose(attend(t, p, v, 1, "dot"), t * gain[:, None, None, None], rtol=1e-13)


@pytest.mark.parametrize("kernel", ["dot", "taylor2"])
def test_long_sums_are_taken_in_single_precision(kernel: Kernel) -> None:
    x = torch.ones(1, 4, 256, 256, dtype=torch.float16)  # 262,144 ones: beyond half precision
    found = attend(x, x, x, 1, kernel)
    assert found.dtype == torch.float16
    assert torch.allclose(found.float(), torch.ones(()), atol=2e-3)


def shape(groups: int, placement: str, width: int = 16) -> AttentionShape:
    return AttentionShape(
        width=width,
        inner_width=width // 2,
        groups=groups,
        placement=placement,  # type: ignore[arg-type]
        kernel="taylor2",
    )


@pytest.mark.parametrize("placement", ["p5", "stride8", "stride4"])
@pytest.mark.parametrize("sides", [(6, 8), (5, 7), (1, 1)])
def test_it_starts_as_the_identity_and_learns(placement: str, sides: tuple[int, int]) -> None:
    block = Attention(shape(2, placement)).double()
    start_attention(block)
    x = torch.randn(2, 16, *sides, dtype=torch.float64)
    found = block(x)
    assert torch.equal(found, x)
    (found * torch.randn_like(found)).sum().backward()
    assert block.norm.weight.grad.abs().max() > 0 or sides == (1, 1)


def test_what_the_norm_leaves_of_the_dot_kernel_s_gain_is_its_sign() -> None:
    block = Attention(
        AttentionShape(width=16, inner_width=8, groups=2, placement="stride4", kernel="dot")
    ).double()
    block.norm.eps = 0.0
    x = torch.randn(2, 16, 6, 8, dtype=torch.float64)
    first = block(x) - x
    with torch.no_grad():
        block.key.weight *= -3.0
    assert torch.allclose(block(x) - x, -first, atol=1e-9)


@pytest.mark.parametrize("groups", [1, 2, 4, 8])
def test_a_grouped_weight_is_the_diagonal_of_the_whole(groups: int) -> None:
    conv = GroupsOfOne(24, 32)
    x = torch.randn(2, 8, 3, 3)
    whole = conv.weight[:16, :8, 0, 0]
    row, column = torch.arange(16)[:, None] * groups // 16, torch.arange(8)[None] * groups // 8
    expected = torch.einsum("oi,bihw->bohw", whole * (row == column), x)
    assert torch.allclose(conv(x, 16, groups), expected, atol=1e-5)


@pytest.mark.parametrize("placement", ["p5", "stride8", "stride4"])
@pytest.mark.parametrize(("groups", "width"), [(1, 16), (4, 16), (4, 32)])
def test_a_copy_computes_what_the_slice_computes(placement: str, groups: int, width: int) -> None:
    elastic, chosen = ElasticAttention(32, 16).double(), shape(groups, placement, width)
    torch.nn.init.normal_(elastic.norm.weight)
    block = Attention(chosen).double()
    with torch.no_grad():
        for own, whole in zip(block.parameters(), elastic.parameters(), strict=True):
            own.copy_(whole[tuple(slice(n) for n in own.shape)])
    copy_projection(elastic, block)
    x = torch.randn(2, width, 5, 7, dtype=torch.float64)
    assert (block(x) - elastic(x, chosen)).abs().max() < 1e-13


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="inner width 6 and 4 groups"):
        AttentionShape(width=24, inner_width=6, groups=4, placement="p5", kernel="dot")
