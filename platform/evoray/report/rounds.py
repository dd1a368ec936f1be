"""Figures of a population from round to round, where the supernet trains on between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa
from plotly.subplots import make_subplots

from evoray.pareto import dominance
from evoray.report.figures import COLOURS, Figure, plain, styled
from evoray.report.reading import RunView, feasible_losses, reference_of
from evoray.results import picking
from objectives.base import Goal

ROUNDS_TEXT = (
    "The whole population is measured anew in each round, with the weights of that round: best, "
    "median and worst network, and the "
    "hypervolume up to one reference point for all rounds."
)


def rounds_figure(run: RunView) -> Figure | None:
    """Best, median and worst of each measured target over the rounds, and the hypervolume; None
    where there are fewer than two rounds.
    """
    shown = [v for v in run.values if v["target"] and v["kind"] == "measured"]
    tables = [
        (number, found)
        for number, table in enumerate(run.rounds, 1)
        if len(found := picking.complete(table))
    ]
    if len(tables) < 2 or not shown:
        return None
    numbers = [number for number, _ in tables]
    figure = make_subplots(rows=1, cols=len(shown) + 1, horizontal_spacing=0.09)
    for column, value in enumerate(shown, 1):
        sign, colour = Goal(value["goal"]).sign, COLOURS[(column - 1) % len(COLOURS)]
        columns = [sign * table[value["name"]].to_numpy() for _, table in tables]
        for title, share, dash in (
            ("best", 0.0, "solid"),
            ("median", 0.5, "dash"),
            ("worst", 1.0, "dot"),
        ):
            y = [float(sign * np.quantile(losses, share)) for losses in columns]
            line = {"color": colour, "dash": dash, "width": 2.5 if share == 0 else 1.5}
            name = f"{plain(value['name'].split('@')[0])}: {title}"
            figure.add_trace(
                go.Scatter(x=numbers, y=y, mode="lines+markers", name=name, line=line),
                row=1,
                col=column,
            )
        figure.update_yaxes(title_text=plain(run.label(value["name"])), row=1, col=column)
    volumes = _hypervolumes(run, [table for _, table in tables])
    line = {"color": COLOURS[len(shown) % len(COLOURS)], "width": 2.5}
    last = {"row": 1, "col": len(shown) + 1}
    figure.add_trace(
        go.Scatter(x=numbers, y=volumes, mode="lines+markers", name="hypervolume", line=line),
        **last,
    )
    figure.update_yaxes(title_text="hypervolume", **last)
    figure.update_xaxes(title_text="round", dtick=max(1, len(numbers) // 10))
    return styled(figure).update_layout(legend={"y": -0.2, "yanchor": "top"})


def _hypervolumes(run: RunView, tables: Sequence[pa.Table]) -> list[float]:
    reference = reference_of(tables, run.values)
    assert reference is not None
    return [
        dominance.hypervolume(feasible_losses(table, run.values)[0], reference) for table in tables
    ]
