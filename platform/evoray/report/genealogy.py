"""Genealogy of the front's networks: their ancestors, drawn over the generations."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go

from evoray.records.records import Record
from evoray.report.figures import COLOURS, GREY, hover, styled
from evoray.report.reading import RunView
from evoray.report.thinning import said, thinned

_MOST_KEYS = 400  # that are drawn
_MOST_TICKS = 24  # generations that each get a number on the axis


def ancestors(
    records: Mapping[str, Record], members: list[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Keys of the members and their known ancestors, the nearest first and at most 400, and the
    (parent, child) edges between them.
    """
    found = dict.fromkeys(members)
    edges: list[tuple[str, str]] = []
    waiting = deque(members)
    while waiting:
        child = waiting.popleft()
        for parent in records[child].parents:
            if parent not in found and (parent not in records or len(found) >= _MOST_KEYS):
                continue
            edges.append((parent, child))
            if parent not in found:
                found[parent] = None
                waiting.append(parent)
    return list(found), edges


def genealogy_figure(run: RunView) -> Any | None:  # Any: plotly is untyped
    """The ancestors of the front, one column a generation, edges from parent to child; None when
    nothing has parents.
    """
    records = run.origins
    best = run.front()
    if best is None or not run.history.parents.size:
        return None
    rows = thinned(np.sort(run.front_rows), _MOST_KEYS // 4)
    members = [run.records.keys[row].decode() for row in rows]
    keys, edges = ancestors(records, members)
    places = _places(records, keys, edges)
    older = (
        "ancestor"
        if len(keys) < _MOST_KEYS
        else f"ancestor (nearest {len(keys) - len(members):,} drawn)"
    )
    figure = go.Figure()
    xs: list[float | None] = []
    ys: list[float | None] = []
    for parent, child in edges:
        xs += [places[parent][0], places[child][0], None]
        ys += [places[parent][1], places[child][1], None]
    figure.add_trace(
        go.Scatter(
            x=xs,
            y=ys,
            mode="lines",
            line={"color": GREY, "width": 1},
            hoverinfo="skip",
            name="parent to child",
        )
    )
    for chosen, title, colour, size in (
        ([k for k in keys if k not in set(members)], older, "#93A0B0", 8),
        (members, said("on the front", len(members), len(best)), COLOURS[0], 12),
    ):
        figure.add_trace(
            go.Scatter(
                x=[places[k][0] for k in chosen],
                y=[places[k][1] for k in chosen],
                mode="markers",
                name=title,
                marker={
                    "color": colour,
                    "size": size,
                    "line": {"width": 1, "color": "rgba(255,255,255,0.6)"},
                },
                text=[hover(run, records[k]) for k in chosen],
                hovertemplate="%{text}<extra></extra>",
            )
        )
    figure.update_xaxes(
        title_text="generation",
        dtick=1 if max(x for x, _ in places.values()) <= _MOST_TICKS else None,
    )
    figure.update_yaxes(visible=False)
    return styled(figure, height=460)


def _places(
    records: Mapping[str, Record], keys: list[str], edges: list[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """(generation, height) of each key; within a generation children stand near the mean height of
    their parents.
    """
    parents: defaultdict[str, list[str]] = defaultdict(list)
    for parent, child in edges:
        parents[child].append(parent)
    columns: defaultdict[int, list[str]] = defaultdict(list)
    for key in keys:
        columns[records[key].generation].append(key)
    places: dict[str, tuple[float, float]] = {}
    for generation in sorted(columns):
        wanted = {k: [places[p][1] for p in parents[k] if p in places] for k in columns[generation]}
        ordered = sorted(
            columns[generation],
            key=lambda k: (sum(wanted[k]) / len(wanted[k]) if wanted[k] else 0.5, k),
        )
        for index, key in enumerate(ordered):
            places[key] = (float(generation), (index + 0.5) / len(ordered))
    return places
