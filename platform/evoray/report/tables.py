"""A run's front as a terminal table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from rich.table import Table

from evoray import pareto, selection

_MANY = 30  # rows that a terminal still shows well


def front_table(job: Mapping[str, Any], front: pa.Table) -> Table:  # Any: job.json
    """The front, one row a network: the best of each target is bold, the knee is marked; at most 30 rows, evenly chosen."""
    values = job["values"]
    names = [v["name"] for v in values]
    title = f"Pareto front: {len(front)} networks" if len(front) else "no feasible network yet"
    table = Table("", title=title, title_justify="left")
    table.add_column("key", no_wrap=True, overflow="fold", min_width=max((len(k) for k in front["key"].to_pylist()), default=3))
    for value in values:
        unit = f" ({value['unit']})" if value["unit"] and value["unit"].lower() != value["name"] else ""
        arrow = {"maximize": " ↑", "minimize": " ↓"}[value["goal"]] if value["target"] else ""
        table.add_column(f"{value['name']}{unit}{arrow}", justify="right")
    if len(front) == 0:
        return table
    rows = front.to_pylist()
    losses = selection.losses(front, values)
    knee = pareto.knee(losses)
    best = dict(zip(selection.targets(values), losses.argmin(axis=0), strict=True))
    shown = sorted({knee, *best.values(), *np.linspace(0, len(rows) - 1, min(_MANY, len(rows))).round().astype(int).tolist()})
    for index in shown:
        cells = [f"[bold]{_number(rows[index][n])}[/]" if best.get(n) == index else _number(rows[index][n]) for n in names]
        table.add_row("knee" if index == knee else "", rows[index]["key"], *cells)
    if len(shown) < len(rows):
        table.caption = f"{len(rows) - len(shown)} more are in front.parquet"
    return table


def _number(value: float) -> str:
    if value == round(value) and abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
