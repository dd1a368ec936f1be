"""An analytic cost model of spatial accelerators (ASICs): what a layer costs on a chip, for three
dataflows, in closed form.

    from objectives import asic
    # MAESTRO's rule with the constants NASAIC was published with
    asic.price(layers, chips).cycles
    # a competent mapper with DRAM, picojoules
    asic.price(layers, chips, constants="physical").energy

    # any search space's networks, mapped onto a chip of several dataflows
    asic.build(space, "latency").evaluate(choices)

`price` takes row i of both tables, `price_grid` every layer on every chip. Constants stand in
`constants.toml`.
"""

from __future__ import annotations

from objectives.asic.chips import ChipCost, ChipModel, build
from objectives.asic.constants import Constants
from objectives.asic.lower import lower
from objectives.asic.mapping import map_exactly, map_layers
from objectives.asic.pricing import Prices, price, price_grid
from objectives.asic.specs import Specs

__all__ = [
    "ChipCost",
    "ChipModel",
    "Constants",
    "Prices",
    "Specs",
    "build",
    "lower",
    "map_exactly",
    "map_layers",
    "price",
    "price_grid",
]
