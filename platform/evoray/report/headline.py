"""What a run has found, in a sentence and a few numbers: the top of the report."""

from __future__ import annotations

import html

import numpy as np

from evoray import pareto, selection
from evoray.report.reading import RunView, final_hypervolumes


def headline(run: RunView) -> str:
    """HTML: what was searched, the knee of the front, and tiles with the numbers that a reader asks for first."""
    job = run.job
    words = [f"Job <b>{html.escape(str(job['job']))}</b> in space <b>{html.escape(str(job['space']))}</b>, seed {job['seed']}."]
    best = run.front()
    evaluated = f"networks in {len(run.rounds)} rounds" if run.rounds else "networks evaluated"
    tiles = [(f"{len(run.origins):,}", evaluated)]
    if best is None:
        words.append("No feasible network has been found yet.")
    else:
        losses = selection.losses(best, run.values)
        knee = best.slice(pareto.knee(losses), 1).to_pylist()[0]
        names = dict.fromkeys([*run.targets, *(v["name"] for v in run.values)])
        spoken = ", ".join(f"{html.escape(n)} <b>{_with_unit(run, n, knee[n])}</b>" for n in names)
        words.append(f"The front's knee is <code>{html.escape(knee['key'])}</code>: {spoken}.")
        tiles.append((f"{len(best):,}", "on the Pareto front"))
        for name, index in zip(run.targets, np.argmin(losses, axis=0), strict=True):
            value = number(best[name][int(index)].as_py())
            tiles.append((f"{value} <small>{html.escape(run.unit(name))}</small>", f"best {html.escape(name)}"))
        volumes = final_hypervolumes(run)
        if volumes is not None and volumes[1] > 0:
            ratio = f"{volumes[0] / volumes[1]:.3f} times"
            words.append(f"The hypervolume is <b>{ratio}</b> that of random search with {_budgets(run)}.")
            tiles.append((f"{volumes[0] / volumes[1]:.3f} ×", "hypervolume of random search"))
    shown = "".join(f"<div><dd>{value}</dd><dt>{name}</dt></div>" for value, name in tiles)
    return f'<p class="lead">{" ".join(words)}</p><dl class="tiles">{shown}</dl>'


def number(value: float | None) -> str:
    """Four significant digits, thousands apart; a dash for a value that was not measured."""
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def _with_unit(run: RunView, name: str, value: float | None) -> str:
    unit = run.unit(name)
    return f"{number(value)}&nbsp;{html.escape(unit)}" if unit else number(value)


def _budgets(run: RunView) -> str:
    assert run.table is not None
    assert run.baseline is not None
    same = len(run.table) == len(run.baseline)
    return "as many evaluations" if same else f"{len(run.baseline):,} evaluations against {len(run.table):,}"
