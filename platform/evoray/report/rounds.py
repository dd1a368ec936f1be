"""How a population fared from round to round, where the supernet trains on between them."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evoray import selection
from evoray.report.figures import COLOURS, Figure, plain, styled
from evoray.report.reading import RunView
from objectives.base import Goal

ROUNDS_TEXT = "The whole population is measured anew in each round, with the weights of that round: best, median and worst network."


def rounds_figure(run: RunView) -> Figure | None:
    """Best, median and worst of each measured target over the rounds; None where there are fewer than two rounds."""
    shown = [v for v in run.values if v["target"] and v["kind"] == "measured"]
    tables = [selection.complete(table) for table in run.rounds]
    numbers = [number for number, table in enumerate(tables, 1) if len(table)]
    if len(numbers) < 2 or not shown:
        return None
    figure = make_subplots(rows=1, cols=len(shown), horizontal_spacing=0.12)
    for column, value in enumerate(shown, 1):
        columns = [np.sort(Goal(value["goal"]).sign * table[value["name"]].to_numpy()) for table in tables if len(table)]
        sign, colour = Goal(value["goal"]).sign, COLOURS[(column - 1) % len(COLOURS)]
        for title, pick, dash in (("best", 0.0, "solid"), ("median", 0.5, "dash"), ("worst", 1.0, "dot")):
            y = [float(sign * np.quantile(losses, pick)) for losses in columns]
            line = {"color": colour, "dash": dash, "width": 2.5 if pick == 0 else 1.5}
            name = f"{plain(value['name'])}: {title}"
            figure.add_trace(go.Scatter(x=numbers, y=y, mode="lines+markers", name=name, line=line), row=1, col=column)
        figure.update_xaxes(title_text="round", dtick=max(1, len(tables) // 10), row=1, col=column)
        figure.update_yaxes(title_text=plain(run.label(value["name"])), row=1, col=column)
    return styled(figure)
