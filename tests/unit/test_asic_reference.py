"""The accelerator cost model against other tools' numbers, where those are at hand."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from objectives import asic
from objectives.asic import nvdla
from tests.shared_data import real_data

Table = dict[str, np.ndarray]
ZIGZAG_NAMES = {"dataflow": "template", "glb_bw_words": "noc_bw_elem_per_cycle"}


def read(name: str, renamed: dict[str, str] | None = None) -> Table:
    """A reference file as columns, numbers where every value is one."""
    with open(real_data("asic_reference") / name, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table: Table = {}
    for column in rows[0]:
        texts = [row[column] for row in rows]
        try:
            values: Any = np.array([float(text) if text else np.nan for text in texts])
        except ValueError:
            values = np.array(texts)
        table[(renamed or {}).get(column, column)] = values
    return table


def where(table: Table, keep: np.ndarray) -> Table:
    return {name: column[keep] for name, column in table.items()}


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic)


@pytest.mark.parametrize("name", ["maestro_layers.csv", "maestro_shi8_layers.csv"])
def test_cycles_are_maestros_to_the_integer_whatever_network_is_limited(name: str) -> None:
    table = read(name)
    for template in np.unique(table["template"]):
        rows = where(table, table["template"] == template)
        assert asic.price(rows, rows).cycles.tolist() == rows["runtime_cycles"].tolist(), template


@pytest.mark.parametrize("name", ["maestro_layers.csv", "maestro_shi8_layers.csv"])
def test_traffic_and_energy_are_maestros(name: str) -> None:
    table = read(name)
    prices = asic.price(table, table)
    for path in ("l2_read_input", "l2_read_weight", "l2_write_output"):
        assert prices.traffic[path].tolist() == table[path].tolist(), path
    if "l1_read_total" in table:
        assert prices.traffic["l1_read"].tolist() == table["l1_read_total"].tolist()
        assert prices.traffic["l1_write"].tolist() == table["l1_write_total"].tolist()
    assert prices.energy / 0.904 == pytest.approx(
        table["energy_mac_units"], rel=1e-6, abs=0.06
    )  # the file has one decimal
    assert prices.utilization == pytest.approx(table["utilization"], abs=1e-6)


def test_the_tools_areas_come_out_with_its_buffer_requirements() -> None:
    table = read(
        "maestro_layers.csv", {"l1_req_bytes_per_pe": "l1_bytes", "l2_req_bytes": "l2_bytes"}
    )
    table = where(table, ~np.isnan(table["area_um2"]))
    assert asic.price(table, table, constants="maestro2021").area == pytest.approx(
        table["area_um2"], rel=1e-5
    )


@pytest.mark.parametrize("dataflow", ["dla", "shi", "rs"])
def test_physical_mode_ranks_as_searched_mappings_do(dataflow: str) -> None:
    table = read("zigzag_layers.csv", ZIGZAG_NAMES)
    table = where(table, table["template"] == dataflow)
    prices = asic.price(table, table, constants="eyeriss")
    assert rank_correlation(prices.cycles, table["latency_cycles"]) >= 0.98
    assert rank_correlation(prices.energy, table["energy_mac_units"]) >= 0.98
    assert abs(np.median(prices.cycles / table["latency_cycles"]) - 1) <= 0.05
    assert abs(np.median(prices.energy / table["energy_mac_units"]) - 1) <= 0.06


def test_physical_mode_ranks_all_dataflows_together() -> None:
    table = read("zigzag_layers.csv", ZIGZAG_NAMES)
    prices = asic.price(table, table, constants="physical")
    assert rank_correlation(prices.cycles, table["latency_cycles"]) >= 0.99
    assert rank_correlation(prices.energy, table["energy_mac_units"]) >= 0.98


def test_nvdla_cycles_and_traffic_are_the_vendors() -> None:
    table = read("nvdla_resnet50_2048mac.csv")
    table["elementwise"] = np.array(["elwise" in kind for kind in table["kind"]])
    table["winograd"] = table["winograd"] == "True"
    alone, second = (
        nvdla.estimate(table, nvdla.NVDLA(filter_rounding=rounding)) for rounding in (128, 16)
    )
    assert alone.mac_cycles.tolist() == table["mac_cycles_no_sram"].tolist()
    assert second.mac_cycles.tolist() == table["mac_cycles"].tolist()
    assert alone.dram_kilobytes == pytest.approx(table["dram_kB_no_sram"], rel=1e-12)
    assert alone.dram_cycles.tolist() == table["dram_cycles_no_sram"].tolist()
    assert alone.cycles.sum() == 7_113_691


def test_nvdla_frames_a_second_are_the_vendors_for_every_configuration() -> None:
    table, chips = read("nvdla_resnet50_2048mac.csv"), read("nvdla_config_table.csv")
    table["elementwise"] = np.array(["elwise" in kind for kind in table["kind"]])
    table["winograd"] = table["winograd"] == "True"
    for macs, buffer, bandwidth, frames in zip(
        chips["macs_int8"],
        chips["conv_buffer_kB"],
        chips["sdram_GBps"],
        chips["fps_recomputed_k128"],
        strict=True,
    ):
        chip = nvdla.NVDLA(macs=int(macs), buffer_kilobytes=buffer, dram_bandwidth=bandwidth)
        assert 1e9 / nvdla.estimate(table, chip).cycles.sum() == pytest.approx(frames, abs=0.051)
