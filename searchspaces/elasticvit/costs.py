"""Costs of the parts of an ElasticViT network: exact multiply-accumulates, and those that the
released code counts.

The released numbers leave out what it leaves out: eight ninths of the depthwise convolution on the
values, squeeze-and-excitation and shortcuts of the blocks that lead in a transformer stage, and
shortcut convolutions at stride 1; they contain a shortcut convolution at stride 2 also where none
runs, the softmax, and twice the output's side as the input's at stride 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from searchspaces.elastic.shapes import MBConvShape, TransformerShape
from searchspaces.elasticvit.plan import Plan

Costs = tuple[int, int, int]  # MACs, parameters, MACs as released
COSTS = ("macs", "params", "released_macs")


def first_costs(in_channels: int, width: int, side: int) -> Costs:
    """The first convolution, whose output has `side` pixels a side."""
    weights = 9 * in_channels * width
    return weights * side**2, weights + 2 * width, weights * side**2


def block_costs(shape: MBConvShape, before: int, after: int, *, leads_in: bool) -> Costs:
    """An MBConv block from `before` to `after` pixels a side; `leads_in`: to a transformer
    stage.
    """
    wide, pixels = shape.expanded_width, after**2
    released = shape.expand * shape.in_width * wide * (after * shape.stride) ** 2
    released += wide * (shape.kernel**2 + shape.out_width) * pixels
    if not leads_in:
        released += (
            2 * wide * shape.squeeze_width
            + (shape.stride == 2) * shape.in_width * shape.out_width * pixels
        )
    return shape.macs(before), shape.params, released


def layer_costs(shape: TransformerShape) -> Costs:
    """A transformer layer."""
    tokens = shape.side**2
    uncounted = 8 * tokens * shape.values
    softmax = shape.heads * tokens**2
    return shape.macs, shape.params, shape.macs - uncounted + softmax


def head_costs(
    width: int, mixing_width: int, head_width: int, num_classes: int, side: int
) -> Costs:
    """All after the last layer, which leaves `side` tokens a side."""
    mixing, head, classifier = (
        width * mixing_width,
        mixing_width * head_width,
        head_width * num_classes,
    )
    macs = mixing * side**2 + head + classifier
    return macs, mixing + 3 * mixing_width + head + head_width + classifier + num_classes, macs


def added(parts: Sequence[Costs]) -> Costs:
    """The sum of each cost."""
    macs, params, released = (sum(part[index] for part in parts) for index in range(3))
    return macs, params, released


def released_storage(largest: Plan) -> int:
    """Parameters that the released code stores for a supernet.

    Each of its MBConv blocks is as wide at its input as at its output and has a shortcut
    convolution whether or not it can run.
    """
    blocks = [shape for stage in largest.conv_stages for shape in stage]
    blocks += [stage.reduction for stage in largest.transformer_stages]
    params = 9 * largest.in_channels * largest.first_width + 2 * largest.first_width
    for shape in blocks:
        width = shape.out_width
        wide = width * (shape.expanded_width // shape.in_width)
        squeeze = wide // 4 if shape.squeeze_width else 0
        params += (
            shape.expand * (width * wide + 2 * wide)
            + wide * (shape.kernel**2 + 2)
            + wide * width
            + 2 * width
            + width**2
        )
        params += 2 * wide * squeeze + squeeze + wide if squeeze else 0
    params += sum(layer.params for stage in largest.transformer_stages for layer in stage.layers)
    return (
        params
        + head_costs(
            largest.trunk_width, largest.mixing_width, largest.head_width, largest.num_classes, 1
        )[1]
    )
