"""Laws of NASK's spaces, over any choices and any table of options."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from searchspaces.base import (
    Choices,
    architectures,
    canonical_keys,
    decoding_columns,
)
from searchspaces.nask import NASK, Stage
from tests.nask_inputs import TINY, Looked, random_rois, stirred

COLUMNS = decoding_columns(TINY)
ROWS = arrays(
    np.int16, st.tuples(st.integers(1, 12), st.just(len(TINY.genes))), elements=st.integers(-9, 9)
)


def some(options: tuple[object, ...]) -> st.SearchStrategy[tuple[object, ...]]:
    """Some of the options in their order, one at least."""
    return st.sets(st.sampled_from(options), min_size=1).map(
        lambda chosen: tuple(option for option in options if option in chosen)
    )


STAGES = st.builds(Stage, widths=some((3, 4, 6)), depths=some((1, 2)))
TABLES = st.builds(
    NASK,
    name=st.just("any"),
    resolutions=some((24, 33, 40)),
    stem_widths=some((3, 4)),
    stages=st.tuples(STAGES, STAGES, STAGES, STAGES),
    pyramid_widths=some((8, 16, 24)),
    placements=some(("none", "p5", "stride8", "stride4")),
    reductions=some((0.25, 0.5, 1.0)),
    groups=some((2, 3, 4, 8)).map(lambda groups: (1, *groups)),
    kernels=some(("dot", "taylor2")),
    roi_sizes=some(("4x8", "8x6")),
    operators=some(("text_roi_pooling", "ga0", "ga1", "ga2")),
    samples=some((1, 2)),
    encoders=some((0, 1)),
    fox_widths=some((8, 16)),
    fox_depths=some((1, 2)),
    convolutions=some(("separable", "plain")),
    in_channels=st.integers(1, 3),
)


def row_of(space: NASK, seed: int) -> Choices:
    rng = np.random.default_rng(seed)
    return np.array([[rng.integers(len(g.options)) for g in space.genes]], dtype=np.int16)


@settings(max_examples=60, deadline=None)
@given(ROWS)
def test_repair_makes_any_rows_valid_once_and_for_all(rows: Choices) -> None:
    repaired = TINY.repair(rows)
    counts = [len(gene.options) for gene in TINY.genes]
    assert np.array_equal(TINY.repair(repaired), repaired)
    assert ((repaired >= 0) & (repaired < counts)).all()
    clipped = np.clip(rows, 0, np.array(counts) - 1)
    assert np.array_equal(repaired[:, COLUMNS], clipped[:, COLUMNS])


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(0, 2**16))
def test_rows_are_equal_exactly_where_their_networks_are(space: NASK, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(0, len(gene.options), 40) for gene in space.genes], axis=1)
    rows[20:, : len(space.genes) - 10] = rows[:20, : len(space.genes) - 10]  # near ones
    repaired = space.repair(rows.astype(np.int16))
    repaired[:, decoding_columns(space)] = 0
    plans = [space.plan(architecture) for architecture in architectures(space, repaired)]
    keys = canonical_keys(space, repaired)
    assert len(set(keys)) == len(set(plans)) == len(set(zip(keys, plans, strict=True)))


@settings(max_examples=40, deadline=None)
@given(ROWS, st.integers(0, 12))
def test_costs_do_not_depend_on_the_company(rows: Choices, cut: int) -> None:
    repaired = TINY.repair(rows)
    parts = (TINY.costs(repaired[:cut]), TINY.costs(repaired[cut:]))
    whole = TINY.costs(repaired)
    for cost, values in whole.items():
        assert values.tolist() == [*parts[0][cost].tolist(), *parts[1][cost].tolist()]
    assert np.array_equal(whole["macs"], whole["dense_macs"] + 8 * whole["roi_macs"])


@settings(max_examples=12, deadline=None)
@given(TABLES, st.integers(0, 2**16), st.integers(0, 5), st.integers(20, 45))
def test_slices_compute_what_copies_compute_whatever_the_table(
    space: NASK, seed: int, count: int, high: int
) -> None:
    torch.manual_seed(seed)
    architecture = architectures(space, row_of(space, seed))[0]
    supernet = stirred(space.build_supernet()).double()
    images = torch.randn(4, space.in_channels, high, 33).double()
    inputs = Looked(images, random_rois(count, 4, 40.0, seed))
    subnet = space.build_subnet(supernet, architecture).double().train()
    with torch.no_grad():
        inherited, alone = supernet(inputs, architecture), subnet(inputs)
    for ours, theirs in ((inherited.maps, alone.maps), (inherited.geometry, alone.geometry)):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, rtol=1e-9, atol=1e-9)
    params = space.costs(np.array([architecture.choices], dtype=np.int16))["params"][0]
    assert params == sum(p.numel() for p in subnet.parameters())
