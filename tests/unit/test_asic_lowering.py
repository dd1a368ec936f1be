"""Networks lowered to layer tables, and whole spaces priced on chips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import searchspaces
from objectives import asic
from objectives.asic.lower import lower, macs
from searchspaces.base import architectures, largest, smallest


def counted(network: nn.Module, shape: tuple[int, ...]) -> int:
    """torch's own count of multiply-accumulates."""
    network = network.to("meta").eval()
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(torch.empty(shape, device="meta"))
    return int(counter.get_total_flops()) // 2


class Attention(nn.Module):
    """Two heads over tokens, with torch's fused product."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).reshape(x.shape[0], -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
        y: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return y


def rows(table: dict[str, np.ndarray], *names: str) -> list[tuple[object, ...]]:
    return list(zip(*(table[name].tolist() for name in names), strict=True))


def test_convolutions_of_every_kind_become_rows() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, (3, 5), stride=2, padding=(1, 2)),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 16, 3, padding=1, groups=8),
        nn.Conv2d(16, 12, 1, groups=4),
        nn.ConvTranspose2d(12, 6, 2, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 10),
    )
    table = lower(network, (1, 3, 20, 24))
    assert rows(table, "layer", "type", "K", "C", "R", "S", "OY", "OX", "stride", "count") == [
        ("0", "CONV", 8, 3, 3, 5, 10, 12, 2, 1),
        ("3", "DWCONV", 1, 8, 3, 3, 10, 12, 1, 1),
        ("4", "DWCONV", 1, 8, 3, 3, 10, 12, 1, 2),
        ("5", "CONV", 3, 4, 1, 1, 10, 12, 1, 4),
        ("6", "CONV", 6, 12, 2, 2, 10, 12, 1, 1),
        ("9", "CONV", 10, 6, 1, 1, 1, 1, 1, 1),
    ]
    # torch counts a transposed convolution as every input place times the kernel, as the table does
    assert macs(table) == counted(network, (1, 3, 20, 24))


def test_attention_becomes_linear_layers_and_products_a_head() -> None:
    table = lower(Attention(), (1, 49, 16))
    assert rows(table, "layer", "K", "C", "OY", "count") == [
        ("qkv", 48, 16, 49, 1),
        ("", 49, 8, 49, 2),
        ("", 8, 49, 49, 2),
        ("out", 16, 16, 49, 1),
    ]
    assert macs(table) == counted(Attention(), (1, 49, 16))


def test_a_sequence_convolution_and_batches_add_rows() -> None:
    table = lower(nn.Conv1d(4, 8, 3, stride=2), (2, 4, 21))
    assert rows(table, "K", "C", "R", "S", "OY", "OX", "stride") == [(8, 4, 3, 1, 20, 1, 2)]


def test_what_cannot_be_lowered_is_named_and_the_network_stays_as_it_was() -> None:
    with pytest.raises(ValueError, match="'0' is a convolution over 3 dimensions"):
        lower(nn.Sequential(nn.Conv3d(1, 1, 1)), (1, 1, 2, 2, 2))
    with pytest.raises(ValueError, match="'0' has strides \\(1, 2\\)"):
        lower(nn.Sequential(nn.Conv2d(1, 1, 1, stride=(1, 2))), (1, 1, 4, 4))
    with pytest.raises(ValueError, match="ReLU has no convolution"):
        lower(nn.ReLU(), (1, 3))
    network = nn.Sequential(nn.Conv2d(3, 4, 1)).train()
    lower(network, (1, 3, 4, 4))
    assert network.training
    assert not network[0]._forward_hooks
    assert network[0].weight.device.type == "cpu"


def test_a_spaces_networks_lower_to_the_macs_that_it_counts() -> None:
    space = searchspaces.load("bignas:digits")
    for architecture in (smallest(space), largest(space)):
        side = dict(zip([g.name for g in space.genes], architecture.choices, strict=True)).get(
            "resolution"
        )
        shape = (1, space.in_channels, 8, 8)  # type: ignore[attr-defined]
        assert side is None or space.genes[0].name == "resolution"
        expected = space.costs(np.array([architecture.choices], dtype=np.int16))["macs"][0]
        assert macs(lower(space.build_subnet(None, architecture), shape)) == expected


def test_metrics_of_a_space_share_one_model_and_areas_do_not_depend_on_the_network() -> None:
    space = searchspaces.load("bignas:digits")
    latency = asic.build(space, "latency")
    energy, area = (asic.build(space, metric, model=latency.model) for metric in ("energy", "area"))  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = np.stack(
        [rng.integers(0, len(gene.options), 4) for gene in space.genes], axis=1
    ).astype(np.int16)
    choices = np.array(
        [a.choices for a in [smallest(space), largest(space), *architectures(space, drawn)]],
        dtype=np.int16,
    )
    cycles, joules = latency.evaluate(choices), energy.evaluate(choices)
    assert cycles[0] < cycles[1]
    assert joules[0] < joules[1]
    assert len(set(area.evaluate(choices).tolist())) == 1
    assert (latency.name, latency.unit, energy.unit, area.unit) == (
        "asic_latency",
        "cycles",
        "nJ (model)",
        "um2",
    )
    mapped = latency.model.costs(choices).mapping
    assert (mapped.makespan == cycles).all()


def test_impossible_chips_and_metrics_are_refused() -> None:
    space = searchspaces.load("bignas:digits")
    with pytest.raises(ValueError, match="no metric 'power'"):
        asic.build(space, "power")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pes must be a whole number"):
        asic.build(space, slots=(("dla", 0, 8),))
    with pytest.raises(ValueError, match="at least one sub-accelerator"):
        asic.build(space, slots=())
