"""Laws of EAGAN's spaces, over any choices."""

from __future__ import annotations

import dataclasses
import itertools
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from searchspaces.base import Choices, architectures
from searchspaces.eagan import Discriminator, Generator, build

SPACES = {
    "generator": dataclasses.replace(build("generator-digits"), name="any", channels=4, latent=6),
    "discriminator": dataclasses.replace(build("discriminator-digits"), name="any", channels=4),
}
SPACE = st.sampled_from(sorted(SPACES)).map(SPACES.__getitem__)
SEED = st.integers(0, 2**20)
Space = Generator | Discriminator


@cache
def supernet_of(space: Space) -> nn.Module:
    torch.manual_seed(0)
    return space.build_supernet()


def inputs(space: Space, count: int = 3) -> Tensor:
    return torch.randn(count, *space.input_shape, generator=torch.Generator().manual_seed(1))


def assert_same_function(actual: Tensor, expected: Tensor) -> None:
    """The same sums up to their order: weights that lie elsewhere in memory may be added by another
    kernel.
    """
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def drawn(space: Space, count: int, seed: int) -> Choices:
    return space.sample(count, np.random.default_rng(seed))


def any_rows(space: Space, count: int, seed: int) -> Choices:
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 12, (count, len(space.genes))).astype(np.int16)


def changed(space: Space, before: Choices, after: Choices) -> list[int]:
    """Counts the integers of each printed genotype that differ; an idle gene prints as -1."""
    counts = []
    for one, other in zip(before, after, strict=True):
        left, right = ([*row] for row in (one, other))
        for switch, dependent in space.rules.switches:
            left[dependent] = -1 if left[switch] == 0 else left[dependent]
            right[dependent] = -1 if right[switch] == 0 else right[dependent]
        counts.append(sum(a != b for a, b in zip(left, right, strict=True)))
    return counts


@settings(max_examples=8, deadline=None)
@given(SPACE, SEED)
def test_an_extracted_network_is_the_supernets_path(space: Space, seed: int) -> None:
    supernet, x = supernet_of(space), inputs(space)
    for architecture in architectures(space, drawn(space, 3, seed)):
        with torch.no_grad():
            assert_same_function(
                supernet(x, architecture), space.build_subnet(supernet, architecture).train()(x)
            )


@pytest.mark.parametrize("mid", [(1, 0), (0, 1)])
def test_an_identity_into_the_middle_node_leaves_the_copies_as_they_are(
    mid: tuple[int, int],
) -> None:
    """Guards the middle node: in-place additions to it would also change the copy that it is, and
    with it the other edges that read it.
    """
    space = SPACES["generator"]
    rows = drawn(space, 12, 0).reshape(-1, 3, 7)
    rows[:, 1:, 2:4] = mid
    rows[:, 1:, 4:] = np.maximum(rows[:, 1:, 4:], 1)
    supernet, x = supernet_of(space), inputs(space)
    copies: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}

    def keep(cell: int, edge: str) -> object:
        def hook(module: nn.Module, args: object, output: Tensor) -> None:
            copies[cell, edge] = (output, output.detach().clone())

        return hook

    hooks = [
        operation.register_forward_hook(keep(k, edge))  # type: ignore[arg-type]
        for k, cell in enumerate(supernet.cells)  # type: ignore[arg-type]
        for edge in ("in_a", "in_b")
        for operation in cell.edges[edge].values()
    ]
    for architecture in architectures(space, rows.reshape(-1, 21)):
        with torch.no_grad():
            inherited = supernet(x, architecture)
            assert all(torch.equal(now, then) for now, then in copies.values())
            assert_same_function(inherited, space.build_subnet(supernet, architecture).train()(x))
    for hook in hooks:
        hook.remove()


@settings(max_examples=20, deadline=None)
@given(SPACE, SEED)
def test_repair_yields_valid_rows_that_it_leaves_alone(space: Space, seed: int) -> None:
    rows = space.repair(any_rows(space, 50, seed))
    assert space.rules.is_valid(rows).all()
    assert (space.repair(rows) == rows).all()


@settings(max_examples=8, deadline=None)
@given(SPACE, SEED)
def test_what_repair_changes_in_a_valid_genotype_changes_no_output(space: Space, seed: int) -> None:
    """Canonical rows and the rows they stand for are one function; only what nothing reads may
    differ.
    """
    valid = drawn(space, 400, seed)
    repaired = space.repair(valid)
    supernet, x = supernet_of(space), inputs(space, 2)
    moved = np.flatnonzero((valid != repaired).any(axis=1))[:4]
    for row, (canonical,) in zip(
        valid[moved], ([a] for a in architectures(space, repaired[moved])), strict=True
    ):
        raw = dataclasses.replace(canonical, choices=tuple(row.tolist()))
        with torch.no_grad():
            assert_same_function(supernet(x, raw), supernet(x, canonical))


@settings(max_examples=20, deadline=None)
@given(SPACE, SEED)
def test_mutation_changes_one_gene_and_stays_valid(space: Space, seed: int) -> None:
    rows = drawn(space, 200, seed)
    mutated = space.mutate(rows, np.random.default_rng(seed + 1))
    assert space.rules.is_valid(mutated).all()
    toggled = np.zeros(200, dtype=bool)
    for switch, _ in space.rules.switches:
        toggled |= (rows[:, switch] == 0) != (mutated[:, switch] == 0)
    assert changed(space, rows, mutated) == [2 if t else 1 for t in toggled]


@settings(max_examples=20, deadline=None)
@given(SPACE, SEED)
def test_a_crossing_takes_one_gene_of_the_second_parent(space: Space, seed: int) -> None:
    first, second = drawn(space, 200, seed), drawn(space, 200, seed + 1)
    child = space.cross(first, second, np.random.default_rng(seed + 2))
    assert space.rules.is_valid(child).all()
    assert set(changed(space, first, child)) <= {1, 2}
    differs = child != first
    assert (child[differs] == second[differs])[
        [not idle for idle in _idle(space, child)[differs]]
    ].all()
    assert (space.cross(first, first, np.random.default_rng(0)) == first).all()


def _idle(space: Space, rows: Choices) -> np.ndarray:
    idle = np.zeros(rows.shape, dtype=bool)
    for switch, dependent in space.rules.switches:
        idle[:, dependent] = rows[:, switch] == 0
    return idle


@settings(max_examples=4, deadline=None)
@given(SPACE, SEED)
def test_macs_are_those_that_a_counter_counts(space: Space, seed: int) -> None:
    rows = space.repair(drawn(space, 2, seed))
    costs = space.costs(rows)
    for i, architecture in enumerate(architectures(space, rows)):
        subnet = space.build_subnet(None, architecture).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            subnet(inputs(space, 1))
        assert costs["macs"][i] == counter.get_total_flops() / 2
        assert costs["params"][i] == sum(p.numel() for p in subnet.parameters())


def test_a_cell_has_as_many_valid_genotypes_as_the_paper_sheet_derives() -> None:
    for space, expected in ((SPACES["generator"], 147_744), (SPACES["discriminator"], 511_488)):
        counts = space.rules.counts[:7]
        cells = np.array(list(itertools.product(*(range(c) for c in counts))), dtype=np.int16)
        rest = np.tile(drawn(space, 1, 0)[:, 7:], (len(cells), 1))
        assert int(space.rules.is_valid(np.concatenate([cells, rest], axis=1)).sum()) == expected


def test_random_genotypes_are_uniform_over_the_valid_values_of_a_node() -> None:
    pairs = drawn(SPACES["generator"], 60_000, 0)[:, 2:4]
    counts = np.bincount(pairs[:, 0] * 7 + pairs[:, 1], minlength=49)
    assert counts[0] == 0
    expected = 60_000 / 48
    assert (
        (counts[1:] - expected) ** 2 / expected
    ).sum() < 95  # 47 degrees of freedom, p below 1e-4
    down = drawn(SPACES["discriminator"], 60_000, 0)[:, 5]
    assert abs((down == 0).mean() - 1 / 7) < 0.006
    assert abs((drawn(SPACES["generator"], 60_000, 1)[:, 2] == 0).mean() - 0.125) < 0.006
