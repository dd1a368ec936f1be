"""The search-space contract, for every preset of every space in the folder."""

from __future__ import annotations

import dataclasses
import pickle
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

import searchspaces
from searchspaces.base import (
    Architecture,
    Choices,
    SearchSpace,
    architecture_of,
    architectures,
    as_json,
    canonical_keys,
    decoding_columns,
    largest,
    options_of,
    smallest,
)

SPACES = [
    f"{name}:{preset}" if preset else name
    for name in searchspaces.names()
    for preset in searchspaces.presets(name) or [""]
]
QUICK_MACS = (
    3e7  # beyond this many for its largest network, a space's tests that run networks are slow
)
MOST_MACS = 1e10


@cache
def loaded(name: str) -> SearchSpace:
    return searchspaces.load(name)


def networks_of(name: str) -> object:
    space = loaded(name)
    macs = space.costs(np.array([largest(space).choices], dtype=np.int16))["macs"][0]
    return pytest.param(name, marks=pytest.mark.slow) if macs > QUICK_MACS else name


DECODED = [name for name in SPACES if decoding_columns(loaded(name))]
NETWORKS = [networks_of(name) for name in SPACES]


def sampled(space: SearchSpace, count: int, seed: int = 0) -> Choices:
    """Rows as a searcher may propose them, not repaired."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
    ).astype(np.int16)


def networks(space: SearchSpace, count: int) -> list[Architecture]:
    """Both ends of the space and so many drawn ones; where the largest is too large to run at its
    own resolution, which changes no weight, one drawn one and all at the least.
    """
    ends = np.array([smallest(space).choices, largest(space).choices], dtype=np.int16)
    rows = np.concatenate([ends, sampled(space, count)])
    names = [gene.name for gene in space.genes]
    if "resolution" in names and space.costs(ends)["macs"].max() > MOST_MACS:
        rows = rows[:3]
        rows[:, names.index("resolution")] = 0
    return architectures(space, rows)


def values(outputs: Tensor | tuple[Tensor, ...]) -> Tensor:
    """All numbers of one output or several, in one row."""
    several = (outputs,) if isinstance(outputs, Tensor) else outputs
    return torch.cat([output.flatten() for output in several])


def inputs(space: SearchSpace, architecture: Architecture, count: int = 2) -> Tensor:
    """Inputs of the space's `input_shape`; else images with its `in_channels`, a side as the gene
    "resolution" or its `image_size`.
    """
    if shape := getattr(space, "input_shape", None):
        return torch.randn(count, *shape)
    side = options_of(space, architecture).get("resolution", getattr(space, "image_size", 32))
    return torch.randn(count, getattr(space, "in_channels", 3), int(side), int(side))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_is_found_by_the_name_it_bears(name: str) -> None:
    space = loaded(name)
    assert searchspaces.load(space.name).name == space.name
    assert space.genes
    assert len({gene.name for gene in space.genes}) == len(space.genes)


@pytest.mark.parametrize("name", SPACES)
def test_repair_is_idempotent_and_valid_and_keeps_types(name: str) -> None:
    space = loaded(name)
    counts = np.array([len(gene.options) for gene in space.genes])
    rows = sampled(space, 500)
    before = rows.copy()
    repaired = space.repair(rows)
    assert np.array_equal(rows, before), "repair changed its argument"
    assert repaired.dtype == np.int16
    assert repaired.shape == rows.shape
    assert (repaired >= 0).all()
    assert (repaired < counts).all()
    assert np.array_equal(space.repair(repaired), repaired)


@pytest.mark.parametrize("name", SPACES)
def test_equal_keys_are_equal_rows(name: str) -> None:
    space = loaded(name)
    rows = space.repair(sampled(space, 2000))
    rows = np.concatenate([rows, rows[:50]])
    keys = canonical_keys(space, rows)
    assert len(set(keys)) == len(np.unique(rows, axis=0)) < len(rows)
    assert keys[:50] == keys[-50:]


@pytest.mark.parametrize("name", SPACES)
def test_costs_of_many_are_the_costs_of_each_finite_and_positive(name: str) -> None:
    space = loaded(name)
    rows = space.repair(sampled(space, 60))
    together = space.costs(rows)
    assert {"macs", "params"} <= set(together)
    for cost, values in together.items():
        assert values.shape == (60,)
        assert values.dtype == np.float64
        assert np.isfinite(values).all()
        assert (values > 0).all()
        assert values.tolist() == [float(space.costs(rows[i : i + 1])[cost][0]) for i in range(60)]
    assert {cost: len(values) for cost, values in space.costs(rows[:0]).items()} == dict.fromkeys(
        together, 0
    )


@pytest.mark.parametrize("name", DECODED)
def test_genes_of_decoding_are_left_alone_and_cost_nothing(name: str) -> None:
    space, columns = loaded(name), decoding_columns(loaded(name))
    rows = sampled(space, 200)
    repaired = space.repair(rows)
    assert np.array_equal(repaired[:, columns], rows[:, columns])
    others = repaired.copy()
    others[:, columns] = sampled(space, 200, seed=1)[:, columns]
    assert np.array_equal(space.repair(others), others)
    costs = space.costs(others)
    assert {cost: v.tolist() for cost, v in space.costs(repaired).items()} == {
        cost: v.tolist() for cost, v in costs.items()
    }


@pytest.mark.parametrize("name", SPACES)
def test_options_and_architectures_translate_both_ways(name: str) -> None:
    space = loaded(name)
    for architecture in [
        smallest(space),
        largest(space),
        *architectures(space, sampled(space, 20)),
    ]:
        assert architecture_of(space, options_of(space, architecture)) == architecture
        assert as_json(architecture, space)["key"] == architecture.key


@pytest.mark.parametrize("name", SPACES)
def test_published_architectures_are_canonical(name: str) -> None:
    space = loaded(name)
    for architecture in space.published.values():
        rows = np.array([architecture.choices], dtype=np.int16)
        assert architecture.space == space.name
        assert np.array_equal(space.repair(rows), rows)
        assert canonical_keys(space, rows) == [architecture.key]
    assert len({a.key for a in space.published.values()}) == len(space.published)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_pickles_also_after_use(name: str) -> None:
    space = searchspaces.load(name)
    rows = space.repair(sampled(space, 5))
    costs = space.costs(rows)
    again = pickle.loads(pickle.dumps(space))
    assert again == space
    assert {cost: values.tolist() for cost, values in again.costs(rows).items()} == {
        cost: v.tolist() for cost, v in costs.items()
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_those_of_the_built_networks(name: str) -> None:
    space = loaded(name)
    chosen = [smallest(space), largest(space), *architectures(space, sampled(space, 3))]
    params = space.costs(np.array([a.choices for a in chosen], dtype=np.int16))["params"]
    assert params.tolist() == [
        sum(p.numel() for p in space.build_subnet(None, a).parameters()) for a in chosen
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_an_extracted_network_computes_what_the_supernet_computes(name: str) -> None:
    space = loaded(name)
    supernet = space.build_supernet()
    for parameter in supernet.parameters():
        if parameter.ndim == 1:  # scales that start at 0 would hide whole blocks
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    # deep networks make rounding of single numbers, whose order of sums is the processor's, visible
    supernet.double()
    for architecture in networks(space, 4):
        x = inputs(space, architecture).double()
        with torch.no_grad():
            inherited = values(supernet(x, architecture))
            alone = values(space.build_subnet(supernet, architecture).double().train()(x))
        assert inherited.std() > 0
        assert (inherited - alone).abs().max().item() < 1e-9 * max(
            1.0, inherited.abs().max().item()
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_an_extracted_network_owns_its_memory(name: str) -> None:
    space = loaded(name)
    supernet = space.build_supernet()
    taken = {p.untyped_storage().data_ptr() for p in supernet.parameters()}
    for architecture in (smallest(space), largest(space)):
        subnet = space.build_subnet(supernet, architecture)
        assert not taken & {p.untyped_storage().data_ptr() for p in subnet.parameters()}
        assert all(p.requires_grad for p in subnet.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_supernet_refuses_an_architecture_of_another_space(name: str) -> None:
    space = loaded(name)
    foreign = dataclasses.replace(smallest(space), space="elsewhere")
    with pytest.raises(ValueError, match="elsewhere"):
        space.build_supernet()(inputs(space, smallest(space)), foreign)
    with pytest.raises(ValueError, match="elsewhere"):
        space.build_subnet(None, foreign)


def test_a_space_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no search space 'bigna'; did you mean 'bignas'"):
        searchspaces.load("bigna")
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        searchspaces.load("bignas:digit")
