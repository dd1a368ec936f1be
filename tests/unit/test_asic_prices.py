"""The laws of the accelerator cost model, without reference data."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from benchmarks.asic_price import tables
from objectives import asic
from objectives.asic import constants as sets

DIMENSIONS = ("K", "C", "R", "S", "OY", "OX", "stride")
MODES = ["maestro2019", "maestro2021", "eyeriss", "physical", "cacti45"]
# <template, units, bandwidth> pairs of NASAIC's Table I, and the area that the formulas give them,
# um2
TABLE_I = [
    ([("dla", 2112, 48), ("shi", 1984, 16)], 4.524e9),
    ([("dla", 1088, 24), ("shi", 2368, 40)], 3.680e9),
    ([("dla", 576, 56), ("shi", 1792, 8)], 1.902e9),
    ([("dla", 2368, 56), ("shi", 1728, 8)], 4.644e9),
    ([("dla", 2112, 24), ("shi", 1536, 40)], 3.684e9),
    ([("dla", 2112, 40), ("shi", 1184, 24)], 3.193e9),
]


def layer(**changed: Any) -> dict[str, list[Any]]:
    row: dict[str, Any] = {
        "type": "CONV",
        "K": 64,
        "C": 32,
        "R": 3,
        "S": 3,
        "OY": 14,
        "OX": 14,
        "stride": 1,
    }
    return {name: [value] for name, value in {**row, **changed}.items()}


def chip(**changed: Any) -> dict[str, list[Any]]:
    row: dict[str, Any] = {
        "template": "dla",
        "pes": 256,
        "noc_bw_elem_per_cycle": 32,
        "noc_scope": "top",
    }
    return {name: [value] for name, value in {**row, **changed}.items()}


def one(
    layers: dict[str, list[Any]], chips: dict[str, list[Any]], constants: str = "maestro2019"
) -> dict[str, float]:
    prices = asic.price(layers, chips, constants=constants)
    return {
        name: float(prices[name][0]) for name in ("cycles", "energy", "utilization", "area")
    } | {  # type: ignore[index]
        path: float(words[0]) for path, words in prices.traffic.items()
    }


def varied(count: int, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Layers of any shape on chips of any size."""
    rng = np.random.default_rng(seed)
    depthwise = rng.random(count) < 0.3
    kernel = rng.choice([1, 3, 5, 7], count)
    layers: dict[str, np.ndarray] = {"type": np.where(depthwise, "DWCONV", "CONV")}
    layers |= {
        "K": np.where(depthwise, 1, rng.integers(1, 600, count)),
        "C": rng.integers(1, 600, count),
        "R": kernel,
        "S": kernel,
    }
    layers |= {
        "OY": rng.integers(1, 120, count),
        "OX": rng.integers(1, 120, count),
        "stride": rng.integers(1, 3, count),
    }
    chips = {
        "template": rng.choice(["dla", "shi", "rs"], count),
        "pes": rng.integers(16, 4097, count),
        "noc_bw_elem_per_cycle": rng.integers(1, 65, count),
        "noc_scope": rng.choice(["none", "top", "all"], count),
    }
    return layers, chips


@pytest.mark.parametrize(("slots", "expected"), TABLE_I)
def test_areas_of_the_published_chips(slots: list[tuple[str, int, int]], expected: float) -> None:
    columns = [list(column) for column in zip(*slots, strict=True)]
    layers = {name: values * 2 for name, values in layer().items()}
    prices = asic.price(
        layers, dict(zip(("template", "pes", "noc_bw_elem_per_cycle"), columns, strict=True))
    )
    assert prices.area.sum() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("constants", MODES)
def test_prices_are_finite_and_units_do_no_more_than_one_mac_a_cycle(constants: str) -> None:
    layers, chips = varied(4000, 1)
    prices = asic.price(layers, chips, constants=constants)
    macs = np.prod(
        [layers[name].astype(float) for name in ("K", "C", "R", "S", "OY", "OX")], axis=0
    )
    assert np.isfinite(prices.energy).all()
    assert (prices.cycles * chips["pes"] >= macs).all()
    assert (prices.cycles == np.floor(prices.cycles)).all()
    assert (prices.utilization > 0).all()
    assert (prices.utilization <= 1).all()
    assert (prices.energy >= sets.load(constants).mac_energy * macs).all()
    assert (prices.area > 0).all()
    assert all((words >= 0).all() for words in prices.traffic.values())


@pytest.mark.parametrize("constants", ["maestro2019", "physical"])
def test_many_rows_are_priced_as_each_alone_bit_for_bit(constants: str) -> None:
    layers, chips = varied(300, 2)
    together = asic.price(layers, chips, constants=constants)
    back = asic.price(
        {n: c[::-1] for n, c in layers.items()},
        {n: c[::-1] for n, c in chips.items()},
        constants=constants,
    )
    assert back.cycles[::-1].tolist() == together.cycles.tolist()
    assert back.energy[::-1].tolist() == together.energy.tolist()
    for i in range(0, 300, 7):
        alone = asic.price(
            {n: c[i : i + 1] for n, c in layers.items()},
            {n: c[i : i + 1] for n, c in chips.items()},
            constants=constants,
        )
        assert (alone.cycles[0], alone.energy[0], alone.area[0]) == (
            together.cycles[i],
            together.energy[i],
            together.area[i],
        )


@pytest.mark.parametrize("constants", ["maestro2019", "physical"])
def test_a_grid_prices_every_layer_on_every_chip(constants: str) -> None:
    layers, chips = varied(12, 3)
    chips = {name: column[:5] for name, column in chips.items()}
    grid = asic.price_grid(layers, chips, constants=constants)
    assert grid.cycles.shape == (5, 12)
    assert grid.area.shape == (5,)
    for row in range(5):
        alone = asic.price(
            layers,
            {name: np.repeat(column[row : row + 1], 12) for name, column in chips.items()},
            constants=constants,
        )
        assert grid.cycles[row].tolist() == alone.cycles.tolist()
        assert grid.energy[row].tolist() == alone.energy.tolist()
        assert grid.traffic["l1_write"][row].tolist() == alone.traffic["l1_write"].tolist()


@pytest.mark.parametrize("constants", ["maestro2019", "physical"])
def test_bandwidth_never_costs_cycles(constants: str) -> None:
    layers, chips = varied(1500, 4)
    chips["noc_scope"][:] = "all"
    less = asic.price(
        layers, {**chips, "noc_bw_elem_per_cycle": np.full(1500, 8)}, constants=constants
    ).cycles
    more = asic.price(
        layers, {**chips, "noc_bw_elem_per_cycle": np.full(1500, 24)}, constants=constants
    ).cycles
    unlimited = asic.price(
        layers, {**chips, "noc_scope": np.full(1500, "none")}, constants=constants
    ).cycles
    assert (less >= more).all()
    assert (more >= unlimited).all()
    assert (less > more).any()


def test_dram_traffic_shrinks_with_the_buffer_down_to_every_word_once() -> None:
    layers, chips = varied(1000, 5)
    words = [
        asic.price(
            layers, {**chips, "glb_kb": np.full(1000, kilobytes)}, constants="physical"
        ).traffic["dram"]
        for kilobytes in (16, 128, 1024, 1 << 20)
    ]
    assert all((bigger <= smaller).all() for smaller, bigger in itertools.pairwise(words))
    K, C, R, S, P, Q, s = (layers[name].astype(float) for name in DIMENSIONS)
    inputs = C * (S + (Q - 1) * np.minimum(s, S)) * (R + (P - 1) * np.minimum(s, R))
    outputs = np.where(layers["type"] == "DWCONV", C, K) * P * Q
    assert words[-1].tolist() == (inputs + K * C * R * S + outputs).tolist()


def test_dram_bounds_the_physical_latency() -> None:
    slow, quick = (
        one(layer(), {**chip(), "dram_bw_words": [words]}, "physical") for words in (1, 64)
    )
    assert slow["cycles"] >= slow["dram"] > quick["cycles"]


def test_doubling_filters_doubles_compute_exactly() -> None:
    for template, pes in (("shi", 196), ("dla", 256)):
        few, many = (
            one(layer(K=K), chip(template=template, pes=pes, noc_scope="none")) for K in (64, 128)
        )
        assert many["cycles"] - 1 == 2 * (few["cycles"] - 1)  # one start-up cycle


def test_a_depthwise_layer_is_its_channels_one_by_one_on_shi() -> None:
    depthwise = one(layer(type="DWCONV", K=1, C=48), chip(template="shi", noc_scope="none"))
    single = one(layer(K=1, C=1), chip(template="shi", noc_scope="none"))
    assert depthwise["cycles"] - 1 == 48 * (single["cycles"] - 1)


@pytest.mark.parametrize("constants", ["maestro2019", "physical"])
def test_counted_layers_cost_so_many_times_one(constants: str) -> None:
    alone, four = one(layer(), chip(), constants), one(layer(count=4), chip(), constants)
    for name in ("cycles", "energy", "l2_read_input", "l1_write", "dram"):
        assert four[name] == 4 * alone[name]
    assert (four["utilization"], four["area"]) == (alone["utilization"], alone["area"])


@pytest.mark.parametrize("constants", ["maestro2019", "physical"])
@pytest.mark.parametrize("template", ["dla", "shi", "rs"])
def test_layers_of_one_and_huge_layers_have_exact_prices(template: str, constants: str) -> None:
    tiny = layer(K=1, C=1, R=1, S=1, OY=1, OX=1)
    assert one(tiny, chip(template=template, pes=1, noc_scope="none"), constants)["cycles"] <= 4
    for huge, macs in (
        (layer(K=4096, C=25088, R=1, S=1, OY=1, OX=1), 102_760_448),
        (layer(OY=224, OX=224, C=64), 64 * 64 * 9 * 224**2),
    ):
        found = one(huge, chip(template=template), constants)
        assert found["l1_read"] == 3 * macs


def test_maestros_two_constant_sets_rank_designs_of_one_size_alike() -> None:
    layers, chips = varied(500, 6)
    old, new = (
        asic.price(layers, chips, constants=constants).energy
        for constants in ("maestro2019", "maestro2021")
    )
    assert old / new == pytest.approx(0.904 / 0.00023)


def test_energy_is_linear_in_each_constant() -> None:
    layers, chips = tables(200, np.random.default_rng(7))
    base = sets.load("cacti45")
    for name in ("mac_energy", "l1_energy", "l2_energy", "l2_energy_per_root", "dram_energy"):
        values = [
            asic.price(
                layers,
                chips,
                constants=dataclasses.replace(base, **{name: factor * getattr(base, name)}),
            ).energy
            for factor in (1, 2, 3)
        ]
        assert values[2] - values[1] == pytest.approx(values[1] - values[0])
        assert (values[1] > values[0]).all()


@pytest.mark.parametrize("constants", MODES)
def test_area_grows_with_units_and_bandwidth_and_not_with_layers(constants: str) -> None:
    areas = [one(layer(), chip(pes=pes), constants)["area"] for pes in (1, 2, 32, 64, 2048, 4096)]
    assert all(b > a for a, b in itertools.pairwise(areas))
    areas = [
        one(layer(), chip(noc_bw_elem_per_cycle=words), constants)["area"] for words in (1, 8, 64)
    ]
    assert all(b > a for a, b in itertools.pairwise(areas))
    assert (
        one(layer(K=1), chip(), constants)["area"]
        == one(layer(), chip(template="rs", noc_scope="all"), constants)["area"]
    )


def test_one_big_arbiter_is_larger_than_two_of_half_its_units() -> None:
    arbiter = dict.fromkeys(("pe_area", "l1_area", "bus_area"), 0.0)
    only = dataclasses.replace(sets.load("maestro2019"), **arbiter)
    big, half, tiny = (
        float(asic.price(layer(), chip(pes=pes), constants=only).area[0]) for pes in (2048, 1024, 1)
    )
    assert big > 2 * half
    assert tiny == pytest.approx(395.473)


def test_row_stationary_without_a_unit_for_every_kernel_row_cannot_map() -> None:
    found = one(layer(R=7, S=7), chip(template="rs", pes=4))
    assert (found["cycles"], found["energy"], found["utilization"]) == (np.inf, np.inf, 0.0)
    assert np.isfinite(one(layer(R=7, S=7), chip(template="rs", pes=7))["cycles"])


def test_every_constant_says_its_unit_and_source() -> None:
    for name, entries in sets._file().items():
        for key, entry in entries.items():
            if key not in ("mode", "about", "energy_unit"):
                assert set(entry) == {"value", "unit", "source"}, f"{name}.{key}"
                assert len(entry["unit"]) > 0
                assert len(entry["source"]) > 5


@pytest.mark.parametrize(
    ("layers", "chips", "message"),
    [
        (layer(), chip(pes=0), "pes must be a whole number from 1 to 2.31, row 0 has 0"),
        (layer(), chip(pes=2.5), "row 0 has 2.5"),
        (layer(), chip(template="dlaa"), "template 'dlaa'; did you mean 'dla'"),
        (layer(), chip(noc_scope="tops"), "noc_scope 'tops'; did you mean 'top'"),
        (
            layer(),
            chip(noc_bw_elem_per_cycle=0),
            "noc_bw_elem_per_cycle must be at least 1, row 0 has 0",
        ),
        (layer(), chip(noc_bw_elem_per_cycle=float("nan")), "noc_scope 'top' without a bandwidth"),
        (layer(), {"pes": [1]}, "no column 'template'"),
        (layer(), {**chip(), "array_D1": [4]}, "one of array_D1 and array_D2"),
        (
            layer(),
            {**chip(), "array_D1": [32], "array_D2": [32]},
            "array of 32 x 32, more than its 256 pes",
        ),
        (layer(), {**chip(), "glb_kb": [0]}, "glb_kb must be above 0"),
        (layer(), {**chip(), "pes": ["many"]}, "column 'pes' must hold numbers"),
        (
            layer(),
            {name: values * 2 for name, values in chip().items()},
            "1 layers and 2 chips.*price_grid",
        ),
        (layer(type="POOL"), chip(), "type 'POOL'"),
        (layer(type="DWCONV"), chip(), "DWCONV with K 64, expected 1"),
        (layer(OX=0), chip(), "OX must be a whole number"),
        (layer(C=-3), chip(), "C must be a whole number"),
        ({**layer(), "K": [1, 2]}, chip(), "equal length"),
        ({}, chip(), "no column 'type'"),
    ],
)
def test_bad_tables_are_refused_by_name_and_row(
    layers: dict[str, list[Any]], chips: dict[str, list[Any]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        asic.price(layers, chips, constants="physical" if "array_D1" in chips else "maestro2019")


def test_long_tables_are_priced_as_short_ones_and_errors_name_the_row_of_the_whole() -> None:
    layers, chips = varied(20_000, 8)
    prices = asic.price(layers, chips)
    late = slice(17_000, 17_100)
    part = asic.price(
        {n: c[late] for n, c in layers.items()}, {n: c[late] for n, c in chips.items()}
    )
    assert prices.cycles[late].tolist() == part.cycles.tolist()
    assert prices.area[late].tolist() == part.area.tolist()
    chips["pes"][17_003] = 0
    with pytest.raises(ValueError, match="row 17003 has 0"):
        asic.price(layers, chips)


def test_bad_constants_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'maestro2019'"):
        asic.price(layer(), chip(), constants="maestro20199")
    with pytest.raises(
        ValueError, match="mac_energy of set 'eyeriss' must be finite and not negative"
    ):
        dataclasses.replace(sets.load("eyeriss"), mac_energy=-1.0)
    with pytest.raises(ValueError, match="only MAESTRO's rule knows"):
        asic.price(layer(), chip(template="shi8"), constants="physical")


def test_empty_tables_have_empty_prices() -> None:
    prices = asic.price({name: [] for name in layer()}, {name: [] for name in chip()})
    assert prices.cycles.shape == prices.area.shape == (0,)


def test_texts_of_a_csv_file_are_read() -> None:
    texts = {name: np.array([str(values[0])]) for name, values in chip().items()}
    assert one(layer(), {**texts, "noc_bw_elem_per_cycle": [""], "noc_scope": ["none"]}) == {  # type: ignore[dict-item]
        **one(layer(), chip(noc_scope="none")),
        "area": one(layer(), {**chip(noc_scope="none"), "noc_bw_elem_per_cycle": [None]})["area"],
    }
