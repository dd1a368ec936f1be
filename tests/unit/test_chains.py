"""Draws aimed at a window against the exact distribution, and what a space's chain promises."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

import searchspaces
from evoray.training.samplers.parts.budgeted_draws import BudgetedDraws
from evoray.training.samplers.parts.complexity_levels import ComplexityLevelDraws, levels_of
from searchspaces.base import ComplexityLevels, architectures, smallest

SPACES = ["elasticvit", "elasticvit:digits", "elasticvit:cifar"]


@pytest.mark.parametrize("name", SPACES)
def test_the_parts_of_a_chain_add_up_to_every_cost(name: str) -> None:
    space: Any = searchspaces.load(name)
    rows = space.repair(
        np.random.default_rng(0).integers(0, 12, size=(500, len(space.genes))).astype(np.int16)
    )
    for cost, expected in space.costs(rows).items():
        chain = space.cost_chain(cost)
        total = np.zeros(len(rows))
        for tables, link, last in zip(chain.parts, chain.links, (None, *chain.links), strict=False):
            known = {*chain.shared, link, last}
            for table in tables:
                own = set(table.columns) - known
                assert not own & {*chain.links}, (
                    "a part depends on a link that is neither its own nor that of the part before"
                )
                total += table.values[chain.cost][
                    sum(
                        rows[:, c].astype(int) * s
                        for c, s in zip(table.columns, table.strides, strict=True)
                    )
                ]
        np.testing.assert_array_equal(total, expected)


@pytest.mark.parametrize("name", SPACES)
def test_repair_does_nothing_to_a_chain_but_raise_links(name: str) -> None:
    space: Any = searchspaces.load(name)
    counts = np.array([len(gene.options) for gene in space.genes])
    rows = (np.random.default_rng(1).random((2000, len(counts))) * counts).astype(np.int16)
    repaired, links = (
        space.repair(rows),
        [link for link in space.cost_chain("macs").links if link is not None],
    )
    others = np.setdiff1d(np.arange(len(counts)), links)
    np.testing.assert_array_equal(repaired[:, others], rows[:, others])
    assert (repaired >= rows).all()


def exact(space: Any, floor: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Every row above a floor with its probability: genes uniform from left to right over what is
    allowed.
    """
    options = [range(low, len(gene.options)) for low, gene in zip(floor, space.genes, strict=True)]
    rows = np.array(list(itertools.product(*options)), dtype=np.int16)
    rows = rows[(space.repair(rows) == rows).all(axis=1)]
    weights = np.ones(len(rows))
    for column in range(rows.shape[1]):
        _, prefix = (
            np.unique(rows[:, :column], axis=0, return_inverse=True)
            if column
            else (None, np.zeros(len(rows), dtype=int))
        )
        _, longer = np.unique(rows[:, : column + 1], axis=0, return_inverse=True)
        allowed = np.zeros(prefix.max() + 1)
        np.add.at(allowed, prefix[np.unique(longer, return_index=True)[1]], 1)
        weights /= allowed[prefix]
    return rows, weights


@pytest.mark.parametrize("raised", [0, 1])
def test_draws_in_a_window_have_the_exact_distribution(raised: int) -> None:
    space: Any = searchspaces.load("elasticvit:digits")
    stages = tuple(
        dataclasses.replace(stage, depths=stage.depths[:2], mlp_ratios=stage.mlp_ratios[:2])
        for stage in space.transformer_stages
    )
    space = dataclasses.replace(
        space, transformer_stages=stages, stem_kernels=space.stem_kernels[:1]
    )
    floor = architectures(
        space,
        np.array([smallest(space).choices], dtype=np.int16)
        + raised * (np.arange(len(space.genes)) % 3 == 0),
    )[0]
    rows, weights = exact(space, floor.choices)
    costs = space.costs(rows)["macs"]
    for quantile, share in ((0.02, 0.1), (0.5, 0.04), (0.97, 0.1)):
        start = float(np.quantile(costs, quantile))
        drawer = ComplexityLevelDraws(
            space, ComplexityLevels("macs", (start,), share * start, (floor,))
        )
        assert drawer._aimed_at(0) is not None
        inside = drawer.fits(0, costs)
        check(drawer, rows[inside], weights[inside] / weights[inside].sum())


def check(drawer: ComplexityLevelDraws, rows: np.ndarray, probabilities: np.ndarray) -> None:
    """Draws against the probability of every row, in cells of at least 20 expected draws each."""
    drawn = drawer.draw(0, 40_000, np.random.default_rng(0))
    key = {row.tobytes(): index for index, row in enumerate(rows)}
    found = np.bincount([key[row.tobytes()] for row in drawn], minlength=len(rows))
    expected = 40_000 * probabilities
    order = np.argsort(-expected)
    cells = np.minimum((np.cumsum(expected[order]) / 20).astype(int), int(expected.sum() / 20) - 1)
    observed, wanted = (np.bincount(cells, weights=values[order]) for values in (found, expected))
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    statistic = ((observed - wanted) ** 2 / wanted).sum()
    assert chi2.sf(statistic, len(wanted) - 1) > 1e-4, (
        f"{statistic:.0f} at {len(wanted) - 1} degrees of freedom"
    )


def test_most_of_what_is_aimed_lies_inside_and_an_empty_window_says_so() -> None:
    space: Any = searchspaces.load("elasticvit")
    levels = levels_of(space)
    for level in (0, 3, 7):
        aimed = BudgetedDraws(
            space,
            space.cost_chain(levels.cost),
            levels.floors[level].choices,
            start=levels.starts[level],
            span=levels.span,
        )
        rows = aimed.draw(3000, np.random.default_rng(level))
        costs = space.costs(rows)[levels.cost]
        inside = (costs >= levels.starts[level]) & (costs <= levels.starts[level] + levels.span)
        assert len(rows) > 2990
        assert inside.mean() > 0.5
    floor = smallest(space)
    assert BudgetedDraws(
        space, space.cost_chain("macs"), floor.choices, start=1e6, span=1e6
    ).is_empty
    with pytest.raises(ValueError, match="holds next to no network"):
        ComplexityLevelDraws(space, ComplexityLevels("macs", (1e6,), 1e6, (floor,))).draw(
            0, 4, np.random.default_rng(0)
        )
    narrow = ComplexityLevelDraws(space, ComplexityLevels("macs", (5e8,), 1e4, (floor,)))
    assert narrow._aimed_at(0) is not None
    assert narrow.fits(0, space.costs(narrow.draw(0, 20, np.random.default_rng(0)))["macs"]).all()
