"""Named sets of constants, read from `constants.toml`, where each number stands with its unit and
source.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import nearest

Mode = Literal["maestro", "physical"]


@dataclass(frozen=True, kw_only=True)
class Constants:
    """One set. Energies are per MAC or per word of one byte in `energy_unit`, areas in um2;
    `constants.toml` explains each.

    Attributes:
        name: Name of the set.
        mode: Rule for cycles and traffic: MAESTRO's, or that of a competent mapper.
        energy_unit: Name of the unit of energy, such as "nJ".
    """

    name: str
    mode: Mode
    energy_unit: str
    mac_energy: float
    l1_energy: float
    l2_energy: float
    l2_energy_per_root: float = 0.0
    dram_energy: float = 0.0
    fixed_area: float = 0.0
    pe_area: float = 0.0
    l1_area: float = 0.0
    l1_cell_bytes: float = 1.0
    l1_bytes: float = 0.0
    l2_area: float = 0.0
    l2_cell_bytes: float = 1.0
    arbiter_area: float = 0.0
    arbiter_quadratic: float = 0.0
    arbiter_linear: float = 0.0
    arbiter_constant: float = 0.0
    bus_area: float = 0.0
    bus_linear: float = 0.0
    bus_constant: float = 0.0
    accumulators: float = 32.0
    weight_words: float = 224.0
    input_words: float = 12.0
    output_words: float = 24.0
    buffer_kilobytes: float = 128.0
    dram_bandwidth: float = 16.0

    def __post_init__(self) -> None:
        if self.mode not in ("maestro", "physical"):
            raise ValueError(
                f"constants {self.name!r} have mode {self.mode!r}; there is maestro, physical"
            )
        for name in _NUMBERS:
            value = getattr(self, name)
            signed = name == "arbiter_constant"
            if not np.isfinite(value) or (value < 0 and not signed):
                raise ValueError(
                    f"constant {name} of set {self.name!r} must be finite and not negative, got "
                    f"{value}"
                )
        for name in (
            "l1_cell_bytes",
            "l2_cell_bytes",
            "accumulators",
            "buffer_kilobytes",
            "dram_bandwidth",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"constant {name} of set {self.name!r} must be above 0, got "
                    f"{getattr(self, name)}"
                )

    def area(
        self,
        pes: NDArray[np.float64],
        bandwidth: NDArray[np.float64],
        l1_bytes: NDArray[np.float64],
        l2_bytes: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """um2 of each accelerator; an unlimited bandwidth (inf) is priced as no bus at all."""
        cells = pes * (self.pe_area + self.l1_area * np.ceil(l1_bytes / self.l1_cell_bytes))
        buffer = self.l2_area * np.ceil(l2_bytes / self.l2_cell_bytes)
        polynomial = (
            self.arbiter_quadratic * pes**2 + self.arbiter_linear * pes + self.arbiter_constant
        )
        arbiter = np.maximum(self.arbiter_area, self.arbiter_area * polynomial)
        lanes = np.where(np.isfinite(bandwidth), bandwidth, 0.0)
        bus = self.bus_area * (self.bus_linear * pes + self.bus_constant) * lanes
        return np.asarray(self.fixed_area + cells + buffer + arbiter + bus, dtype=np.float64)


_NUMBERS = tuple(f.name for f in fields(Constants) if f.name not in ("name", "mode", "energy_unit"))


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(
        resources.files("objectives.asic").joinpath("constants.toml").read_text(encoding="utf-8")
    )


def names() -> list[str]:
    """The sets that the file has."""
    return sorted(name for name in _file() if name != "machine")


def load(name: str) -> Constants:
    """The set of this name.

    Raises:
        ValueError: There is no such set.
    """
    if name not in names():
        raise ValueError(f"no constants {name!r}; {nearest(name, names())}")
    entries = _file()[name]
    found = {
        key: entry["value"]
        for key, entry in {**_file()["machine"], **entries}.items()
        if isinstance(entry, dict)
    }
    return Constants(name=name, mode=entries["mode"], energy_unit=entries["energy_unit"], **found)
