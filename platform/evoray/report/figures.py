"""The report's figures, each a function of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from evoray import pareto, selection
from evoray.records import Record, Status, from_table
from evoray.report.reading import RunView, hypervolume_curve, reference_of

# Okabe and Ito 2008: distinct for every kind of colour vision, on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "rgba(128,128,128,0.55)"
_GRID = "rgba(128,128,128,0.22)"
_MOST_OPTIONS = 14  # genes named in a hover text

Figure = Any  # plotly is untyped


def styled(figure: Figure, *, height: int = 420) -> Figure:
    """The common look: transparent, so that the page's light or dark ground shows."""
    figure.update_layout(
        height=height,
        margin={"l": 62, "r": 18, "t": 56, "b": 52},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808080", "family": "system-ui, sans-serif", "size": 13},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": "#9a9a9a", "activecolor": COLOURS[0]},
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    return figure


def hover(run: RunView, record: Record) -> str:
    """Everything known of one candidate, as plotly's little HTML."""
    lines = [f"<b>{_plain(record.key)}</b>"]
    lines += [f"{_plain(run.label(name))}: {value:,.6g}" for name, value in record.values.items()]
    options = list(run.options(record).items())
    lines += [f"{_plain(name)}: {_plain(option)}" for name, option in options[:_MOST_OPTIONS]]
    if len(options) > _MOST_OPTIONS:
        lines.append(f"and {len(options) - _MOST_OPTIONS} more genes")
    lines.append(f"{_plain(record.operator)}, generation {record.generation}, shard {record.shard}")
    if record.violation > 0:
        lines.append(f"constraint violation {record.violation:.3g}")
    return "<br>".join(lines)


def front_figure(runs: Sequence[RunView]) -> Figure:
    """Every evaluated point of every run, its front and its knee; with more than two targets the axes can be chosen."""
    first = runs[0]
    names = first.targets if len(first.targets) > 1 else [first.targets[0], "evaluation"]
    figure = go.Figure()
    columns: list[dict[str, list[float]]] = []
    for index, run in enumerate(runs):
        for trace, data in _front_traces(run, COLOURS[index % len(COLOURS)], names, len(runs) > 1):
            figure.add_trace(trace)
            columns.append(data)
    figure.update_layout(xaxis_title=first.label(names[1]), yaxis_title=first.label(names[0]))
    if len(names) > 2:
        figure.update_layout(updatemenus=[_axis_menu(first, names, columns)], margin={"t": 80})
    return styled(figure, height=520)


def _front_traces(run: RunView, colour: str, names: Sequence[str], several: bool) -> list[tuple[Figure, dict[str, list[float]]]]:
    prefix = f"{run.name}: " if several else ""
    traces = []
    if run.baseline is not None:
        dim = [r for r in from_table(run.baseline) if r.status is Status.OK and r.violation <= 0]
        traces.append(
            _points(
                run,
                dim,
                names,
                f"{prefix}random search",
                {"color": GREY, "size": 6, "symbol": "x-thin", "line": {"width": 1.5, "color": GREY}},
            )
        )
    ok = [r for r in run.records if r.status is Status.OK]
    bad = [r for r in ok if r.violation > 0]
    if bad:
        traces.append(
            _points(run, bad, names, f"{prefix}infeasible", {"color": colour, "size": 6, "symbol": "circle-open", "opacity": 0.6})
        )
    marker: dict[str, Any] = {"color": colour, "size": 6, "opacity": 0.55}
    traces.append(_points(run, [r for r in ok if r.violation <= 0], names, f"{prefix}evaluated", marker))
    best = run.front()
    if best is not None:
        members = from_table(best)
        trace = _points(run, members, names, f"{prefix}Pareto front", {"color": colour, "size": 10, "line": {"width": 1, "color": "#fff"}})
        if len(run.targets) == 2:
            trace[0].update(mode="lines+markers", line={"color": colour, "width": 2, "shape": "hv"})
        traces.append(trace)
        knee = members[pareto.knee(selection.losses(best, run.values))]
        star = {"color": COLOURS[4], "size": 17, "symbol": "star", "line": {"width": 1, "color": "#333"}}
        traces.append(_points(run, [knee], names, f"{prefix}knee", star))
    return traces


def _points(
    run: RunView, records: Sequence[Record], names: Sequence[str], title: str, marker: dict[str, Any]
) -> tuple[Figure, dict[str, list[float]]]:
    data = {name: [float(r.values.get(name, i + 1)) for i, r in enumerate(records)] for name in names}
    text = [hover(run, record) for record in records]
    trace = go.Scatter(
        x=data[names[1]], y=data[names[0]], mode="markers", name=title, marker=marker, text=text, hovertemplate="%{text}<extra></extra>"
    )
    return trace, data


def _axis_menu(run: RunView, names: Sequence[str], columns: Sequence[dict[str, list[float]]]) -> dict[str, Any]:
    pairs = [(y, x) for i, y in enumerate(names) for x in names[i + 1 :]]
    buttons = [
        {
            "label": f"{y} against {x}",
            "method": "update",
            "args": [
                {"x": [data[x] for data in columns], "y": [data[y] for data in columns]},
                {"xaxis.title.text": run.label(x), "yaxis.title.text": run.label(y)},
            ],
        }
        for y, x in pairs
    ]
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.2, "yanchor": "top"}


def hypervolume_figure(runs: Sequence[RunView]) -> Figure | None:
    """Hypervolume over evaluations, beside random search; one reference point for all."""
    tables = [t for run in runs for t in (run.table, run.baseline) if t is not None]
    reference = reference_of(tables, runs[0].values)
    if reference is None:
        return None
    figure = go.Figure()
    for index, run in enumerate(runs):
        colour = COLOURS[index % len(COLOURS)]
        for table, title, line in (
            (run.baseline, f"{run.name}: random search", {"color": GREY, "dash": "dash"}),
            (run.table, run.name, {"color": colour, "width": 2.5}),
        ):
            if table is not None:
                x, y = hypervolume_curve(table, run.values, reference)
                figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=title, line=line))
    figure.update_layout(xaxis_title="evaluations", yaxis_title="hypervolume")
    return styled(figure)


def parallel_figure(run: RunView) -> Figure | None:
    """Genes and values of the complete records as parallel coordinates, coloured by the first target."""
    records = [r for r in run.records if r.status is Status.OK]
    if not records:
        return None
    dimensions = []
    for index, gene in enumerate(run.job["genes"]):
        ticks = list(range(len(gene["options"])))
        labels = [str(option) for option in gene["options"]]
        dimensions.append({"label": gene["name"], "values": [r.choices[index] for r in records], "tickvals": ticks, "ticktext": labels})
    dimensions += [{"label": v["name"], "values": [r.values[v["name"]] for r in records]} for v in run.values]
    colour = [r.values[run.targets[0]] for r in records]
    line = {"color": colour, "colorscale": "Viridis", "showscale": True, "colorbar": {"title": run.label(run.targets[0])}}
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelangle=-35, labelside="bottom"))
    styled(figure, height=470).update_layout(margin={"l": 50, "r": 30, "t": 24, "b": 120})
    figure.update_layout(width=max(720, 62 * len(dimensions)))
    return figure


def training_figure(run: RunView) -> Figure | None:
    """Loss of each kind of subnet and the learning rate over training."""
    if not run.metrics:
        return None
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    epochs = [line["epoch"] for line in run.metrics]
    kinds = list(dict.fromkeys(kind for line in run.metrics for kind in line["loss"]))
    for index, kind in enumerate(kinds):
        losses = [line["loss"].get(kind) for line in run.metrics]
        figure.add_trace(go.Scatter(x=epochs, y=losses, mode="lines", name=kind, line={"color": COLOURS[index % len(COLOURS)]}))
    rates = [line["learning_rate"] for line in run.metrics]
    figure.add_trace(
        go.Scatter(x=epochs, y=rates, mode="lines", name="learning rate", line={"color": GREY, "dash": "dot"}), secondary_y=True
    )
    figure.update_xaxes(title_text="epoch")
    figure.update_yaxes(title_text="loss", secondary_y=False)
    figure.update_yaxes(title_text="learning rate", showgrid=False, secondary_y=True)
    return styled(figure)


def time_figure(run: RunView) -> Figure | None:
    """Seconds of each phase, and of one measurement under each objective."""
    if not run.phases and not run.records:
        return None
    figure = make_subplots(cols=2, rows=1, subplot_titles=("phases", "one measurement"), horizontal_spacing=0.16)
    figure.add_trace(go.Bar(x=list(run.phases), y=list(run.phases.values()), marker_color=COLOURS[0], showlegend=False), col=1, row=1)
    measured = [v["name"] for v in run.values if v["kind"] == "measured"]
    for index, name in enumerate(measured):
        seconds = [r.seconds[name] for r in run.records if name in r.seconds]
        figure.add_trace(go.Box(y=seconds, name=name, marker_color=COLOURS[(index + 1) % len(COLOURS)], showlegend=False), col=2, row=1)
    figure.update_yaxes(title_text="seconds", col=1, row=1)
    figure.update_yaxes(title_text="seconds", type="log", col=2, row=1)
    return styled(figure, height=340)


def trust_figure(run: RunView) -> Figure | None:
    """Inherited against stand-alone accuracy of the probes."""
    if run.trust is None:
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
                text=[_plain(p["key"]) for p in probes],
            )
        )
    ends = [min(p["stand_alone"] for p in probes), max(p["stand_alone"] for p in probes)]
    figure.add_trace(go.Scatter(x=ends, y=ends, mode="lines", name="equal", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"))
    figure.update_layout(xaxis_title="accuracy when trained alone (%)", yaxis_title="inherited accuracy (%)")
    return styled(figure)


def _plain(value: object) -> str:
    """A text that plotly shows as it is."""
    return str(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
