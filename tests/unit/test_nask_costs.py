"""Costs of NASK-style networks against torch's own counter and built networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import searchspaces
from searchspaces.base import Architecture, architecture_of, largest, options_of, smallest
from searchspaces.nask import NASK, FirstLook
from searchspaces.nask.subnet import NASKSubnet
from tests.nask_inputs import TINY, drawn


def costs_of(space: NASK, architecture: Architecture) -> Mapping[str, float]:
    rows = np.array([architecture.choices], dtype=np.int16)
    return {cost: float(values[0]) for cost, values in space.costs(rows).items()}


def looked(subnet: NASKSubnet, count: Callable[[Callable[[], Any]], float]) -> dict[str, float]:
    """The costs of a network, each run counted."""
    side, channels = subnet.plan.resolution, subnet.plan.in_channels
    look: list[FirstLook] = []
    with torch.no_grad():
        dense = count(lambda: look.append(subnet(torch.zeros(1, channels, side, side))))
        roi, eight = (
            count(lambda n=n: subnet.second(look[0].features, torch.zeros(n, 7)))  # type: ignore[misc]
            for n in (1, 8)
        )
    params = sum(p.numel() for p in subnet.parameters())
    return {"macs": dense + eight, "params": params, "dense_macs": dense, "roi_macs": roi}


def by_torch(run: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops() / 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nask_v1", "nask_v1:small", "nask_v2", "nask_v2:small"])
def test_costs_are_what_torch_counts(name: str) -> None:
    space = searchspaces.load(name)
    assert isinstance(space, NASK)
    for architecture in (smallest(space), largest(space), *drawn(space, 2)):
        with torch.device("meta"):  # tensors without data: no large network need be run
            subnet = NASKSubnet(space.plan(architecture)).eval()
            assert costs_of(space, architecture) == looked(subnet, by_torch)


def test_every_option_costs_what_its_convolutions_multiply() -> None:
    found: list[float] = []
    start = options_of(TINY, largest(TINY))
    for gene in TINY.genes:
        decoding = gene.name in TINY.decoding_genes
        for option in () if decoding else gene.options[:-1]:  # the start has the last ones
            architecture = architecture_of(TINY, start | {gene.name: option})
            subnet = NASKSubnet(TINY.plan(architecture)).eval()
            for module in subnet.modules():
                if isinstance(module, nn.Conv2d):
                    module.register_forward_hook(
                        lambda conv, _, out: found.append(
                            conv.weight.numel() * out.numel() / out.shape[1]
                        )
                    )

            def by_hooks(run: Callable[[], Any]) -> float:
                found.clear()
                run()
                return sum(found)

            assert costs_of(TINY, architecture) == looked(subnet, by_hooks)


def test_the_sheet_s_figures_for_one_rectangle() -> None:
    """A head of four plain 3x3 convolutions of 64 channels at 16x64: 0.15 GMAC; attention with all
    channels on the fused map of 640 pixels: four 1x1 convolutions.
    """
    space = searchspaces.load("nask_v1")
    assert isinstance(space, NASK)
    chosen = {"pyramid.width": 64, "fox.width": 64, "fox.depth": 4, "fox.convolution": "plain"}
    found = costs_of(space, architecture_of(space, chosen))
    assert found["roi_macs"] == 1024 * (4 * 9 * 64 * 64 + 6 * 64)
    assert found["roi_macs"] == pytest.approx(0.15e9, rel=0.02)
    start = {"resolution": 640, "pyramid.width": 256, "gsca.reduction": 0.5}
    dense = {
        place: costs_of(space, architecture_of(space, start | {"gsca.placement": place}))[
            "dense_macs"
        ]
        for place in space.placements
    }
    for place, expected in (("stride4", 3.36e9), ("stride8", 0.84e9), ("p5", 0.05e9)):
        assert dense[place] - dense["none"] == pytest.approx(expected, rel=0.06)
