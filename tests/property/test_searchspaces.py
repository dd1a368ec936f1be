"""Laws of search spaces, over any choices, and of BigNAS, over any table of stages."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.utils.flop_counter import FlopCounterMode

from searchspaces.base import Choices, architectures, canonical_keys
from searchspaces.bignas import BigNAS, Stage, build
from searchspaces.bignas.subnet import BigNASSubnet

DIGITS = build("digits")
ROWS = arrays(
    np.int16, st.tuples(st.integers(1, 12), st.just(len(DIGITS.genes))), elements=st.integers(-9, 9)
)
WIDTHS = st.lists(st.integers(1, 5).map(lambda w: 4 * w), min_size=1, max_size=2, unique=True).map(
    lambda w: tuple(sorted(w))
)
STAGES = st.builds(
    Stage,
    widths=WIDTHS,
    depths=st.sampled_from([(1,), (2,), (1, 2)]),
    kernels=st.sampled_from([(3,), (1, 3), (3, 5)]),
    stride=st.sampled_from([1, 2]),
    expand=st.integers(1, 3),
)
TABLES = st.builds(
    BigNAS,
    name=st.just("any"),
    resolutions=st.sampled_from([(9,), (8, 11)]),
    stem_widths=WIDTHS,
    stem_stride=st.sampled_from([1, 2]),
    stages=st.lists(STAGES, min_size=1, max_size=3).map(tuple),
    last_widths=WIDTHS,
    num_classes=st.integers(1, 3),
    in_channels=st.integers(1, 2),
    squeeze_base=st.sampled_from(["input", "expanded"]),
    shortcut_convs=st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_repair_makes_any_rows_valid_once_and_for_all(rows: Choices) -> None:
    repaired = DIGITS.repair(rows)
    assert np.array_equal(DIGITS.repair(repaired), repaired)
    assert all(
        0 <= c < len(g.options) for row in repaired for c, g in zip(row, DIGITS.genes, strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_rows_have_one_key_exactly_where_they_are_equal(rows: Choices) -> None:
    repaired = DIGITS.repair(rows)
    keys = canonical_keys(DIGITS, repaired)
    for i, a in enumerate(keys):
        for j, b in enumerate(keys):
            assert (a == b) == np.array_equal(repaired[i], repaired[j])


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(0, 12))
def test_costs_do_not_depend_on_the_company(rows: Choices, cut: int) -> None:
    repaired = DIGITS.repair(rows)
    whole, parts = (
        DIGITS.costs(repaired),
        (DIGITS.costs(repaired[:cut]), DIGITS.costs(repaired[cut:])),
    )
    for cost, values in whole.items():
        assert values.tolist() == [*parts[0][cost].tolist(), *parts[1][cost].tolist()]


@settings(max_examples=15, deadline=None)
@given(TABLES, st.integers(0, 2**16))
def test_costs_are_what_is_counted_whatever_the_table(space: BigNAS, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.array(
        [[rng.integers(len(gene.options)) for gene in space.genes]], dtype=np.int16
    ).reshape(1, -1)
    architecture = architectures(space, rows)[0]
    costs = space.costs(np.array([architecture.choices], dtype=np.int16).reshape(1, -1))
    with torch.device("meta"):
        subnet = BigNASSubnet(space.plan(architecture)).eval()
        with FlopCounterMode(display=False) as counter:
            subnet(torch.empty(1, space.in_channels, 13, 10))
    assert costs["macs"][0] * 2 == counter.get_total_flops()
    assert costs["params"][0] == sum(p.numel() for p in subnet.parameters())


@settings(max_examples=15, deadline=None)
@given(TABLES, st.integers(0, 2**16))
def test_slices_compute_what_copies_compute_whatever_the_table(space: BigNAS, seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    rows = np.array(
        [[rng.integers(len(gene.options)) for gene in space.genes]], dtype=np.int16
    ).reshape(1, -1)
    architecture = architectures(space, rows)[0]
    supernet = space.build_supernet()
    for parameter in supernet.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    x = torch.randn(16, space.in_channels, 13, 10)
    with torch.no_grad():
        inherited, alone = (
            supernet(x, architecture),
            space.build_subnet(supernet, architecture).train()(x),
        )
    assert (inherited - alone).abs().max().item() < 1e-5 * max(1.0, inherited.abs().max().item())
