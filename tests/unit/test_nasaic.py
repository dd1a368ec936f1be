"""NASAIC's spaces: joint genomes, chips that are repaired, networks whose layers are known without
building them, all priced together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import evoray
import searchspaces
from evoray.pareto import dominance
from evoray.problem.problem import Constraint
from objectives import asic
from objectives.asic.lower import lower, macs
from objectives.asic.specs import WORKLOADS
from objectives.base import Goal
from searchspaces import bignas, nasaic
from searchspaces.base import (
    Choices,
    architecture_of,
    architectures,
    canonical_keys,
    largest,
    options_of,
    smallest,
    space_size,
)
from searchspaces.nasaic.hardware import PUBLISHED, Hardware
from searchspaces.parts.product import Product

CHIP = Hardware()


def drawn(space: Any, count: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
    ).astype(np.int16)


def named(**options: Any) -> dict[str, Any]:
    return {name.replace("__", "."): value for name, value in options.items()}


def test_the_discussed_child_has_its_macs() -> None:
    space = searchspaces.load("nasaic:cifar10")
    child = space.published["NASAIC-discussed"]
    costs = space.costs(np.array([child.choices], dtype=np.int16))
    assert costs["macs"].tolist() == [321_748_992 + 2_560]
    table = space.layers(np.array([child.choices], dtype=np.int16))  # type: ignore[attr-defined]
    assert table["K"][0, 0] * table["C"][0, 0] * 9 * 32 * 32 == 884_736


def test_sizes_of_the_spaces_are_the_sheets() -> None:
    assert space_size(searchspaces.load("nasaic:cifar10")) == 4 * 12**3
    nuclei = searchspaces.load("nasaic:nuclei")
    assert len(np.unique(nuclei.repair(drawn(nuclei, 20_000)), axis=0)) == 248


@pytest.mark.parametrize("preset", ["cifar10", "stl10", "nuclei", "digits"])
def test_layers_are_those_of_the_built_networks_in_order(preset: str) -> None:
    space: Any = searchspaces.load(f"nasaic:{preset}")
    parts = space.networks.values() if isinstance(space, Product) else [space]
    for part in parts:
        chosen = [smallest(part), *architectures(part, drawn(part, 3))]
        rows = np.array([a.choices for a in chosen], dtype=np.int16)
        listed, costs = part.layers(rows), part.costs(rows)
        for row, architecture in enumerate(chosen):
            built = lower(
                part.build_subnet(None, architecture),
                (1, part.in_channels, part.image_size, part.image_size),
            )
            there = listed["count"][row] > 0
            for name in ("type", "K", "C", "R", "S", "OY", "OX", "stride", "count"):
                assert listed[name][row][there].tolist() == built[name].tolist(), name
            assert costs["macs"][row] == macs(built)


def test_a_wide_network_learns_at_a_usual_rate() -> None:
    """The backbone's logits are scaled down; without that their slope makes the first steps
    diverge.
    """
    space = searchspaces.load("nasaic:cifar10-narrow")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = space.build_subnet(None, largest(space))
        images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    losses = []
    for _ in range(4):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)


def test_a_block_left_out_is_the_same_network_wherever_it_stood() -> None:
    space = searchspaces.load("nasaic:stl10")
    front = architecture_of(space, named(block1__width=64, block1__skips=2, block2__width=32))
    back = architecture_of(
        space, named(block3__width=64, block3__skips=2, block4__skips=1, block5__width=32)
    )
    assert front == back
    assert options_of(space, back)["block1.width"] == 64


def test_more_filters_or_skips_never_cost_less() -> None:
    """Compares MACs, weights and energy on fixed sub-accelerators."""
    for name in ("nasaic:cifar10", "nasaic:nuclei"):
        space: Any = searchspaces.load(name)
        rows = space.repair(drawn(space, 40, 1))
        energy = [
            asic.build(space, "energy", slots=[(template, 512, 32)])
            for template in ("dla", "shi", "rs")
        ]
        for column, gene in enumerate(space.genes):
            if gene.name == "height":
                continue
            more = rows.copy()
            more[:, column] = np.minimum(more[:, column] + 1, len(gene.options) - 1)
            more = space.repair(more)
            for cost in ("macs", "params"):
                assert (space.costs(more)[cost] >= space.costs(rows)[cost]).all()
            for model in energy:
                assert (model.evaluate(more) >= model.evaluate(rows)).all(), (
                    gene.name,
                    model.model.slots,
                )


def test_repaired_chips_are_within_budget_and_legal_chips_stay() -> None:
    rows = drawn(CHIP, 3000)
    legal = CHIP.legal(rows)
    assert np.array_equal(CHIP.legal(legal), legal)
    fixed = CHIP.repair(rows)
    assert np.array_equal(CHIP.repair(fixed), fixed)
    for slots in CHIP.slots_of(fixed):
        assert 1 <= len(slots) <= 2
        assert sum(units for _, units, _ in slots) <= 4096
        assert sum(bandwidth for _, _, bandwidth in slots) <= 64
        assert all(
            dataflow != "none" and units and bandwidth for dataflow, units, bandwidth in slots
        )
    raw = CHIP.chips(rows)
    whole = (
        (rows.reshape(-1, 2, 3) > 0).all(axis=2) == (rows.reshape(-1, 2, 3) > 0).any(axis=2)
    ).all(axis=1)
    held = (
        whole & (raw["pes"].sum(axis=1) <= 4096) & (raw["noc_bw_elem_per_cycle"].sum(axis=1) <= 64)
    )
    assert held.sum() > 50
    assert np.array_equal(legal[held], rows[held])


def test_the_order_of_slots_makes_no_other_chip() -> None:
    three = Hardware(num_slots=3)
    legal = three.legal(drawn(three, 500))
    for order in ([0, 1, 2], [2, 0, 1], [1, 0, 2]):
        turned = legal.reshape(-1, 3, 3)[:, order].reshape(len(legal), -1)
        assert np.array_equal(three.canonical(turned), three.canonical(legal))
    assert np.array_equal(three.canonical(three.canonical(legal)), three.canonical(legal))


def test_too_much_is_scaled_together_and_nothing_becomes_the_smallest_chip() -> None:
    # 4096 + 2048 units share 4096 as 2 to 1; bandwidth 64 + 64 as 1 to 1
    rows = np.array([[1, 128, 8, 2, 64, 8], [0, 5, 5, 1, 0, 3]], dtype=np.int16)
    assert CHIP.slots_of(CHIP.legal(rows)) == [
        [("dla", 2720, 32), ("shi", 1344, 32)],
        [("dla", 32, 8)],
    ]


@pytest.mark.parametrize("slots", PUBLISHED.values(), ids=PUBLISHED)
def test_published_chips_are_legal(slots: Any) -> None:
    assert sorted(CHIP.slots_of(CHIP.choices_of(slots))[0]) == sorted(slots)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        (
            [("dla", 4096, 64), ("shi", 2048, 8)],
            r"at most 4096 units .* nearest is \[\('dla', 2720, 56\)",
        ),
        ([("dla", 100, 8)], r"nearest is \[\('dla', 96, 8\)\]"),
        ([("dla", 0, 8)], "none of them 0"),
        ([("tpu", 32, 8)], "no dataflow 'tpu'; there is none, dla, shi, rs"),
        ([("dla", 32, 8)] * 3, "1 to 2 slots, got 3"),
        ([], "1 to 2 slots, got 0"),
    ],
)
def test_chips_over_budget_or_off_the_grid_are_refused_with_the_nearest(
    slots: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        CHIP.choices_of(slots)


def joint(preset: str, count: int, seed: int = 0) -> tuple[Any, Choices]:
    space: Any = searchspaces.load(f"nasaic:{preset}")
    return space, space.repair(drawn(space, count, seed))


def models(space: Any, **options: Any) -> dict[str, Any]:
    first = asic.build(space, "latency", **options)
    return {
        "latency": first,
        "energy": asic.build(space, "energy", model=first.model),
        "area": asic.build(space, "area", model=first.model),
    }


def test_networks_and_chip_are_priced_from_one_genome() -> None:
    space, rows = joint("w1", 200)
    found = {
        name: model.evaluate(rows)
        for name, model in models(space, latency_limit=WORKLOADS["W1"].latency).items()
    }
    assert all(
        np.isfinite(values).all() and (values > 0).all() and (values < 1e30).all()
        for values in found.values()
    )
    # The chip's area is the sum of its slots', whatever the networks.
    widths = [len(part.genes) for part in space.parts]
    others = rows.copy()
    others[:, : sum(widths[:2])] = space.repair(drawn(space, 200, 5))[:, : sum(widths[:2])]
    assert models(space)["area"].evaluate(others).tolist() == found["area"].tolist()
    chips = space.parts[-1].slots_of(rows[:, sum(widths[:2]) :])
    one = {
        "type": ["CONV"],
        "K": [1],
        "C": [1],
        "R": [1],
        "S": [1],
        "OY": [1],
        "OX": [1],
        "stride": [1],
    }
    for slots, area in zip(chips[:20], found["area"], strict=False):
        parts = [
            asic.price(one, {"template": [d], "pes": [u], "noc_bw_elem_per_cycle": [b]}).area[0]
            for d, u, b in slots
        ]
        assert area == pytest.approx(sum(parts), rel=1e-12)


def test_joint_prices_do_not_depend_on_the_company() -> None:
    space, rows = joint("w2", 12)
    for name, model in models(space).items():
        together = model.evaluate(rows)
        assert together.tolist() == [
            float(models(space)[name].evaluate(rows[i : i + 1])[0]) for i in range(12)
        ]


def test_published_scale_of_the_discussed_child_is_met() -> None:
    """The sheet prices this child on (dla, 2112, 48) at 6.7e5 cycles and 2.5e9 nJ with bandwidth on
    every level.
    """
    space: Any = searchspaces.load("nasaic:cifar10")
    row = np.array([space.published["NASAIC-discussed"].choices], dtype=np.int16)
    found = {
        name: float(model.evaluate(row)[0])
        for name, model in models(space, slots=[("dla", 2112, 48)]).items()
    }
    assert found["latency"] == pytest.approx(6.7e5, rel=0.02)
    assert found["energy"] == pytest.approx(2.5e9, rel=0.02)


def test_any_space_can_be_searched_with_a_chip() -> None:
    network = bignas.build("digits")
    space = Product(
        name="mine", labels=("network", "chip"), parts=(network, CHIP), in_channels=1, image_size=16
    )
    rows = space.repair(drawn(space, 5))
    found = models(space)["latency"].evaluate(rows)
    assert (found > 0).all()
    assert found.max() < 1e30
    assert (
        space.costs(rows)["macs"].tolist()
        == network.costs(rows[:, : len(network.genes)])["macs"].tolist()
    )


@dataclass(frozen=True)
class Bigger:
    """Stands for accuracy where nothing is trained: more MACs, better."""

    space: Any
    name: str = "stub"
    unit: str = ""
    goal: Goal = Goal.MAXIMIZE

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return np.log(self.space.costs(choices)["macs"])


def searched(limit: float, seed: int = 0) -> Any:
    space = searchspaces.load("nasaic:digits")
    wanted = [Constraint("asic_latency", at_most=limit)]
    return evoray.search(
        space,
        [Bigger(space), *models(space).values()],
        constraints=wanted,
        evaluations=150,
        seed=seed,
    )


def test_networks_and_chip_are_searched_together_within_a_spec_and_repeatably() -> None:
    first, again = searched(2e4), searched(2e4)
    assert first.records.column("key").to_pylist() == again.records.column("key").to_pylist()
    found = first.front().to_pydict()
    assert len(found["key"]) > 3
    assert max(found["asic_latency"]) <= 2e4
    assert found["key"] != searched(2e4, seed=1).front().to_pydict()["key"]


def test_a_spec_that_nothing_meets_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"satisfies asic_latency .* the nearest found has asic_latency = "
    ):
        searched(1.0)


def test_feasible_designs_come_before_all_others_and_their_front_is_the_pareto_front() -> None:
    rng = np.random.default_rng(0)
    values = {
        "latency": rng.uniform(4e5, 2e6, 400),
        "energy": rng.uniform(1e9, 4e9, 400),
        "area": rng.uniform(2e9, 6e9, 400),
    }
    losses = np.stack([rng.uniform(0, 1, 400), *values.values()], axis=1)
    specs = WORKLOADS["W1"]
    violations = specs.violation(values)
    met = np.nonzero(specs.met(values))[0]
    assert 0 < len(met) < 200
    assert sorted(dominance.front(losses, violations)) == sorted(met[dominance.front(losses[met])])
    rank, _ = dominance.order_of_merit(losses, violations)
    assert rank[met].max() < np.delete(rank, met).min()
    missed = np.delete(np.arange(400), met)
    ordered = missed[np.argsort(violations[missed], kind="stable")]
    assert (np.diff(rank[ordered]) >= 0).all()


def test_a_joint_network_holds_each_tasks_own_with_the_supernets_weights() -> None:
    torch.manual_seed(0)
    space, _ = joint("digits", 1)
    supernet = space.build_supernet()
    architecture = largest(space)
    network = space.build_subnet(supernet, architecture)
    assert list(network.networks) == ["digit", "strokes"]
    assert network.networks["digit"](torch.randn(2, 1, 16, 16)).shape == (2, 10)
    assert network.networks["strokes"](torch.randn(2, 1, 12, 20)).shape == (2, 1, 12, 20)
    own = space.architectures(architecture)["digit"]
    alone = space.networks["digit"].build_subnet(supernet.networks["digit"], own)
    assert torch.equal(alone.stem.weight, network.networks["digit"].stem.weight)
    with pytest.raises(ValueError, match="from its own supernet, got a Linear"):
        space.build_subnet(torch.nn.Linear(1, 1), architecture)


def test_genes_bear_their_parts_names_and_parts_repair_themselves() -> None:
    space, rows = joint("w3", 300)
    assert [gene.name for gene in space.genes][:2] == ["first.stem.width", "first.block1.width"]
    assert space.genes[-1].name == "chip.slot2.bandwidth"
    assert np.array_equal(space.repair(rows), rows)
    assert len(set(canonical_keys(space, rows))) == len(np.unique(rows, axis=0))
    costs = space.costs(rows)
    assert np.array_equal(costs["macs"], costs["first.macs"] + costs["second.macs"])


def test_impossible_products_and_spaces_are_refused() -> None:
    network = bignas.build("digits")
    with pytest.raises(ValueError, match="one distinct label"):
        Product(name="p", labels=("a", "a"), parts=(network, CHIP))
    with pytest.raises(ValueError, match="no part that builds networks"):
        Product(name="p", labels=("a",), parts=(CHIP,))
    with pytest.raises(ValueError, match="without a dot"):
        Product(name="p", labels=("a.b", "c"), parts=(network, CHIP))
    with pytest.raises(ValueError, match="budgets of at least one step"):
        Hardware(most_units=16)
    with pytest.raises(ValueError, match="multiples of their steps"):
        Hardware(most_bandwidth=60)
    with pytest.raises(ValueError, match="halves 3 times"):
        nasaic.ResNet9(name="r", stem_widths=(8,), widths=(8,), num_blocks=3, image_size=4)
    with pytest.raises(ValueError, match="heights of at least 1"):
        nasaic.UNet(name="u", heights=(0, 1))
    with pytest.raises(ValueError, match="no preset 'w4'"):
        nasaic.build("w4")
