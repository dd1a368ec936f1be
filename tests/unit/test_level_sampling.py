"""Complexity levels, the walk over them, drawing in their windows, memory banks, and several
subnets in one batch.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

import searchspaces
from evoray import variation
from evoray.training import samplers
from evoray.training.samplers import Horizon
from evoray.training.samplers.complexity_aware import ComplexityAware
from evoray.training.samplers.multi_architecture import MultiArchitecture
from evoray.training.samplers.parts.complexity_levels import (
    ComplexityLevelDraws,
    ComplexityLevelWalk,
    derive_levels,
    describe_levels,
    draw_above,
    gap_between,
    levels_of,
)
from evoray.training.samplers.performance_aware import PerformanceAware, preference_genes
from evoray.training.samplers.sandwich import Sandwich
from evoray.training.samplers.uniform import Uniform
from searchspaces.base import (
    Architecture,
    Choices,
    ComplexityLevels,
    SearchSpace,
    architectures,
    largest,
    smallest,
)
from tests.synthetic import TableSpace

FINAL = searchspaces.load("elasticvit")
DIGITS = searchspaces.load("elasticvit:digits")
LONG = Horizon(epochs=610, steps_per_epoch=1)


def costs_of(space: SearchSpace, drawn: list[Architecture], cost: str) -> np.ndarray:
    return space.costs(np.array([a.choices for a in drawn], dtype=np.int16))[cost]


def test_the_walk_moves_by_one_rung_stays_at_ends_and_visits_all_alike() -> None:
    levels = np.array([100, 200, 300, 400, 500, 700, 900, 1200])
    walk = ComplexityLevelWalk(8, seed=1)
    path = np.array([walk.at(step) for step in range(30_000)])
    assert path[0] == 0
    moves = np.diff(path)
    assert np.abs(moves).max() == 1
    for end in (0, 7):
        assert abs((moves[path[:-1] == end] == 0).mean() - 2 / 3) < 0.03
    assert (np.abs(np.bincount(path, minlength=8) / len(path) - 1 / 8) < 0.04).all()
    assert abs(np.abs(np.diff(levels[path])).mean() / 91.7 - 1) < 0.08
    again = ComplexityLevelWalk(8, seed=1)
    assert [again.at(step) for step in (20_000, 5, 1024)] == path[[20_000, 5, 1024]].tolist()


STARTS = (100, 200, 400, 700, 900, 1200)


def shares_inside(rows: Choices) -> list[float]:
    """Shares of the rows that lie in each published window, in the whole space."""
    macs = FINAL.costs(rows)["released_macs"] / 1e6
    return [float(((macs >= start) & (macs <= start + 20)).mean()) for start in STARTS]


def test_acceptance_in_the_whole_space_is_what_is_known() -> None:
    kinds, nothing = variation.GeneKinds.of(FINAL.genes), np.zeros(len(FINAL.genes), dtype=np.int16)
    found = shares_inside(draw_above(FINAL, kinds, nothing, 200_000, np.random.default_rng(0)))
    for start, share, known in zip(
        STARTS, found, (0.0028, 0.028, 0.031, 0.016, 0.010, 0.0046), strict=True
    ):
        of_the_sheet = (known / 20_000) ** 0.5  # standard error: its shares come from 20,000 draws
        assert abs(share - known) < 0.05 * known + 2 * of_the_sheet, start


def test_draws_are_those_of_one_gene_after_the_other() -> None:
    rng, count = np.random.default_rng(1), 400_000
    kinds, nothing = variation.GeneKinds.of(FINAL.genes), np.zeros(len(FINAL.genes), dtype=np.int16)
    rows = np.zeros((count, len(FINAL.genes)), dtype=np.int16)
    before = np.zeros(count)
    for column, gene in enumerate(FINAL.genes):
        options = np.array(gene.options)
        bound = gene.name.endswith(".width")
        rows[:, column] = rng.integers(
            np.searchsorted(options, before) if bound else 0, len(options), size=count
        )
        before = options[rows[:, column]] if bound else before
    expected = shares_inside(rows)
    found = shares_inside(draw_above(FINAL, kinds, nothing, count, rng))
    for start, one, other in zip(STARTS, found, expected, strict=True):
        assert abs(one - other) < 4 * (2 * other / count) ** 0.5, start


def reference_draw(level: int, levels: ComplexityLevels, rng: random.Random) -> tuple[int, ...]:
    """The authors' way, one gene after another: a width below the stage before is drawn again, a
    subnet outside the window too.
    """
    names = [gene.name for gene in DIGITS.genes]
    floor = levels.floors[level].choices
    while True:
        row, before = [], 8  # the stem's only width
        for name, gene, low in zip(names, DIGITS.genes, floor, strict=True):
            choice = rng.randrange(low, len(gene.options))
            while name.endswith(".width") and gene.options[choice] < before:
                choice = rng.randrange(low, len(gene.options))
            if name.endswith(".width"):
                before = gene.options[choice]
            row.append(choice)
        cost = DIGITS.costs(np.array([row], dtype=np.int16))[levels.cost][0]
        if levels.starts[level] <= cost <= levels.starts[level] + levels.span:
            return tuple(row)


def test_the_window_sampler_has_the_distribution_of_drawing_again_and_again() -> None:
    derived = derive_levels(DIGITS)
    # wider than in training, so that the slow way finds enough; the window is cut out of the same
    # distribution
    levels = ComplexityLevels(derived.cost, derived.starts, 8 * derived.span, derived.floors)
    level, count = 3, 1500
    slow_rng = random.Random(0)
    slow = np.array([reference_draw(level, levels, slow_rng) for _ in range(count)])
    fast = ComplexityLevelDraws(DIGITS, levels).draw(level, 20 * count, np.random.default_rng(0))
    for gene, spec in enumerate(DIGITS.genes):
        expected = np.bincount(fast[:, gene], minlength=len(spec.options)) / len(fast)
        found = np.bincount(slow[:, gene], minlength=len(spec.options))
        there = expected > 0
        assert found[~there].sum() == 0
        chi_square = ((found - count * expected)[there] ** 2 / (count * expected[there])).sum()
        assert chi_square < 30, spec.name  # 2 degrees of freedom: 1 in 3 million
    pairs = [DIGITS.genes[i].name for i in range(len(DIGITS.genes))]
    first, second = pairs.index("stage2.width"), pairs.index("stage3.width")
    joint_fast = Counter(zip(fast[:, first].tolist(), fast[:, second].tolist(), strict=True))
    joint_slow = Counter(zip(slow[:, first].tolist(), slow[:, second].tolist(), strict=True))
    expected = np.array([joint_fast[key] / len(fast) * count for key in sorted(joint_fast)])
    found = np.array([joint_slow[key] for key in sorted(joint_fast)])
    assert sum(joint_slow.values()) == found.sum()
    assert ((found - expected) ** 2 / expected).sum() < 45


def test_bound_genes_are_uniform_over_what_is_allowed_and_genes_without_meaning_are_zero() -> None:
    kinds = variation.GeneKinds.of(FINAL.genes)
    rows = draw_above(
        FINAL, kinds, np.zeros(len(FINAL.genes), dtype=np.int16), 60_000, np.random.default_rng(2)
    )
    assert np.array_equal(FINAL.repair(rows), rows)
    names = [gene.name for gene in FINAL.genes]
    third, fourth = names.index("stage5.width"), names.index("stage6.width")
    given = rows[rows[:, third] == 5]  # 224 channels leave 224 to 320, 7 options
    shares = np.bincount(given[:, fourth], minlength=11) / len(given)
    assert shares[:4].sum() == 0
    assert np.abs(shares[4:] - 1 / 7).max() < 0.02
    table = TableSpace()
    drawn = draw_above(
        table,
        variation.GeneKinds.of(table.genes),
        np.zeros(5, dtype=np.int16),
        6000,
        np.random.default_rng(0),
    )
    assert np.abs(np.bincount(drawn[:, 0]) / 6000 - 1 / 3).max() < 0.03
    assert not drawn[drawn[:, 0] == 0, 2:4].any()
    assert np.abs(np.bincount(drawn[:, 1]) / 6000 - 1 / 6).max() < 0.03


@pytest.mark.parametrize("space", [FINAL, DIGITS], ids=["final", "digits"])
def test_every_subnet_lies_in_the_step_s_window_and_above_its_floor(space: SearchSpace) -> None:
    sampler = ComplexityAware(space, seed=5, num_random=3)
    levels, before = sampler.levels, None
    for step in range(60):
        *drawn, floor = sampler.sample(step)
        level = sampler.level(step)
        assert floor == levels.floors[level]
        assert largest(space) not in drawn
        costs = costs_of(space, drawn, levels.cost)
        assert len(drawn) == 3
        assert (costs >= levels.starts[level]).all()
        assert (costs <= levels.starts[level] + levels.span).all()
        assert all((np.array(a.choices) >= np.array(floor.choices)).all() for a in drawn)
        if before is not None:
            assert np.abs(costs[:, None] - before).max() <= gap_between(levels)
        before = costs


def test_published_levels_leave_neighbouring_steps_at_most_320_million_apart() -> None:
    assert gap_between(levels_of(FINAL)) == 320e6


@pytest.mark.parametrize(
    (
        "name",
        "num_floors",
        # where even the highest band starts below twice the smallest network's cost, there is one
        # floor
    ),
    [
        ("elasticvit:digits", 3),
        ("elasticvit:cifar", 3),
        ("bignas:digits", 3),
        ("vit_resnas:digits", 1),
        ("vit_resnas", 2),
    ],
)
def test_derived_levels_can_be_drawn_from_and_have_affordable_floors(
    name: str, num_floors: int
) -> None:
    space = searchspaces.load(name)
    rows = describe_levels(space, levels_of(space))
    assert len(rows) == 8
    assert all(row.floor_cost <= row.start for row in rows)
    assert all(row.acceptance > 0.001 for row in rows)
    assert rows[0].floor == smallest(space)
    assert len({row.floor.key for row in rows}) == num_floors
    assert all(a.floor_cost <= b.floor_cost for a, b in itertools.pairwise(rows))


def test_a_window_without_networks_is_refused_with_what_was_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evoray.training.samplers.parts.complexity_levels._MOST_ROWS", 5000)
    empty = ComplexityLevels("macs", (1e12,), 1.0, (smallest(DIGITS),))
    with pytest.raises(
        ValueError, match="level 0 of space 'elasticvit:digits' holds next to no network"
    ):
        ComplexityLevelDraws(DIGITS, empty).draw(0, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="ascending starts"):
        ComplexityLevels("macs", (2.0, 1.0), 1.0, (smallest(DIGITS),) * 2)


def aware(
    space: SearchSpace,
    *,
    capacities: tuple[int, int] = (20, 10),
    horizon: Horizon = LONG,
    prefer: bool = True,
) -> PerformanceAware:
    inner = ComplexityAware(space, seed=0, num_random=3)
    return PerformanceAware(
        inner, space, seed=0, horizon=horizon, capacities=capacities, prefer=prefer
    )


def score_of(architecture: Architecture) -> float:
    """A frozen scorer."""
    return float(np.sin(np.dot(architecture.choices, np.arange(1, len(architecture.choices) + 1))))


def test_a_full_bank_only_gets_better_and_never_overflows() -> None:
    sampler = aware(DIGITS, capacities=(8, 4))
    levels, worst = levels_of(DIGITS), {}
    for step in range(250):
        drawn = sampler.sample(step)
        sampler.feedback(drawn, [-score_of(a) for a in drawn])
        for level, bank in enumerate(sampler.banks):
            assert len(bank) <= (8 if level < 4 else 4) == sampler.capacity(level)
            if len(bank) == sampler.capacity(level):
                lowest = min(score for _, score in bank)
                assert lowest >= worst.get(level, -2.0)
                worst[level] = lowest
            if bank:
                costs = DIGITS.costs(np.array([choices for choices, _ in bank], dtype=np.int16))[
                    levels.cost
                ]
                assert (
                    (costs >= levels.starts[level]) & (costs <= levels.starts[level] + levels.span)
                ).all()
    assert len(worst) >= 4


def test_the_rate_of_exploiting_grows_by_epochs_as_published() -> None:
    sampler = aware(DIGITS)
    rates = [sampler.rate(epoch) for epoch in (0, 98, 99, 198, 199, 299, 399, 499, 598, 599, 609)]
    assert np.allclose(rates, [0.2, 0.2, 0.35, 0.35, 0.5, 0.65, 0.8, 0.95, 0.95, 1.0, 1.0])


@pytest.mark.parametrize(
    ("entries", "step", "rate"), [(21, 0, 0.2), (21, 250, 0.5), (20, 250, 0.0), (21, 605, 1.0)]
)
def test_subnets_come_from_the_bank_at_that_rate_once_it_is_more_than_half_full(
    entries: int, step: int, rate: float
) -> None:
    sampler = aware(DIGITS, capacities=(40, 40))
    marker = smallest(DIGITS)  # below every window, so that it can come from a bank only
    sampler.banks = [[(marker.choices, 0.0)] * entries for _ in sampler.banks]
    sampler._horizon = Horizon(epochs=610, steps_per_epoch=1)
    taken = []
    for seed in range(120):
        sampler._seed = seed
        taken += [a == marker for a in sampler.sample(step)[:-1]]
    assert abs(np.mean(taken) - rate) < 0.1
    assert rate not in (0.0, 1.0) or np.mean(taken) == rate


def test_the_bank_is_drawn_from_by_the_softmax_of_scores() -> None:
    sampler = aware(DIGITS, capacities=(3, 3))
    entries = architectures(DIGITS, draw_above_any(40))[:3]
    scores = np.array([-0.5, -1.5, -2.0])
    sampler.banks = [
        [(a.choices, s) for a, s in zip(entries, scores.tolist(), strict=True)]
        for _ in sampler.banks
    ]
    counts: Counter[str] = Counter()
    for seed in range(600):
        sampler._seed = seed
        counts.update(a.key for a in sampler.sample(609)[:-1])
    expected = 1800 * np.exp(scores) / np.exp(scores).sum()
    assert sum(counts.values()) == 1800
    assert (
        (np.array([counts[a.key] for a in entries]) - expected) ** 2 / expected
    ).sum() < 20  # 2 degrees of freedom


def draw_above_any(count: int) -> Choices:
    kinds = variation.GeneKinds.of(DIGITS.genes)
    return draw_above(
        DIGITS, kinds, np.zeros(len(DIGITS.genes), dtype=np.int16), count, np.random.default_rng(9)
    )


@pytest.mark.parametrize(
    "level", [2, pytest.param(4, marks=pytest.mark.slow), 5]
)  # 300, 500 and 700 million
def test_the_preferred_are_wide_and_shallow(level: int) -> None:
    widths, depths = preference_genes(FINAL)
    assert len(widths) == len(depths) == 4
    options = [np.array([float(o) for o in gene.options]) for gene in FINAL.genes]

    def totals(rows: Choices, columns: list[int]) -> np.ndarray:
        return np.asarray(sum(options[c][rows[:, c]] for c in columns))

    drawer, rng = ComplexityLevelDraws(FINAL, levels_of(FINAL)), np.random.default_rng(level)
    others = drawer.draw(level, 400, rng)
    groups = drawer.draw(level, 5 * 150, rng).reshape(150, 5, -1)
    sampler = aware(FINAL)
    preferred = np.stack([group[sampler._preferred(group, level)] for group in groups])
    first = groups[:, 0]
    wide = (totals(preferred, widths) >= np.median(totals(others, widths))).mean()
    shallow = (totals(preferred, depths) <= np.median(totals(others, depths))).mean()
    assert wide > 0.7
    assert shallow > 0.7
    assert wide > (totals(first, widths) >= np.median(totals(others, widths))).mean() + 0.1
    assert aware(FINAL, prefer=False)._preferred(groups[0], level) == 0


def test_the_anchor_is_the_best_of_the_lowest_bank() -> None:
    sampler = aware(DIGITS)
    assert sampler._anchor(3).tolist() == list(smallest(DIGITS).choices)
    best, other = architectures(DIGITS, draw_above_any(2))
    sampler.banks[0] = [(other.choices, -1.0), (best.choices, -0.5)]
    assert sampler._anchor(3).tolist() == list(best.choices)
    assert sampler._anchor(0).tolist() == list(smallest(DIGITS).choices)


def test_refreshing_scores_anew() -> None:
    sampler = aware(DIGITS)
    for step in range(20):
        drawn = sampler.sample(step)
        sampler.feedback(drawn, [1.0] * len(drawn))
    held = [len(bank) for bank in sampler.banks]
    assert sum(held) > 0
    calls: list[int] = []

    def losses_of(found: Sequence[Architecture]) -> list[float]:
        calls.append(len(found))
        return [-score_of(architecture) for architecture in found]

    sampler.refresh(sum(held) - 1, losses_of)
    assert not calls, "scored again before as many steps had passed as there are entries"
    sampler.refresh(sum(held), losses_of)
    sampler.refresh(sum(held) + 1, losses_of)
    assert calls == [sum(held)]
    assert [len(bank) for bank in sampler.banks] == held
    for bank in sampler.banks:
        for choices, score in bank:
            assert score == score_of(architectures(DIGITS, np.array([choices], dtype=np.int16))[0])


def test_a_short_training_has_banks_that_it_can_fill() -> None:
    short, long = (
        samplers.load(
            "performance_aware",
            DIGITS,
            seed=0,
            num_random=3,
            horizon=Horizon(epochs=epochs, steps_per_epoch=800),
        )
        for epochs in (0.4, 610)
    )
    assert isinstance(short, PerformanceAware)
    assert isinstance(long, PerformanceAware)
    assert (short.capacity(0), short.capacity(7)) == (20, 15)
    assert (long.capacity(0), long.capacity(7)) == (150, 50)


@pytest.mark.parametrize("kind", [Uniform, Sandwich, ComplexityAware])
def test_any_sampler_can_be_made_performance_aware_and_restored(kind: type) -> None:
    def build() -> PerformanceAware:
        return PerformanceAware(
            kind(DIGITS, seed=4, num_random=2),
            DIGITS,
            seed=4,
            horizon=Horizon(epochs=6, steps_per_epoch=10),
        )

    sampler, copy = build(), build()
    for step in range(120):
        drawn = sampler.sample(step)
        sampler.feedback(drawn, [-score_of(a) for a in drawn])
    if kind is Sandwich:
        assert (drawn[0], drawn[-1]) == (largest(DIGITS), smallest(DIGITS))
    assert sum(len(bank) for bank in sampler.banks) >= 50
    copy.restore(json.loads(json.dumps(sampler.state())))
    assert copy.state() == sampler.state()
    assert [copy.sample(step) for step in range(120, 140)] == [
        sampler.sample(step) for step in range(120, 140)
    ]


def test_options_open_from_large_to_small_as_published() -> None:
    space = searchspaces.load("vit_resnas")
    names = [gene.name for gene in space.genes]
    sampler = MultiArchitecture(
        space, seed=0, num_random=2, horizon=Horizon(epochs=120, steps_per_epoch=1)
    )
    opening = {
        what: [sampler.num_open(names.index(f"stage1.{what}"), epoch) for epoch in range(40)]
        for what in ("width", "block1.heads", "block1.hidden", "block2.exists")
    }

    def opened_at(what: str) -> list[int]:
        return [opening[what].index(n) for n in range(1, max(opening[what]) + 1)]

    assert opened_at("width") == [0, 8, 15, 23, 30]
    assert opened_at("block1.heads") == [0, 10, 20, 30]
    assert opened_at("block1.hidden") == [0, 5, 10, 15, 20, 25, 30]
    assert [a.key for a in sampler.sample(0)] == [largest(space).key] * 2
    exists = names.index("stage1.block2.exists")
    for epoch, share in ((0, 1.0), (19, 1.0), (25, 2 / 3), (60, 0.5)):
        kept = []
        for seed in range(300):
            sampler._seed = seed
            kept += [a.choices[exists] for a in sampler.sample(epoch)]
        assert abs(np.mean(kept) - share) < (0.08 if share < 1 else 1e-9)


def test_subnets_of_a_step_share_no_option_and_options_are_uniform() -> None:
    space = searchspaces.load("vit_resnas")
    names = [gene.name for gene in space.genes]
    sampler = MultiArchitecture(
        space, seed=0, num_random=3, horizon=Horizon(epochs=4, steps_per_epoch=1)
    )
    steps = [np.array([a.choices for a in sampler.sample(step)]) for step in range(2, 702)]
    for name in ("stage1.width", "stage3.width", "stage2.block1.heads", "stage2.block1.hidden"):
        column = names.index(name)
        assert all(len(set(rows[:, column].tolist())) == 3 for rows in steps)
        counts = np.bincount(np.concatenate([rows[:, column] for rows in steps]))
        expected = 2100 / len(space.genes[column].options)
        assert ((counts - expected) ** 2 / expected).sum() < 30
    assert any(not np.array_equal(a, b) for a, b in itertools.pairwise(steps))
