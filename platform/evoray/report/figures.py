"""The report's figures of what a search has found, each a function of one or several runs; and
their common look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from evoray.files.visible_text import visible
from evoray.pareto import dominance
from evoray.records.records import Record, Records, Status
from evoray.records.table import from_table
from evoray.report.reading import RunView, hypervolume_curve, reference_of
from evoray.report.thinning import Rows, said, thinned
from evoray.results import picking

# Okabe and Ito 2008: distinct for every kind of colour vision. Their blue is lightened, so that it
# also reads on a dark ground.
COLOURS = ("#2B83C6", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "rgba(128,128,128,0.55)"
_GRID = "rgba(128,128,128,0.22)"
_CROWD = 1000  # points that need smaller marks
_AXIS_PIXELS = 54  # between two parallel axes, at least
_LETTER_PIXELS = 8
_MOST_TICKS = 20  # on the axis of a gene
_MOST_OPTIONS = 14  # genes named in a hover text
_MOST_LETTERS = 120  # of one text from outside
_MANY_LETTERS, _FEW_LETTERS = 700_000, 250_000  # of the hover texts of all points of one kind
_FEWEST = 200  # points of a kind that are drawn in any case
_MOST_PARALLEL = 60_000  # places where a line crosses an axis

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
    lines = [f"<b>{plain(record.key)}</b>"]
    lines += [f"{plain(run.label(name))}: {value:,.6g}" for name, value in record.values.items()]
    options = list(run.options(record).items())
    lines += [f"{plain(name)}: {plain(option)}" for name, option in options[:_MOST_OPTIONS]]
    if len(options) > _MOST_OPTIONS:
        lines.append(f"and {len(options) - _MOST_OPTIONS} more genes")
    lines.append(f"{plain(record.operator)}, generation {record.generation}, shard {record.shard}")
    if record.violation > 0:
        lines.append(f"constraint violation {record.violation:.3g}")
    return "<br>".join(lines)


def front_figure(runs: Sequence[RunView]) -> Figure:
    """Every evaluated point of every run, its front and its knee; with more than two targets the
    axes can be chosen.
    """
    first = runs[0]
    names = first.targets if len(first.targets) > 1 else [first.targets[0], "evaluation"]
    figure = go.Figure()
    columns: list[dict[str, list[float]]] = []
    for index, run in enumerate(runs):
        for trace, data in _front_traces(run, COLOURS[index % len(COLOURS)], names, len(runs)):
            figure.add_trace(trace)
            columns.append(data)
    figure.update_layout(
        xaxis_title=plain(first.label(names[1])), yaxis_title=plain(first.label(names[0]))
    )
    if len(names) > 2:
        menu = _axis_menu(first, names, columns)
        return styled(figure, height=580).update_layout(
            updatemenus=[menu], legend={"y": -0.18, "yanchor": "top"}
        )
    return styled(figure, height=520)


def _front_traces(
    run: RunView, colour: str, names: Sequence[str], num_runs: int
) -> list[tuple[Figure, dict[str, list[float]]]]:
    prefix = f"{plain(run.name)}: " if num_runs > 1 else ""
    many, few = _MANY_LETTERS // num_runs, _FEW_LETTERS // num_runs
    traces = []
    if run.baseline is not None:
        other = from_table(run.baseline)
        dim = np.flatnonzero((other.status == Status.OK.code) & (other.violations <= 0))
        cross = {
            "color": GREY,
            "size": 6,
            "symbol": "x-thin",
            "line": {"width": 1.5, "color": GREY},
        }
        traces.append(_points(run, other, dim, names, f"{prefix}random search", cross, few))
    records, ok, best = run.records, run.complete_rows, run.front_rows
    good, bad = ok[records.violations[ok] <= 0], ok[records.violations[ok] > 0]
    if len(bad):
        ring = {"color": colour, "size": 6, "symbol": "circle-open", "opacity": 0.6}
        traces.append(_points(run, records, bad, names, f"{prefix}infeasible", ring, few))
    dot = (
        {"color": colour, "size": 6, "opacity": 0.55}
        if len(good) < _CROWD
        else {"color": colour, "size": 4, "opacity": 0.4}
    )
    traces.append(_points(run, records, good, names, f"{prefix}evaluated", dot, many))
    if len(best):
        disc = {"color": colour, "size": 10, "line": {"width": 1, "color": "#fff"}}
        trace = _points(run, records, best, names, f"{prefix}Pareto front", disc, many)
        if len(run.targets) == 2:
            # Members come best first in the vertical target: between two of them only the second
            # one's value is attained.
            trace[0].update(mode="lines+markers", line={"color": colour, "width": 2, "shape": "vh"})
        traces.append(trace)
        assert run.table is not None
        knee = best[[dominance.knee(picking.losses(run.table.take(best), run.values))]]
        star = {
            "color": COLOURS[4],
            "size": 17,
            "symbol": "star",
            "line": {"width": 1, "color": "#333"},
        }
        traces.append(_points(run, records, knee, names, f"{prefix}knee", star, few))
    return traces


def _points(
    run: RunView,
    records: Records,
    rows: Rows,
    names: Sequence[str],
    title: str,
    marker: dict[str, Any],
    letters: int,
) -> tuple[Figure, dict[str, list[float]]]:
    """A trace of these rows, or of as many as `letters` of hover texts allow, and each named value
    of them.

    "evaluation" is how many had ended, from 1.
    """
    first = hover(run, records[int(rows[0])]) if len(rows) else " "
    each = len(first) + 12 * first.count("<") + 40  # as JSON in the page, with its coordinates
    shown = thinned(rows, max(_FEWEST, letters // each))
    data = {
        name: (records.values[name][shown] if name in records.values else shown + 1.0).tolist()
        for name in names
    }
    y, x = list(data.values())[:2]
    text = [hover(run, records[int(row)]) for row in shown]
    name = said(title, len(shown), len(rows))
    return go.Scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        marker=marker,
        text=text,
        hovertemplate="%{text}<extra></extra>",
    ), data


def _axis_menu(
    run: RunView, names: Sequence[str], columns: Sequence[dict[str, list[float]]]
) -> dict[str, Any]:
    pairs = [(y, x) for i, y in enumerate(names) for x in names[i + 1 :]]
    buttons = [
        {
            "label": f"{plain(y)} against {plain(x)}",
            "method": "update",
            "args": [
                {"x": [data[x] for data in columns], "y": [data[y] for data in columns]},
                {"xaxis.title.text": plain(run.label(x)), "yaxis.title.text": plain(run.label(y))},
            ],
        }
        for y, x in pairs
    ]
    look = {
        "bgcolor": "rgba(128,128,128,0.12)",
        "bordercolor": _GRID,
        "font": {"color": "#808080", "size": 12},
    }
    return {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", **look}


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
            (
                run.baseline,
                f"{plain(run.name)}: random search",
                {"color": GREY, "dash": "dash", "shape": "hv"},
            ),
            (run.table, plain(run.name), {"color": colour, "width": 2.5, "shape": "hv"}),
        ):
            if table is not None:
                x, y = hypervolume_curve(table, run.values, reference)
                figure.add_trace(go.Scatter(x=x, y=y, mode="lines", name=title, line=line))
    figure.update_layout(xaxis_title="evaluations", yaxis_title="hypervolume")
    return styled(figure)


def parallel_figure(run: RunView) -> Figure | None:
    """Genes and values of the complete records as parallel coordinates, coloured by the first
    target.
    """
    rows = run.complete_rows
    if not len(rows):
        return None
    num_axes = len(run.job["genes"]) + len(run.values)
    rows = thinned(
        rows,
        max(_FEWEST, _MOST_PARALLEL // num_axes),
        thinned(np.sort(run.front_rows), _MOST_PARALLEL // num_axes // 2),
    )
    records = run.records.take(rows)
    colour = records.values[run.targets[0]]
    dimensions: list[dict[str, Any]] = []
    for index, gene in enumerate(run.job["genes"]):
        count = len(gene["options"])
        spread = _spread(records.choices[:, index], colour)
        ticks = list(range(0, count, -(-count // _MOST_TICKS)))
        axis = {
            "range": [-0.4, count - 0.6],
            "tickvals": ticks,
            "ticktext": [plain(gene["options"][tick]) for tick in ticks],
        }
        dimensions.append({"label": plain(gene["name"]), "values": spread, **axis})
    dimensions += [
        {"label": plain(v["name"]), "values": records.values[v["name"]].astype(np.float32)}
        for v in run.values
    ]
    bar = {"thickness": 12, "outlinewidth": 0}
    line = {"color": colour, "colorscale": "Viridis", "showscale": True, "colorbar": bar}
    figure = go.Figure(
        go.Parcoords(dimensions=dimensions, line=line, labelangle=-35, labelside="bottom")
    )
    left = max(50, _letters(run) * _LETTER_PIXELS)  # the options of the first axis stand left of it
    return styled(figure, height=470).update_layout(margin={"l": left, "r": 30, "t": 24, "b": 120})


def parallel_width(run: RunView, figure: Figure) -> int:
    """Pixels that the parallel coordinates need, so that the options of one axis do not run into
    the next.
    """
    return max(_AXIS_PIXELS, _LETTER_PIXELS * _letters(run)) * len(figure.data[0].dimensions)


def _letters(run: RunView) -> int:
    """Number of letters of the longest option."""
    return max(
        (len(str(option)) for gene in run.job["genes"] for option in gene["options"]), default=0
    )


def _spread(choices: NDArray[np.int16], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Choices moved by up to 0.3, in the order of the values: lines through one option lie side by
    side and show how many are good.
    """
    places = choices.astype(np.float32)
    for choice in np.unique(places):
        members = np.flatnonzero(places == choice)
        ordered = members[np.argsort(values[members], kind="stable")]
        places[ordered] += np.linspace(-0.3, 0.3, len(members)) if len(members) > 1 else 0.0
    return places


def plain(value: object) -> str:
    """A text that plotly shows as it is; of a very long one the beginning."""
    text = visible(str(value))
    text = text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
