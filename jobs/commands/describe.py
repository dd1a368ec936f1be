"""Describes one search space (genes, range of costs, published networks, complexity levels) or one
data source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import tyro
from rich.table import Table

import searchspaces
from evoray import data as sources
from evoray import variation
from evoray.data.parts.images import HasClasses, HasFacts, ImageSource
from evoray.seeds import generator_for
from evoray.training import tasks
from evoray.training.samplers.parts.complexity_levels import describe_levels, levels_of
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import call
from searchspaces.base import SearchSpace, largest, smallest, space_size

_SAMPLES = 20_000


def main(arguments: Sequence[str]) -> None:
    call(describe, arguments, prog="evoray describe")


def describe(
    space: Annotated[str, tyro.conf.Positional] = "",
    /,
    data: str = "",
    published: bool = False,
    levels: bool = False,
) -> None:
    """Describes a search space, or with --data a data source.

    Args:
        space: NAME or NAME:PRESET, as `evoray spaces` lists them, or a space of your own.
            That is named as package.module:object or path/to/file.py:object.
        data: Data source in the place of a space, NAME or NAME:PRESET; without a preset all that it
            has. Data on disk is looked for in EVORAY_DATA.
        published: Lists the published networks with their costs.
        levels: Lists the complexity levels of conflict-aware training.
            They are the authors', or else derived from the space's costs.
    """
    with user_input():
        if bool(space) == bool(data):
            raise ValueError(
                "evoray describe takes a search space, as `evoray spaces` lists them, or --data "
                f"NAME, got {f'both, {space} and {data}' if space else 'neither'}"
            )
        if data:
            table = _data(data)
        else:
            described = searchspaces.load(space)
            of_levels = _levels(described) if levels else None
    console = Terminal()
    if data:
        console.print(table)
        return
    console.print(
        f"{described.name}: {space_size(described):.4g} architectures, {len(described.genes)} genes"
    )
    genes = Table("gene", "options")
    for gene in described.genes:
        genes.add_row(gene.name, " ".join(map(str, gene.options)))
    console.print(genes)
    console.print(_costs(described))
    if published:
        console.print(_published(described))
    if of_levels is not None:
        console.print(of_levels)


def _data(name: str) -> Table:
    """A column for each preset.

    Raises:
        ValueError: There is no such source, or it cannot be read.
        FileNotFoundError: It is not where EVORAY_DATA says.
    """
    source, _, preset = name.partition(":")
    named = [name] if preset else [f"{source}:{one}" for one in sources.presets(source)] or [name]
    facts = {one: _facts(sources.load(one)) for one in named}
    table = Table("data", *named)
    for row in next(iter(facts.values())):
        table.add_row(row, *(column.get(row, "") for column in facts.values()))
    return table


def _facts(source: ImageSource) -> dict[str, str]:
    found = {
        "training images": f"{source.size:,}",
        "shape": " x ".join(map(str, source.image_shape)),
        "task": tasks.name_of(source),
    }
    if isinstance(source, HasClasses):
        found["classes"] = str(source.num_classes)
    return found | (dict(source.facts()) if isinstance(source, HasFacts) else {})


def _costs(space: SearchSpace) -> Table:
    ends = np.array([smallest(space).choices, largest(space).choices], dtype=np.int16)
    rng = generator_for(0, "describe")
    sampled = space.costs(
        space.repair(variation.sample(variation.GeneKinds.of(space.genes), _SAMPLES, rng))
    )
    table = Table(
        "cost",
        "smallest",
        "5 %",
        "25 %",
        "median",
        "75 %",
        "95 %",
        "largest",
        title=f"of {_SAMPLES:,} uniform samples",
    )
    for name, (low, high) in space.costs(ends).items():
        table.add_row(
            name,
            *(
                f"{v:,.0f}"
                for v in (low, *np.quantile(sampled[name], [0.05, 0.25, 0.5, 0.75, 0.95]), high)
            ),
        )
    return table


def _published(space: SearchSpace) -> Table:
    rows = list(space.published.items())
    costs = (
        space.costs(np.array([a.choices for _, a in rows], dtype=np.int16).reshape(len(rows), -1))
        if rows
        else {}
    )
    table = Table("published", "key", *costs)
    for index, (name, architecture) in enumerate(rows):
        table.add_row(
            name, architecture.key, *(f"{column[index]:,.0f}" for column in costs.values())
        )
    return table


def _levels(space: SearchSpace) -> Table:
    found = levels_of(space)
    table = Table(
        "level",
        "from",
        "to",
        "floor",
        f"{found.cost} of the floor",
        "uniform draws inside",
        title=f"complexity levels by {found.cost}",
    )
    for index, row in enumerate(describe_levels(space, found)):
        numbers = (f"{row.start:,.0f}", f"{row.end:,.0f}")
        table.add_row(
            str(index),
            *numbers,
            row.floor.key,
            f"{row.floor_cost:,.0f}",
            f"{100 * row.acceptance:.2f} %",
        )
    return table
