"""The top of the report: a run's findings in a sentence and a few numbers."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from evoray.pareto import dominance
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView, final_hypervolumes
from evoray.results import picking


def headline(run: RunView) -> Markup:
    """Shows what was searched, the knee of the front, and tiles with the numbers that a reader asks
    for first.
    """
    best = run.front()
    evaluated = f"networks in {len(run.rounds)} rounds" if run.rounds else "networks evaluated"
    tiles = [(f"{len(run.origins):,}", "", evaluated)]
    knee, spoken, ratio = None, [], ""
    if best is not None:
        losses = picking.losses(best, run.values)
        row = best.slice(dominance.knee(losses), 1).to_pylist()[0]
        knee = row["key"]
        names = dict.fromkeys([*run.targets, *(v["name"] for v in run.values)])
        spoken = [(name, number(row[name]), run.unit(name)) for name in names]
        tiles.append((f"{len(best):,}", "", "on the Pareto front"))
        for name, index in zip(run.targets, np.argmin(losses, axis=0), strict=True):
            tiles.append((number(best[name][int(index)].as_py()), run.unit(name), f"best {name}"))
        volumes = final_hypervolumes(run)
        if volumes is not None and volumes[1] > 0:
            ratio = f"{volumes[0] / volumes[1]:.3f}"
            tiles.append((f"{ratio} ×", "", "hypervolume of random search"))
    budgets = _budgets(run) if ratio else ""
    html: Markup = SECTIONS.headline(run.job, knee, spoken, ratio, budgets, tiles)
    return html


def number(value: object) -> str:
    """Four significant digits, thousands apart; a dash for a value that was not measured."""
    if value is None:
        return "–"
    if not isinstance(value, int | float):
        return str(value)  # a file that somebody has changed
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _budgets(run: RunView) -> str:
    assert run.table is not None
    assert run.baseline is not None
    same = len(run.table) == len(run.baseline)
    return (
        "as many evaluations"
        if same
        else f"{len(run.baseline):,} evaluations against {len(run.table):,}"
    )
