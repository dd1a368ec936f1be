"""Costs of many NASK networks at once, tabulated over the genes that each part depends on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from searchspaces.base import CostTable
from searchspaces.elastic.cost_tables import tabulate
from searchspaces.nask.options import align_of, allowed_groups, attention_of, fox_of
from searchspaces.nask.plan import (
    COUNTED_ROIS,
    NUM_MAPS,
    Kernel,
    Placement,
    halved,
    head_width,
    stage,
)

COSTS = ("macs", "params", "dense_macs", "roi_macs")
Count = tuple[int, int]  # MACs, of an image or of a RoI, and parameters

_GSCA = ("gsca.placement", "gsca.reduction", "gsca.groups", "gsca.kernel")
_ROI = ("roi.size", "roi.operator", "roi.samples", "roi.encoder")
_FOX = ("roi.size", "fox.width", "fox.depth", "fox.convolution")


def cost_tables(
    decisions: Mapping[str, tuple[Any, ...]],  # Any: options as each part's count takes them
    columns: Mapping[str, int],
    in_channels: int,
) -> tuple[CostTable, ...]:
    """The tables of `COSTS`, of the options by decision and the genes' columns."""
    widths = ["stem.width", *(name for name in decisions if _is_stage_width(name))]
    allowed = decisions["gsca.groups"]
    of_image: list[tuple[tuple[str, ...], Callable[..., Count]]] = [
        (("resolution", "stem.width"), partial(_stem_costs, in_channels)),
        (("resolution", "pyramid.width"), _text_costs),
        (("resolution", "pyramid.width", *_GSCA), partial(_attention_costs, allowed)),
    ]
    for index, (before, own) in enumerate(itertools.pairwise(widths)):
        depth = own.replace("width", "depth")
        of_image.append((("resolution", before, own, depth), partial(_stage_costs, index)))
        of_image.append((("resolution", own, "pyramid.width"), partial(_lateral_costs, index)))
    of_roi: list[tuple[tuple[str, ...], Callable[..., Count]]] = [
        (("pyramid.width", *_ROI), _align_costs),
        (("pyramid.width", *_FOX), _fox_costs),
    ]
    counts = [(names, partial(_of_image, count)) for names, count in of_image]
    counts += [(names, partial(_of_roi, count)) for names, count in of_roi]
    return tuple(
        tabulate({name: decisions[name] for name in names}, columns, count)
        for names, count in counts
    )


def _is_stage_width(name: str) -> bool:
    return name.startswith("stage") and name.endswith(".width")


def _of_image(count: Callable[..., Count], *options: Any) -> tuple[int, ...]:
    macs, params = count(*options)
    return macs, params, macs, 0


def _of_roi(count: Callable[..., Count], *options: Any) -> tuple[int, ...]:
    macs, params = count(*options)
    return COUNTED_ROIS * macs, params, 0, macs


def _stem_costs(in_channels: int, resolution: int, width: int) -> Count:
    weights = 9 * in_channels * width
    return weights * halved(resolution) ** 2, weights + 2 * width


def _stage_costs(index: int, resolution: int, in_width: int, width: int, depth: int) -> Count:
    first, *rest = stage(in_width, width, depth)
    macs = first.macs(halved(resolution, index + 1)) + sum(
        block.macs(halved(resolution, index + 2)) for block in rest
    )
    return macs, first.params + sum(block.params for block in rest)


def _lateral_costs(index: int, resolution: int, width: int, pyramid: int) -> Count:
    """Brings a stage's output to the pyramid's width, and the pyramid's level to a quarter."""
    quarter = pyramid // 4
    weights = width * pyramid + 9 * pyramid * quarter
    return weights * halved(resolution, index + 2) ** 2, weights + pyramid + 2 * quarter


def _text_costs(resolution: int, width: int) -> Count:
    hidden = head_width(width)
    weights = 9 * width * hidden + NUM_MAPS * hidden
    return weights * halved(resolution, 2) ** 2, weights + 2 * hidden + NUM_MAPS


def _attention_costs(
    options: Sequence[int],
    resolution: int,
    width: int,
    placement: Placement,
    reduction: float,
    groups: int,
    kernel: Kernel,
) -> Count:
    allowed = allowed_groups(groups, options, width, reduction)
    shape = attention_of(width, placement, reduction, allowed, kernel)
    return (0, 0) if shape is None else (shape.macs(resolution), shape.params)


def _align_costs(width: int, *options: Any) -> Count:
    shape = align_of(width, *options)
    return shape.macs, shape.params


def _fox_costs(width: int, size: str, *options: Any) -> Count:
    shape = fox_of(width, size, *options)
    return shape.macs, shape.params
