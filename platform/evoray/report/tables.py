"""A run's front as a table of texts and as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from rich.table import Table
from rich.text import Text

from evoray.files.visible_text import visible
from evoray.pareto import dominance
from evoray.results import picking

_MANY = 30  # rows that a terminal still shows well
_SHORTEST_KEY = 24  # columns of a terminal that a key keeps; the rest of it goes on below
_ARROWS = {"maximize": " ↑", "minimize": " ↓"}


def front_table(
    job: Mapping[str, Any], front: pa.Table, *, whole: bool = False
) -> Table:  # Any: job.json
    """The front, one row a network: the best of each target is bold, the knee is marked.

    Values are never cut, keys fold where there is little room. A terminal gets at most 30 rows,
    evenly chosen, and four digits; a `whole` table has every row and digit, for a pipe or file.
    """
    values = job["values"]
    title = f"Pareto front: {len(front)} networks" if len(front) else "no feasible network yet"
    rows = front.to_pylist()
    losses = picking.losses(front, values)
    knee = dominance.knee(losses) if rows else -1
    best = dict(zip(picking.targets(values), losses.argmin(axis=0), strict=True)) if rows else {}
    shown = range(len(rows)) if whole else _chosen(len(rows), [knee, *best.values()])
    table = Table("", title=title, title_justify="left")
    longest = max((len(visible(row["key"])) for row in rows), default=3)
    table.add_column("key", overflow="fold", min_width=min(longest, _SHORTEST_KEY), no_wrap=whole)
    columns = []
    for value in values:
        name = value["name"]
        cells = [f"{rows[i][name]:.12g}" if whole else _number(rows[i][name]) for i in shown]
        columns.append(
            [
                Text(cell, style="bold" if best.get(name) == i else "")
                for cell, i in zip(cells, shown, strict=True)
            ]
        )
        widest = max(map(len, cells), default=0)
        table.add_column(
            _head(value), justify="right", overflow="fold", min_width=widest, no_wrap=whole
        )
    for index, *cells in zip(shown, *columns, strict=True):
        table.add_row("knee" if index == knee else "", rows[index]["key"], *cells)
    if len(shown) < len(rows):
        table.caption = (
            f"{len(rows) - len(shown)} more: evoray show RUN --json, --csv, or into a pipe"
        )
    return table


def front_rows(
    job: Mapping[str, Any], front: pa.Table
) -> list[dict[str, Any]]:  # Any: job.json, values and marks
    """The front as plain data: key, every value by name, and whether it is the knee."""
    names = [value["name"] for value in job["values"]]
    knee = dominance.knee(picking.losses(front, job["values"])) if len(front) else -1
    return [
        {"key": row["key"], "knee": index == knee, "values": {name: row[name] for name in names}}
        for index, row in enumerate(front.to_pylist())
    ]


def _chosen(count: int, always: list[int]) -> list[int]:
    return (
        sorted(
            {*always, *np.linspace(0, count - 1, min(_MANY, count)).round().astype(int).tolist()}
        )
        if count
        else []
    )


def _head(value: Mapping[str, Any]) -> str:  # Any: JSON
    unit = f" ({value['unit']})" if value["unit"] and value["unit"].lower() != value["name"] else ""
    return f"{value['name']}{unit}{_ARROWS[value['goal']] if value['target'] else ''}"


def _number(value: float) -> str:
    if value == round(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
