"""MBConv: the elastic block is the plain one on slices, its costs are exact, its shortcut is always
there.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchspaces.elastic.mbconv import ElasticMBConv, MBConv, pooled
from searchspaces.elastic.shapes import MBConvShape
from searchspaces.elastic.slicing import copy_sliced

LARGEST = MBConvShape(
    in_width=16, expanded_width=48, squeeze_width=4, out_width=24, kernel=5, stride=2
)
SHAPES = {
    "largest": LARGEST,
    "smaller": MBConvShape(
        in_width=8, expanded_width=24, squeeze_width=2, out_width=16, kernel=3, stride=2
    ),
    "same width": MBConvShape(
        in_width=16, expanded_width=48, squeeze_width=4, out_width=16, kernel=3, stride=2
    ),
    "no shortcut": MBConvShape(
        in_width=8,
        expanded_width=24,
        squeeze_width=2,
        out_width=16,
        kernel=5,
        stride=2,
        shortcut=False,
    ),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def with_scales(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0, 0.3)
    return module


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("side", [6, 7])
def test_the_elastic_block_computes_what_the_plain_block_with_copied_slices_computes(
    name: str, side: int
) -> None:
    shape = SHAPES[name]
    elastic, plain = with_scales(ElasticMBConv(LARGEST, shortcut_conv=True)), MBConv(shape)
    copy_sliced(elastic, plain)
    x = torch.randn(3, shape.in_width, side, side)
    y = elastic(x, shape)
    assert y.shape == (3, shape.out_width, (side + 1) // 2, (side + 1) // 2)
    torch.testing.assert_close(y, plain(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("squeeze", [0, 3])
@pytest.mark.parametrize(("out", "shortcut"), [(8, True), (12, True), (12, False)])
def test_costs_equal_what_the_built_block_counts(
    stride: int, expand: bool, squeeze: int, out: int, shortcut: bool
) -> None:
    shape = MBConvShape(
        in_width=8,
        expanded_width=32 if expand else 8,
        squeeze_width=squeeze,
        out_width=out,
        kernel=3,
        stride=stride,
        expand=expand,
        shortcut=shortcut,
    )
    block = MBConv(shape)
    with FlopCounterMode(display=False) as counter:
        block(torch.randn(1, 8, 5, 5))
    assert shape.macs(5) * 2 == counter.get_total_flops()
    assert shape.params == sum(p.numel() for p in block.parameters())


def test_costs_of_a_block_worked_by_hand() -> None:
    shape = MBConvShape(
        in_width=2, expanded_width=4, squeeze_width=1, out_width=3, kernel=3, stride=2
    )
    assert shape.macs(4) == (2 * 4) * 16 + (4 * 9 + 4 * 3 + 2 * 3) * 4 + 2 * 4 * 1
    assert shape.params == 8 + 36 + 12 + 6 + 2 * (4 + 4 + 3) + (4 + 1) + (4 + 4)


def test_pooling_takes_means_of_what_the_image_has() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    torch.testing.assert_close(pooled(x, 2), torch.tensor([[[[0.0, 1.5], [4.5, 6.0]]]]))
    torch.testing.assert_close(pooled(x[:, :, :2, :2], 2), torch.tensor([[[[2.0]]]]))
    torch.testing.assert_close(pooled(x[:, :, :2, :], 2), torch.tensor([[[[1.5, 3.0]]]]))
    assert pooled(x, 1) is x


@pytest.mark.parametrize("kind", [MBConv, ElasticMBConv])
def test_drop_connect_acts_on_identity_shortcuts_only(kind: type) -> None:
    def run(shape: MBConvShape, rate: float) -> torch.Tensor:
        torch.manual_seed(1)
        if kind is MBConv:
            return with_scales(MBConv(shape))(x, rate)
        return with_scales(ElasticMBConv(shape, shortcut_conv=shape.shortcut_conv))(x, shape, rate)

    x = torch.randn(16, 8, 4, 4)
    widths = {"in_width": 8, "expanded_width": 16, "squeeze_width": 2, "kernel": 3}
    identity = MBConvShape(**widths, out_width=8)
    dropped = (run(identity, 0.5) - x).abs().amax((1, 2, 3)) == 0
    assert 0 < dropped.sum() < 16
    for other in (
        MBConvShape(**widths, out_width=8, stride=2),
        MBConvShape(**widths, out_width=12),
    ):
        assert torch.equal(run(other, 0.5), run(other, 0.0))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"out_width": 0}, "widths of at least 1"),
        ({"kernel": 4}, "odd kernel"),
        ({"stride": 3}, "stride 1 or 2"),
        ({"expand": False}, "16 -> 48; set expand"),
    ],
)
def test_an_impossible_block_is_refused(wrong: dict[str, int], message: str) -> None:
    good = {"in_width": 16, "expanded_width": 48, "squeeze_width": 4, "out_width": 24, "kernel": 5}
    with pytest.raises(ValueError, match=message):
        MBConvShape(**{**good, **wrong})
