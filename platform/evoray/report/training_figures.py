"""The report's figures of training and measuring: losses, gradients, time, trust in the
supernet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evoray.report.figures import COLOURS, GREY, Figure, plain, styled
from evoray.report.reading import RunView
from evoray.report.thinning import thinned

_MOST_SECONDS = 1000  # measurements in one box


def training_figure(run: RunView) -> Figure | None:
    """Loss of each kind of subnet and the learning rate over training."""
    if not run.metrics:
        return None
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    epochs = [line["epoch"] for line in run.metrics]
    kinds = list(dict.fromkeys(kind for line in run.metrics for kind in line["loss"]))
    for index, kind in enumerate(kinds):
        losses = [line["loss"].get(kind) for line in run.metrics]
        figure.add_trace(
            go.Scatter(
                x=epochs,
                y=losses,
                mode="lines",
                name=plain(kind),
                line={"color": COLOURS[index % len(COLOURS)]},
            )
        )
    rates = [line["learning_rate"] for line in run.metrics]
    for start in reversed(
        [i for i in range(1, len(epochs)) if epochs[i] < epochs[i - 1]]
    ):  # another supernet begins
        epochs, rates = (
            [*epochs[:start], None, *epochs[start:]],
            [*rates[:start], None, *rates[start:]],
        )
    figure.add_trace(
        go.Scatter(
            x=epochs,
            y=rates,
            mode="lines",
            name="learning rate",
            line={"color": GREY, "dash": "dot"},
        ),
        secondary_y=True,
    )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss", secondary_y=False)
    figure.update_yaxes(
        title_text="learning rate",
        showgrid=False,
        tickmode="auto",
        nticks=5,
        rangemode="tozero",
        ticklabelstandoff=10,
        secondary_y=True,
    )
    return styled(figure)


def conflict_figure(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure | None:
    """Cosine similarity of gradients over training, from the metrics_logs of one or several
    trainings by name.
    """
    figure = go.Figure()
    for index, (name, lines) in enumerate(runs.items()):
        noted = [line for line in lines if "conflict" in line]
        for kind, dash in (("within", "solid"), ("between", "dot")):
            points = [
                (line["epoch"], line["conflict"][kind])
                for line in noted
                if kind in line["conflict"]
            ]
            if points:
                epochs, cosines = zip(*points, strict=True)
                look = {"color": COLOURS[index % len(COLOURS)], "dash": dash}
                label = f"{name}, {kind} steps" if name else f"{kind} steps"
                figure.add_trace(
                    go.Scatter(
                        x=epochs, y=cosines, mode="lines+markers", name=plain(label), line=look
                    )
                )
    if not figure.data:
        return None
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="cosine of gradients")
    return styled(figure)


def time_figure(run: RunView) -> Figure | None:
    """Seconds of each phase, and of one measurement under each objective."""
    measured = {
        name: np.sort(seconds[~np.isnan(seconds)]) for name, seconds in run.records.seconds.items()
    }
    measured = {
        name: seconds[thinned(np.arange(len(seconds)), _MOST_SECONDS)]
        for name, seconds in measured.items()
        if len(seconds)
    }
    parts = [
        (title, len(part))
        for title, part in (("each phase", run.phases), ("one measurement", measured))
        if part
    ]
    if not parts:
        return None
    titles, heights = zip(*parts, strict=True)
    figure = make_subplots(
        rows=len(parts),
        cols=1,
        subplot_titles=titles,
        vertical_spacing=0.34,
        row_heights=list(heights),
    )
    if run.phases:
        names, seconds = [plain(name) for name in run.phases], list(run.phases.values())
        bar = go.Bar(
            x=seconds,
            y=names,
            texttemplate="%{x:,.1f} s",
            orientation="h",
            marker_color=COLOURS[0],
            showlegend=False,
        )
        figure.add_trace(bar, row=1, col=1)
        figure.update_xaxes(title_text="seconds", rangemode="tozero", row=1, col=1)
    for index, (name, spent) in enumerate(measured.items(), 1):
        box = go.Box(
            x=spent, name=plain(name), marker_color=COLOURS[index % len(COLOURS)], showlegend=False
        )
        figure.add_trace(box, row=len(parts), col=1)
    if measured:
        figure.update_xaxes(
            title_text="seconds (logarithmic)", type="log", dtick="D2", row=len(parts), col=1
        )
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return styled(figure, height=120 + 60 * len(parts) + 44 * sum(heights))


def trust_figure(run: RunView) -> Figure | None:
    """Inherited against stand-alone values of the probes."""
    if run.trust is None or not run.trust["probes"]:
        return None
    probes = run.trust["probes"]
    figure = go.Figure()
    for field, title, colour in (
        ("inherited", "batch norm recalibrated", COLOURS[0]),
        ("inherited_without_recalibration", "not recalibrated", COLOURS[1]),
    ):
        figure.add_trace(
            go.Scatter(
                x=[p["stand_alone"] for p in probes],
                y=[p[field] for p in probes],
                mode="markers",
                name=title,
                marker={"color": colour, "size": 10},
                text=[plain(p["key"]) for p in probes],
            )
        )
    ends = [min(p["stand_alone"] for p in probes), max(p["stand_alone"] for p in probes)]
    figure.add_trace(
        go.Scatter(
            x=ends,
            y=ends,
            mode="lines",
            name="equal",
            line={"color": GREY, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    objective = run.trust.get("objective", {"name": "accuracy", "unit": "%"})
    name, unit = (
        plain(objective["name"]),
        f" ({plain(objective['unit'])})" if objective["unit"] else "",
    )
    figure.update_layout(
        xaxis_title=f"{name} when trained alone{unit}", yaxis_title=f"inherited {name}{unit}"
    )
    return styled(figure)
